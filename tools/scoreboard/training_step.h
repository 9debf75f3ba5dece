// One strategy of a scenario: what a step takes, and what it needs memory for.
#pragma once

#include <optional>

#include "model/base/diagnostic.h"
#include "model/plan/plan.h"
#include "model/scenario/scenario.h"
#include "tools/scoreboard/cases.h"

namespace rehearse {

class TrainingStep {
 public:
  // Of the scenario's first strategy.
  explicit TrainingStep(Scenario scenario);

  // Whether it has so many passes that it is estimated in closed form (ScenarioEstimator), where
  // there is one: simulations of these take minutes.
  bool is_estimated() const { return is_estimated_; }
  // Of a step. The plan is built once, by the profile's own prices.
  Result<double> seconds(const Factors& factors);

  // Bytes of tensors on the rank that has most at once: what an allocator counts, without the gaps
  // between them and what libraries have.
  Result<double> allocated();
  // Bytes on the first rank of the pipeline of its layers alone, without embeddings and head: of
  // weights, gradients and the optimizer's state; and of what forward passes keep when most of it
  // is alive. They are what as many layers again would add.
  // Errors: there is no closed form of it.
  Result<double> layer_state() const;
  Result<double> layer_activations() const;

 private:
  Result<double> estimate(const Factors& factors) const;
  const Result<Plan>& built();

  Scenario scenario_;
  bool is_estimated_ = false;
  std::optional<Result<Plan>> plan_;
};

}  // namespace rehearse
