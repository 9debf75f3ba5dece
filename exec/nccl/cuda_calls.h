// NCCL itself behind the table.
#pragma once

#include <memory>
#include <string>

#include "exec/nccl/calls.h"
#include "model/base/diagnostic.h"

namespace rehearse::exec {

// "2.28.9". Errors: why it cannot be loaded.
Result<std::string> nccl_version();

// For this thread, on the GPU that it has chosen. Throws std::runtime_error where there is none.
std::unique_ptr<NcclCalls> make_nccl_calls();

}  // namespace rehearse::exec
