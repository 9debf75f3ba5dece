#include "tools/scoreboard/training_step.h"

#include <algorithm>

#include "cost/closed_form/estimator.h"
#include "cost/memory.h"
#include "cost/memory_curve.h"
#include "model/net/tensor.h"
#include "tools/predict/estimates.h"
#include "tools/predict/predict.h"

namespace rehearse {
namespace {

// Of the ranks of one replica in a step.
constexpr std::int64_t kMostPasses = 2'000;

std::int64_t passes_of(const StrategySpec& strategy) {
  const std::int64_t tensor = strategy.tensor ? strategy.tensor->ranks.value_or(1) : 1;
  if (!strategy.pipeline) return tensor * strategy.micro_batches;
  const PipelineSpec& pipeline = *strategy.pipeline;
  return tensor * pipeline.stages.value_or(1) * pipeline.chunks.value_or(1) *
         pipeline.micro_batches;
}

Scenario with_twice_the_layers(Scenario scenario) {
  std::int64_t& layers = scenario.model.fields.at("layers").front();
  layers *= 2;
  return scenario;
}

// Elements of the network that one tensor-parallel rank has.
Result<std::int64_t> elements_of(const Scenario& scenario) {
  const Result<Net> whole = build_net(scenario.model);
  if (!whole) return whole.errors();
  const ScenarioStrategy& strategy = scenario.strategies.front();
  const bool by_rows = strategy.spec.tensor && strategy.spec.tensor->sequence_parallel;
  const Result<Net> net = shard(*whole, strategy.mesh.tensor, by_rows);
  if (!net) return net.errors();
  std::int64_t elements = 0;
  for (const Parameter& parameter : net->parameters)
    elements += parameter.shape.elements();
  return elements;
}

Result<double> live_on_first_rank(const Scenario& scenario) {
  Result<Estimator> made = Estimator::make(scenario.model, scenario.training, scenario.cluster);
  if (!made) return made.errors();
  const StrategySpec& strategy = scenario.strategies.front().spec;
  const Estimate estimate = made->estimate(strategy);
  if (!estimate.ok()) return error(made->reason(strategy, estimate));
  return static_cast<double>(made->arena_live(strategy).front());
}

template <class Of>
Result<double> added_by_layers(const Scenario& scenario, const Of& of) {
  const auto once = of(scenario), twice = of(with_twice_the_layers(scenario));
  if (!once) return once.errors();
  if (!twice) return twice.errors();
  return static_cast<double>(*twice - *once);
}

}  // namespace

TrainingStep::TrainingStep(Scenario scenario) : scenario_(std::move(scenario)) {
  const StrategySpec& strategy = scenario_.strategies.front().spec;
  is_estimated_ = passes_of(strategy) > kMostPasses &&
                  !refuse(scenario_.cluster, scenario_.training) && !refuse(strategy);
}

Result<double> TrainingStep::seconds(const Factors& factors) {
  if (is_estimated_) return estimate(factors);
  const Result<Plan>& plan = built();
  if (!plan) return plan.errors();
  Scenario changed = scenario_;
  apply(factors, changed.cluster);
  const Result<Seconds> time = step_time_of(changed, *plan);
  if (!time) return time.errors();
  return time->seconds();
}

Result<double> TrainingStep::allocated() {
  const Result<Plan>& plan = built();
  if (!plan) return plan.errors();
  Bytes most;
  for (const RankProgram& program : plan->programs)
    most = std::max(most, memory_curve(program).most() + gradient_stand_ins(*plan, program));
  return static_cast<double>(most.bytes());
}

Result<double> TrainingStep::layer_state() const {
  const Result<double> elements = added_by_layers(scenario_, elements_of);
  if (!elements) return elements;
  const StateSizes sizes = state_sizes(scenario_.training);
  const double bytes = static_cast<double>(sizes.parameter + sizes.gradient + sizes.optimizer);
  return *elements * bytes / static_cast<double>(scenario_.strategies.front().mesh.pipeline);
}

Result<double> TrainingStep::layer_activations() const {
  const Result<double> live = added_by_layers(scenario_, live_on_first_rank), state = layer_state();
  if (!live) return live;
  if (!state) return state;
  return *live - *state;
}

Result<double> TrainingStep::estimate(const Factors& factors) const {
  Scenario changed = scenario_;
  apply(factors, changed.cluster);
  Result<ScenarioEstimator> estimator = ScenarioEstimator::make(changed);
  if (!estimator) return estimator.errors();
  const StrategyEstimate made = (*estimator)(changed.strategies.front());
  if (!made.estimate.ok()) return error(made.reason);
  return made.estimate.step_time;
}

const Result<Plan>& TrainingStep::built() {
  if (!plan_) plan_ = unfitted_plan(scenario_, scenario_.strategies.front());
  return *plan_;
}

}  // namespace rehearse
