// A few constants of a device, fitted to measured cases.
#pragma once

#include <vector>

#include "tools/scoreboard/cases.h"

namespace rehearse {

// Factors on a device's constants that make the sum of squared logarithms of predicted by measured
// least over the cases that may be fitted, in Gauss-Newton steps from 1 with differences for
// derivatives. Every logarithm also has a weight of kPrior towards 0, so that a constant which
// hardly shows in the cases stays where the profile has it. Without cases all are 1.
// cases: of one device. Errors: a case cannot be predicted.
Result<Factors> fit(const std::vector<const Case*>& cases);

inline constexpr double kPrior = 0.1;
inline constexpr int kSteps = 3;

}  // namespace rehearse
