#include "model/scenario/hugging_face/json_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

namespace rehearse::hugging_face {
namespace {

constexpr std::size_t kEscape = 6;  // "\ud83d"
constexpr std::uint32_t kHigh = 0xD800, kLow = 0xDC00, kEnd = 0xE000;

std::optional<std::uint32_t> read_escape(std::string_view text) {
  if (text.size() < kEscape || !text.starts_with("\\u")) return std::nullopt;
  std::uint32_t unit = 0;
  const char* end = text.data() + kEscape;
  const auto [rest, problem] = std::from_chars(text.data() + 2, end, unit, 16);
  return problem == std::errc() && rest == end ? std::optional(unit) : std::nullopt;
}

// The character whose two halves the text begins with.
std::optional<std::uint32_t> read_pair(std::string_view text) {
  const auto high = read_escape(text);
  if (!high || *high < kHigh || *high >= kLow) return std::nullopt;
  const auto low = read_escape(text.substr(kEscape));
  if (!low || *low < kLow || *low >= kEnd) return std::nullopt;
  return 0x10000 + ((*high - kHigh) << 10) + (*low - kLow);
}

}  // namespace

std::string with_whole_characters(std::string_view json) {
  std::string text;
  bool in_string = false;
  std::size_t owed = 0;
  for (std::size_t i = 0; i < json.size();) {
    if (const auto character = in_string ? read_pair(json.substr(i)) : std::nullopt) {
      const std::string whole = fmt::format("\\U{:08X}", *character);
      text += whole;
      owed += 2 * kEscape - whole.size();
      i += 2 * kEscape;
      continue;
    }
    const std::size_t length = in_string && json[i] == '\\' ? 2 : 1;
    text += json.substr(i, length);
    if (json[i] == '"') {
      in_string = !in_string;
      text.append(std::exchange(owed, 0), ' ');
    }
    i += length;
  }
  return text;
}

}  // namespace rehearse::hugging_face
