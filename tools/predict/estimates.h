// Estimates of a scenario's strategies in closed form (cost/closed_form/estimator.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cost/closed_form/estimator.h"
#include "cost/error_band.h"
#include "model/base/diagnostic.h"
#include "model/base/styled_text.h"
#include "model/scenario/scenario.h"

namespace rehearse {

struct StrategyEstimate {
  std::string strategy;
  Estimate estimate;
  std::string reason = {};  // why there is none, or why it does not fit; empty: it does
  double samples_per_s = 0;
  std::optional<double> tokens_per_s = std::nullopt, mfu = std::nullopt;
  std::optional<TimeBand> step_time_band = std::nullopt;
  double step_multiplier = 1;  // steps of a whole run for one of data parallelism's
};

// One for many strategies: what they have in common is worked out once.
class ScenarioEstimator {
 public:
  // Errors: the estimator's; times that the scenario states itself, which are simulated only.
  static Result<ScenarioEstimator> make(const Scenario& scenario);
  StrategyEstimate operator()(const ScenarioStrategy& strategy,
                              Contention contention = Contention::marked);

 private:
  ScenarioEstimator(Estimator estimator, const std::optional<PredictionErrors>& errors)
      : estimator_(std::move(estimator)), errors_(errors) {}
  Estimator estimator_;
  std::optional<PredictionErrors> errors_;
};

// {scenario, source: "estimated", device, strategies: [...]}: the keys of predictions where they
// mean the same (tools/summary/summary.h); what an estimate does not say is left out.
std::string print_json(const Scenario& scenario, const std::vector<StrategyEstimate>& all);
// The table people read, and why some are not in it.
StyledText print_table(const Scenario& scenario, const std::vector<StrategyEstimate>& all);

}  // namespace rehearse
