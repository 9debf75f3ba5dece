// Cases whose predictions are formulas.
#pragma once

#include "tools/scoreboard/cases.h"

namespace rehearse::testing {

// Work of each kind at a speed of 1, and the factors that the truth has.
inline Case made_case(const std::string& source, double products, double memory,
                      const Factors& truth) {
  const auto predict = [=](const Factors& factors) -> Result<double> {
    const auto factor = [&](const std::string& name) {
      const auto found = factors.find(name);
      return found == factors.end() ? 1.0 : found->second;
    };
    return products / factor("products") + memory / factor("memory");
  };
  Case made{source, "", "", source, "device", {"memory", "products"}, true};
  made.measured = *predict(truth);
  made.predict = predict;
  return made;
}

}  // namespace rehearse::testing
