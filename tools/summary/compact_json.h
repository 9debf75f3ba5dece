// The JSON of a summary for programs alone: what print_json() says, without a line or a space that
// people would read it by.
#pragma once

#include <string>

#include "tools/summary/summary.h"

namespace rehearse {

std::string print_compact_json(const Summary& summary);

}  // namespace rehearse
