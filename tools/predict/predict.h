// From a scenario to predictions: the one way from text to plan to price to timeline.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cost/memory.h"
#include "model/base/diagnostic.h"
#include "model/net/net.h"
#include "model/plan/plan.h"
#include "model/plan/prices.h"
#include "model/plan/timeline.h"
#include "model/scenario/scenario.h"
#include "sim/link_flows.h"
#include "tools/predict/plans.h"
#include "tools/summary/summary.h"

namespace rehearse {

// Steps that are simulated, and how many of them count as warm-up: pipelines fill in the first,
// ranks drift apart in the second.
inline constexpr std::int64_t kSimulatedSteps = 6, kWarmUp = 2;

// What the plan's ops take on the scenario's devices, or what the scenario states.
Prices prices_of(const Scenario& scenario, const Plan& plan);

// The steady step time of a plan, and no other figure of it.
Result<Seconds> step_time_of(const Scenario& scenario, const Plan& plan);

// With local steps the plan and the timeline are those of the step that synchronises, the summary's
// figures means over a period; where plans are drawn, they are of the first draw, the figures means
// over several and memory that of the largest.
struct Prediction {
  Plan plan;
  Timeline timeline;
  StrategySummary summary;
  // The busiest links, and what flows over them in all steps of the timeline.
  std::vector<LinkId> watched;
  std::vector<sim::LinkFlow> flows;
};
// watch: so many of the links at most; none where not all that is sent is played.
Result<Prediction> predict(const Scenario& scenario, const ScenarioStrategy& strategy,
                           std::size_t watch = 0);

// Whether all that is sent is in the timeline, and each op is one of the plan's: nothing is folded,
// and no rank stands for others.
bool is_played_whole(const Scenario& scenario);

}  // namespace rehearse
