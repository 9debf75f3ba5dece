// Device profiles by name.
#pragma once

#include <string>
#include <vector>

#include "model/scenario/scenario.h"

namespace rehearse {

// Of all profiles that can be found, sorted.
std::vector<std::string> profile_names(const ProfilePath& profiles);

}  // namespace rehearse
