// A few constants of a device, fitted to measured cases.
#pragma once

#include <vector>

#include "tools/scoreboard/cases.h"

namespace rehearse {

// Predictions that were made, so that none is made twice.
class Predictions {
 public:
  Result<double> of(const Case& one, const Factors& factors);

 private:
  std::map<std::pair<const Case*, Factors>, double> made_;
};

// Factors on a device's constants that make the sum of squared logarithms of predicted by measured
// least over the cases that may be fitted: one Gauss-Newton step from the profile, with differences
// for derivatives. (Logarithms of times are nearly linear in those of constants; where the factors
// are far from 1, write them into the profile and fit again.) Every logarithm also has a weight of
// kPrior towards 0, so that a constant which hardly shows in the cases stays where the profile has
// it. Of constants that no case is for there are no factors.
// cases: of one device. Errors: a case cannot be predicted.
Result<Factors> fit(const std::vector<const Case*>& cases, Predictions& predictions);

inline constexpr double kPrior = 0.01;

}  // namespace rehearse
