// The values that one entry of a sweep lists or spans.
#pragma once

#include <optional>
#include <vector>

#include "model/scenario/reader.h"

namespace rehearse::yaml {

// The most values of one entry.
inline constexpr std::int64_t kMostSweptValues = 100'000;

// A list as it stands; or a range, both ends included where they are met: {from, to, step},
// {from, to, factor}, or {from, to, count} for so many with equal ratios. Ends have one unit each,
// of the same kind; values are written in that of `from`. With whole ends and a `count` the values
// are whole, each once. Empty, with a problem noted, if it is neither.
std::optional<std::vector<Value>> read_swept_values(const Value& value, const SourceSpan& where,
                                                    Problems& problems);

// Whether a map means to be a range.
bool is_range(const Value& value);

}  // namespace rehearse::yaml
