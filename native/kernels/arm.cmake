# 64-bit ARM: generations and kernels, where CMakeLists.txt has x86's.

# ggml's features of each generation (ggml/src/CMakeLists.txt); armv8.6_nosve is ours, for CPUs with 8-bit matrix
# products and without SVE.
set(armv8.2_2 DOTPROD FP16_VECTOR_ARITHMETIC)
set(armv8.6_nosve ${armv8.2_2} MATMUL_INT8)
set(armv8.6_1 ${armv8.2_2} SVE MATMUL_INT8)
set(ARCH arm)
set(FEATURE_PREFIX GGML_USE)

# One flag for all features, for llama.cpp's files.
set(DOTPROD_TAG +dotprod)
set(FP16_VECTOR_ARITHMETIC_TAG +fp16)
set(SVE_TAG +sve)
set(MATMUL_INT8_TAG +i8mm)
string(REGEX REPLACE "^(armv[0-9.]*).*" "\\1-a" MARCH "${VARIANT}")
foreach(feature ${${VARIANT}})
  string(APPEND MARCH ${${feature}_TAG})
endforeach()
set(VARIANT_FLAGS -march=${MARCH})

set(DOTPROD_KERNELS neon/dotprod_table.cpp neon/dotprod_matrix.cpp neon/activations.cpp neon/attention.cpp)
set(MATMUL_INT8_KERNELS neon/i8mm_table.cpp neon/i8mm_matrix.cpp)
# GCC 12's scheduling before registers are given out leaves 20–70 more loads and stores of them in a block's loop.
set(NO_SCHEDULING $<$<CXX_COMPILER_ID:GNU>:-fno-schedule-insns>)
set(DOTPROD_KERNEL_FLAGS -march=armv8.2-a+dotprod ${NO_SCHEDULING})
set(MATMUL_INT8_KERNEL_FLAGS -march=armv8.2-a+dotprod+i8mm ${NO_SCHEDULING})
set(MATMUL_INT8_KERNEL_DEFINITION SPECDIFF_I8MM)
