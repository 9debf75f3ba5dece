// Predicted against measured.
#pragma once

#include <string>

#include "model/base/diagnostic.h"
#include "tools/summary/summary.h"

namespace rehearse {

// For every strategy that both have with the same plan: step time, time per op kind, bytes, memory.
// Errors: no strategy in common, or one whose plans differ.
Result<std::string> print_diff(const Summary& predicted, const Summary& measured);

}  // namespace rehearse
