// The points of a sweep: numbers of combinations of its values, those left out that its conditions
// rule out. Nothing is kept of them.
#pragma once

#include <cstdint>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/scenario/sweep.h"

namespace rehearse::sweep {

// More combinations are not gone through to find those that meet the conditions.
inline constexpr std::uint64_t kMostCombinations = 100'000'000;

class Space {
 public:
  // The sweep must outlive it.
  explicit Space(const Sweep& sweep);

  // Of values, whether conditions hold or not; 1 without a sweep. No more than 2^63.
  std::uint64_t combinations() const { return combinations_; }
  // By axis, which of its values combination n has; the last axis moves first.
  std::vector<std::size_t> values_of(std::uint64_t n) const;
  // The n-th combination to be gone to, so that what the model, the training and the cluster say
  // changes as seldom as it can: much is worked out for these (methods.h).
  std::uint64_t visited(std::uint64_t n) const;
  // Whether all conditions hold. Errors: a condition's operands do not go together.
  Result<bool> contains(std::uint64_t n) const;
  // How many combinations it contains. Errors: as contains(), or more combinations than are gone
  // through. O(combinations) with conditions.
  Result<std::uint64_t> count() const;

 private:
  const Sweep& sweep_;
  std::uint64_t combinations_ = 1;
  struct Digit {
    std::uint64_t size, weight;  // values of an axis; by how much its next one moves the number
  };
  std::vector<Digit> digits_;  // by axis, the one that moves first in front
  struct Column {
    std::size_t axis;
    std::vector<ExpressionValue> values;
  };
  std::vector<Column> columns_;  // where there are conditions
};

}  // namespace rehearse::sweep
