#include "tools/report/axis_values.h"

#include <algorithm>
#include <cctype>
#include <tuple>

#include "model/base/text.h"

namespace rehearse {
namespace {

using sweep::Cell;

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// The digits at a place, and what they are without leading zeros.
std::string_view digits_at(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_digit(text[end]))
    ++end;
  return text.substr(at, end - at);
}
std::string_view without_zeros(std::string_view digits) {
  return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
}

bool is_text_before(std::string_view a, std::string_view b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const std::string_view x = digits_at(a, i), y = digits_at(b, j);
      const std::string_view m = without_zeros(x), n = without_zeros(y);
      if (m != n) return std::tuple(m.size(), m) < std::tuple(n.size(), n);
      i += x.size(), j += y.size();
      continue;
    }
    if (a[i] != b[j]) return a[i] < b[j];
    ++i, ++j;
  }
  return std::tuple(a.size() - i, a) < std::tuple(b.size() - j, b);
}

// Quantities, truths, texts.
int group_of(const Cell& value, const std::optional<double>& base) {
  if (base) return 0;
  return std::holds_alternative<bool>(value) ? 1 : 2;
}

}  // namespace

std::optional<double> base_value(const Cell& value) {
  if (const auto number = sweep::number(value)) return number;
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return std::nullopt;
  if (const auto size = parse_bytes(*text)) return static_cast<double>(size->bytes());
  if (const auto time = parse_seconds(*text)) return time->seconds();
  if (const auto bandwidth = parse_bandwidth(*text)) return bandwidth->bytes_per_second();
  if (const auto rate = parse_flop_rate(*text)) return rate->flops_per_second();
  return std::nullopt;
}

bool comes_before(const Cell& a, const Cell& b) {
  const auto x = base_value(a), y = base_value(b);
  const int m = group_of(a, x), n = group_of(b, y);
  if (m != n) return m < n;
  if (x && *x != *y) return *x < *y;
  const auto *s = std::get_if<std::string>(&a), *t = std::get_if<std::string>(&b);
  // Of the same size in other words: "1 GB/s" and "8 Gb/s".
  return s != nullptr && t != nullptr ? is_text_before(*s, *t) : a < b;
}

void AxisCollector::add(const sweep::Row& row) {
  for (const auto& [name, value] : row.values) {
    const auto axis = values_.find(name);
    if (axis != values_.end() && !std::holds_alternative<std::monostate>(value))
      axis->second.insert(value);
  }
}

std::vector<AxisValues> AxisCollector::in_order() const {
  std::vector<AxisValues> axes;
  for (const std::string& name : names_) {
    const std::set<Cell>& own = values_.at(name);
    axes.push_back({name, {own.begin(), own.end()}});
    std::sort(axes.back().values.begin(), axes.back().values.end(), comes_before);
  }
  return axes;
}

}  // namespace rehearse
