// The keys of a scenario file, for people.
#pragma once

#include <string>

#include "model/base/diagnostic.h"

namespace rehearse {

// topic: "" for a line on each section; a section ("pipeline"); or one of its keys
// ("pipeline.schedule"). Errors: there is no such section or key.
Result<std::string> print_keys(const std::string& topic);

}  // namespace rehearse
