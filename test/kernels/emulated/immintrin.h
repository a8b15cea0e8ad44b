// Found before the compiler's own header of this name: the same types and intrinsics, with those of AVX-512, AVX-VNNI
// and AMX replaced by code for any x86-64 CPU that gives the same bits. An intrinsic that isn't here yet stops the
// compiler ("target specific option mismatch"). Everything else comes from the CPU.
#pragma once

#include_next <immintrin.h>

#include "avx512.h"
#include "avxvnni.h"
#include "tiles.h"
