#pragma once

namespace specdiff::kernels::amx {

/**
 * Asks the system to save tile registers for this process, threads that exist and threads to come; false where it
 * refuses or doesn't know them, and then a tile instruction would raise SIGILL. Linux only.
 */
bool tiles_permitted();

} // namespace specdiff::kernels::amx
