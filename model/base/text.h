// Quantities as people read them, and as files hold them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/units.h"

namespace rehearse {

// For people: three or four significant digits and a unit.
std::string human(Bytes amount);          // "12.3 GiB", "640 B"
std::string human(Seconds duration);      // "845 ms", "1.20 s", "3.05 us"
std::string human(BytesPerSecond rate);   // "12.5 GB/s"
std::string human(FlopsPerSecond rate);   // "312 TFLOP/s"
std::string human(Flops amount);          // "47.7 GFLOP"
std::string human_count(std::int64_t n);  // "272,186"

// The shortest text that reads back as exactly this number ("0.1", "1e-05").
std::string exact(double x);

// Splits at every separator; "a,,b" has an empty part in the middle, "" has no parts.
std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// The whole text must be the number: no sign of another base, no rest, no leading zeros.
std::optional<std::int64_t> parse_integer(std::string_view text);
// A finite decimal number; the whole text must be it.
std::optional<double> parse_number(std::string_view text);

// Quantities with their unit, as scenario files write them: "400 Gb/s", "80 GiB", "5 us".
// Empty when the text is not such a quantity; a bare number is not one.
std::optional<Bytes> parse_bytes(std::string_view text);
std::optional<Seconds> parse_seconds(std::string_view text);
std::optional<BytesPerSecond> parse_bandwidth(std::string_view text);
std::optional<FlopsPerSecond> parse_flop_rate(std::string_view text);

// 16 hexadecimal digits of a 64-bit hash (xxHash XXH3) of the text.
std::string hash_text(std::string_view text);

}  // namespace rehearse
