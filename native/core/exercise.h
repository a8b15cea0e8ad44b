#pragma once

namespace specdiff {

/**
 * Multiplies small matrices of every common type with one and with many rows, in every buffer type that the CPU backend
 * would keep weights in, and attends over small caches, on `threads` threads; compares the results with double
 * precision. Some virtual machines announce instructions that trap: run in a child process first, this traps where
 * decoding would. @throws Error where an operation can't be set up or its result is wrong.
 */
void exercise_cpu(int threads);

} // namespace specdiff
