#pragma once

/**
 * Before a function: also compiled for processors with vectors of 256 bits, of which the one that runs it takes its
 * own. Where compilers don't do so (or all processors have what they need) it is compiled once.
 */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#define SPECDIFF_VECTOR_CODE __attribute__((target_clones("arch=haswell", "default")))
#else
#define SPECDIFF_VECTOR_CODE
#endif
