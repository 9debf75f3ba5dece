// Whole files through zlib; a file that is not packed is read as it is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse::exec {

// The unpacked bytes. Errors name the path, and the offset in the unpacked bytes.
Result<std::vector<std::uint8_t>> read_gzip(const std::string& path);

}  // namespace rehearse::exec
