#include "tools/sweep/space.h"

#include <algorithm>

#include "model/base/text.h"

namespace rehearse::sweep {

namespace {

// Whether it is of strategies alone.
bool is_of_strategies(const SweptAxis& axis) {
  return std::all_of(axis.columns.begin(), axis.columns.end(), [](const SweptColumn& column) {
    return std::all_of(column.paths.begin(), column.paths.end(),
                       [](const SweptPath& path) { return path.text.starts_with("strategies."); });
  });
}

}  // namespace

Space::Space(const Sweep& sweep) : sweep_(sweep) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 63;
  std::vector<Digit> settings;
  for (auto axis = sweep.axes.rbegin(); axis != sweep.axes.rend(); ++axis) {
    (is_of_strategies(*axis) ? digits_ : settings).push_back({axis->size(), combinations_});
    combinations_ = axis->size() > kMost / combinations_ ? kMost : combinations_ * axis->size();
  }
  digits_.insert(digits_.end(), settings.begin(), settings.end());
  if (sweep.conditions.empty()) return;
  for (std::size_t a = 0; a < sweep.axes.size(); ++a) {
    for (const SweptColumn& column : sweep.axes[a].columns) {
      Column& known = columns_.emplace_back(Column{a, {}});
      for (const yaml::Value& value : column.values)
        known.values.push_back(expression_value(value));
    }
  }
}

std::vector<std::size_t> Space::values_of(std::uint64_t n) const {
  std::vector<std::size_t> values(sweep_.axes.size());
  for (std::size_t a = values.size(); a-- > 0;) {
    const std::size_t size = sweep_.axes[a].size();
    values[a] = n % size;
    n /= size;
  }
  return values;
}

std::uint64_t Space::visited(std::uint64_t n) const {
  std::uint64_t combination = 0;
  for (const Digit& digit : digits_) {
    combination += n % digit.size * digit.weight;
    n /= digit.size;
  }
  return combination;
}

Result<bool> Space::contains(std::uint64_t n) const {
  if (sweep_.conditions.empty()) return true;
  const std::vector<std::size_t> values = values_of(n);
  std::vector<ExpressionValue> named;
  named.reserve(columns_.size() + sweep_.constants.size());
  for (const Column& column : columns_)
    named.push_back(column.values[values[column.axis]]);
  named.insert(named.end(), sweep_.constants.begin(), sweep_.constants.end());
  for (const Expression& condition : sweep_.conditions) {
    const Result<bool> holds = condition.holds(named);
    if (!holds || !*holds) return holds;
  }
  return true;
}

Result<std::uint64_t> Space::count() const {
  if (sweep_.conditions.empty()) return combinations_;
  if (combinations_ > kMostCombinations)
    return error(fmt::format(
        "the sweep has {:.3g} combinations of values; conditions are tried on "
        "at most {}",
        static_cast<double>(combinations_), human_count(std::int64_t{kMostCombinations})));
  std::uint64_t points = 0;
  for (std::uint64_t n = 0; n < combinations_; ++n) {
    const Result<bool> holds = contains(n);
    if (!holds) return holds.errors();
    points += *holds ? 1 : 0;
  }
  return points;
}

}  // namespace rehearse::sweep
