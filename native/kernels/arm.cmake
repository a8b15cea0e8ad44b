# 64-bit ARM: generations and kernels, where CMakeLists.txt has x86's.

# ggml's features of each generation (ggml/src/CMakeLists.txt); armv8.6_nosve is ours, for CPUs with 8-bit matrix
# products and without SVE.
set(armv8.2_1 DOTPROD)
set(armv8.2_2 DOTPROD FP16_VECTOR_ARITHMETIC)
set(armv8.6_nosve DOTPROD FP16_VECTOR_ARITHMETIC MATMUL_INT8)
set(armv8.6_1 DOTPROD FP16_VECTOR_ARITHMETIC SVE MATMUL_INT8)
set(armv8.6_2 DOTPROD FP16_VECTOR_ARITHMETIC SVE MATMUL_INT8 SVE2)
set(apple_m1 DOTPROD)
set(apple_m2_m3 DOTPROD MATMUL_INT8)
set(ARCH arm)
set(FEATURE_PREFIX GGML_USE)

# One flag for all features, for llama.cpp's files.
set(MARCH armv8.2-a)
if("MATMUL_INT8" IN_LIST ${VARIANT})
  set(MARCH armv8.6-a)
endif()
foreach(feature DOTPROD=dotprod FP16_VECTOR_ARITHMETIC=fp16 SVE=sve MATMUL_INT8=i8mm SVE2=sve2)
  string(REGEX MATCH "^(.*)=(.*)$" _ ${feature})
  if("${CMAKE_MATCH_1}" IN_LIST ${VARIANT})
    string(APPEND MARCH "+${CMAKE_MATCH_2}")
  endif()
endforeach()
set(VARIANT_FLAGS -march=${MARCH})

set(DOTPROD_KERNELS neon/dotprod_table.cpp neon/dotprod_matrix.cpp neon/activations.cpp neon/attention.cpp)
set(MATMUL_INT8_KERNELS neon/i8mm_table.cpp neon/i8mm_matrix.cpp)
set(DOTPROD_KERNEL_FLAGS -march=armv8.2-a+dotprod)
set(MATMUL_INT8_KERNEL_FLAGS -march=armv8.2-a+dotprod+i8mm)
set(MATMUL_INT8_KERNEL_DEFINITION SPECDIFF_I8MM)
