#include "permission.h"

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace specdiff::kernels::amx {

#ifdef __linux__

bool tiles_permitted() {
    // asm/prctl.h, which older kernel headers lack: state component 18 is the tiles' data, 8 KB.
    constexpr int ARCH_GET_XCOMP_PERM = 0x1022, ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) != 0) return false;
    unsigned long permitted = 0;
    if (syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &permitted) != 0) return false;
    return ((permitted >> XFEATURE_XTILEDATA) & 1) != 0;
}

#else

bool tiles_permitted() {
    return false;
}

#endif

} // namespace specdiff::kernels::amx
