#include "model/scenario/sweep_values.h"

#include <cmath>

#include "model/base/text.h"
#include "model/scenario/expression.h"

namespace rehearse::yaml {
namespace {

constexpr double kRounding = 1e-9;  // of a step: 0.1 + 0.1 + 0.1 still meets 0.3

// A number and its unit as they are written: "25 Gb/s" is 25 of " Gb/s".
struct Written {
  double number = 0;
  std::string unit;
  Number value;
};

std::optional<Written> written(const Value& value) {
  if (value.kind != Kind::scalar || value.quoted) return std::nullopt;
  const auto quantity = parse_quantity(value.text);
  if (!quantity) return std::nullopt;
  std::size_t digits = value.text.size();
  while (digits > 0 && !parse_number(value.text.substr(0, digits)))
    --digits;
  return Written{*parse_number(value.text.substr(0, digits)), value.text.substr(digits), *quantity};
}

// Numbers with their unit's name, of the kind that `like` is of.
class RangeReader {
 public:
  RangeReader(const Value& value, const SourceSpan& where, Problems& problems)
      : value_(value), map_(value, "range", where, problems), problems_(problems) {}

  std::optional<std::vector<Value>> run() {
    const std::size_t before = problems_.size();
    for (const std::string_view key : {"step", "factor", "count"}) {
      if (map_.find(key) != nullptr) given_.push_back(key);
    }
    from_ = end("from");
    to_ = end("to");
    std::vector<double> numbers;
    if (from_ && to_ && check_ends()) numbers = by_step_factor_or_count();
    map_.finish();
    if (problems_.size() > before) return std::nullopt;
    return print(numbers);
  }

 private:
  std::optional<Written> end(std::string_view key) {
    const Value* value = map_.need(key);
    if (value == nullptr) return std::nullopt;
    const auto number = written(*value);
    if (!number) expected("a number or a quantity such as '25 Gb/s'", *value, problems_);
    return number;
  }

  bool check_ends() {
    if (from_->value.dimension != to_->value.dimension) {
      problems_.add(map_.where("to"),
                    fmt::format("the range begins at {} and ends at {}",
                                describe(from_->value.dimension), describe(to_->value.dimension)),
                    {{map_.where("from"), "it begins here"}});
      return false;
    }
    if (to_->value.value >= from_->value.value) return true;
    problems_.add(map_.where("to"), "the range ends before it begins",
                  {{map_.where("from"), "it begins here"}});
    return false;
  }

  std::vector<double> by_step_factor_or_count() {
    if (given_.size() != 1) {
      problems_.add(given_.empty() ? map_.where() : map_.where(given_[1]),
                    "a range has one of 'step', 'factor' and 'count'");
      return {};
    }
    if (given_[0] == "step") return by_step();
    if (from_->value.value <= 0) {
      problems_.add(map_.where("from"), fmt::format("with '{}' a range begins above 0", given_[0]));
      return {};
    }
    return given_[0] == "factor" ? by_factor() : by_count();
  }

  // One of `from`'s unit, in base units.
  double unit() const { return from_->unit.empty() ? 1 : parse_quantity("1" + from_->unit)->value; }
  double last() const { return to_->value.value / unit(); }

  bool is_too_long(double steps, std::string_view key) {
    if (steps < static_cast<double>(kMostSweptValues)) return false;
    problems_.add(map_.where(key), fmt::format("a range has at most {} values", kMostSweptValues));
    return true;
  }

  std::vector<double> by_step() {
    const Value& value = *map_.find("step");
    const auto step = written(value);
    if (!step || step->value.value <= 0 || step->value.dimension != from_->value.dimension) {
      expected(fmt::format("{} above 0, as the range's ends are", describe(from_->value.dimension)),
               value, problems_);
      return {};
    }
    const double width = step->value.value / unit();
    const double steps = (last() - from_->number) / width;
    if (is_too_long(steps, "step")) return {};
    std::vector<double> numbers;
    for (std::int64_t i = 0; static_cast<double>(i) <= steps + kRounding; ++i)
      numbers.push_back(from_->number + static_cast<double>(i) * width);
    return numbers;
  }

  std::vector<double> by_factor() {
    const Value& value = *map_.find("factor");
    const auto factor = written(value);
    if (!factor || factor->value.dimension != Dimension::none || factor->number <= 1) {
      expected("a number above 1", value, problems_);
      return {};
    }
    const double steps = std::log(last() / from_->number) / std::log(factor->number);
    if (is_too_long(steps, "factor")) return {};
    std::vector<double> numbers;
    double number = from_->number;
    for (; number <= last() * (1 + kRounding); number *= factor->number)
      numbers.push_back(number);
    return numbers;
  }

  std::vector<double> by_count() {
    const auto count = read_count(*map_.find("count"), problems_, {2, kMostSweptValues});
    if (!count) return {};
    const Value &from = *map_.find("from"), &to = *map_.find("to");
    const bool whole = parse_integer(from.text) && parse_integer(to.text);
    std::vector<double> numbers;
    for (std::int64_t i = 0; i < *count; ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(*count - 1);
      const double number = from_->number * std::pow(last() / from_->number, share);
      const double taken = whole ? std::round(number) : number;
      if (numbers.empty() || taken > numbers.back()) numbers.push_back(taken);
    }
    return numbers;
  }

  // 15 digits: those of every decimal number that people write, and none of what sums are off by.
  std::vector<Value> print(const std::vector<double>& numbers) const {
    std::vector<Value> values;
    for (const double number : numbers) {
      Value value;
      value.kind = Kind::scalar;
      value.where = value_.where;
      value.text = fmt::format("{:.15g}{}", number, from_->unit);
      values.push_back(std::move(value));
    }
    return values;
  }

  const Value& value_;
  Map map_;
  Problems& problems_;
  std::vector<std::string_view> given_;  // of step, factor and count
  std::optional<Written> from_, to_;
};

}  // namespace

bool is_range(const Value& value) {
  if (value.kind != Kind::map) return false;
  for (const Entry& entry : value.entries) {
    for (const std::string_view key : {"from", "to", "step", "factor", "count"}) {
      if (entry.key == key) return true;
    }
  }
  return false;
}

std::optional<std::vector<Value>> read_swept_values(const Value& value, const SourceSpan& where,
                                                    Problems& problems) {
  if (is_range(value)) return RangeReader(value, where, problems).run();
  if (value.kind == Kind::list && value.items.empty()) {
    problems.add(value.where, "an empty list sweeps nothing");
    return std::nullopt;
  }
  if (std::ssize(value.items) > kMostSweptValues) {
    problems.add(value.where, fmt::format("a list has at most {} values", kMostSweptValues));
    return std::nullopt;
  }
  if (value.kind == Kind::list) return value.items;
  const bool is_nothing = value.kind == Kind::empty;
  problems.add(is_nothing ? where : value.where,
               fmt::format("expected a list of values or a range such as {{from: 1, to: 8, step: "
                           "1}}, got {}",
                           value.kind == Kind::scalar ? fmt::format("'{}'", printable(value.text))
                                                      : std::string(describe(value.kind))));
  return std::nullopt;
}

}  // namespace rehearse::yaml
