#pragma once

namespace specdiff {

/**
 * Multiplies small matrices of every common type with one and with many rows, on `threads` threads and in every buffer
 * type that the CPU backend would keep weights in. Some virtual machines announce instructions that trap: run in a
 * child process first, this traps where decoding would. @throws Error where a multiplication can't be set up.
 */
void exercise_cpu(int threads);

} // namespace specdiff
