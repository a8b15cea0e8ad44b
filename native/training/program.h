#pragma once

#include "options.h"

#include "../core/model.h"

#include <functional>

namespace specdiff::training {

/** Options, backends and target for a program that reads requests from its input; the exit code. Errors go to stderr.
 */
int run_program(int count, char** values, const std::function<void(const Options&, Model)>& work);

/** The same for a program that opens its model (options.model) itself. */
int run_model_program(int count, char** values, const std::function<void(const Options&)>& work);

} // namespace specdiff::training
