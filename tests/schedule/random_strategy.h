// Random strategies on small random networks, mostly possible ones.
#pragma once

#include <string>

#include "model/base/random.h"
#include "model/schedule/build_plan.h"

namespace rehearse::testing {

struct RandomCase {
  StrategySpec strategy;
  ModelSpec model;
  Training training;
  std::int64_t devices = 1;
  StageCosts costs;
};

RandomCase random_case(Random& random);

// Everything that was drawn, in one line.
std::string describe(const RandomCase& c);

}  // namespace rehearse::testing
