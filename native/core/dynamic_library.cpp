#include "dynamic_library.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace specdiff {

#ifdef _WIN32

DynamicLibrary::DynamicLibrary(const std::filesystem::path& path)
    : handle_(reinterpret_cast<void*>(LoadLibraryW(path.wstring().c_str()))) {
    if (handle_ == nullptr) error_ = "LoadLibrary failed with code " + std::to_string(GetLastError());
}

DynamicLibrary::~DynamicLibrary() {
    if (handle_ != nullptr) FreeLibrary(reinterpret_cast<HMODULE>(handle_));
}

void* DynamicLibrary::symbol(const char* name) const {
    if (handle_ == nullptr) return nullptr;
    return reinterpret_cast<void*>(GetProcAddress(reinterpret_cast<HMODULE>(handle_), name));
}

#else

DynamicLibrary::DynamicLibrary(const std::filesystem::path& path)
    : handle_(dlopen(path.string().c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ != nullptr) return;
    const char* reason = dlerror();
    error_ = reason != nullptr ? reason : "unknown reason";
}

DynamicLibrary::~DynamicLibrary() {
    if (handle_ != nullptr) dlclose(handle_);
}

void* DynamicLibrary::symbol(const char* name) const {
    return handle_ != nullptr ? dlsym(handle_, name) : nullptr;
}

#endif

} // namespace specdiff
