// Plans of every strategy that are small enough to be damaged and played many times.
#pragma once

#include <string>
#include <vector>

#include "model/plan/plan.h"

namespace rehearse::testing {

struct GoodPlan {
  std::string name;
  Plan plan;
};

std::vector<GoodPlan> good_plans();

// A transformer of few parameters; tied: 1 or 0.
ModelSpec small_gpt(std::int64_t layers, std::int64_t tied);

}  // namespace rehearse::testing
