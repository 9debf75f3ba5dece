#include "tools/predict/plans.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "cost/estimate.h"
#include "model/base/check.h"
#include "model/base/text.h"
#include "model/plan/verify.h"
#include "model/schedule/build_plan.h"
#include "tools/predict/collectives.h"
#include "tools/predict/stated.h"

namespace rehearse {
namespace {

// Where an installed program finds them from its own place, or else the source they were built
// from.
std::string shipped_profiles() {
  namespace fs = std::filesystem;
  std::error_code problem;
  const fs::path program = fs::read_symlink("/proc/self/exe", problem);
  const fs::path installed =
      (program.parent_path() / REHEARSE_INSTALLED_PROFILES).lexically_normal();
  return fs::is_directory(installed, problem) ? installed.string() : REHEARSE_PROFILE_DIRECTORY;
}

}  // namespace

ProfilePath profile_path(const std::string& scenario_path) {
  ProfilePath path;
  path.directories.push_back(
      (std::filesystem::path(scenario_path).parent_path() / "devices").string());
  if (const char* directory = std::getenv("REHEARSE_PROFILES"))
    path.directories.emplace_back(directory);
  path.directories.push_back(shipped_profiles());
  return path;
}

Result<ScenarioStrategy> find_strategy(const Scenario& scenario,
                                       const std::optional<std::string>& name) {
  if (!name && scenario.strategies.size() == 1) return scenario.strategies.front();
  std::vector<std::string> names;
  for (const ScenarioStrategy& strategy : scenario.strategies) {
    if (strategy.spec.name == name) return strategy;
    names.push_back(strategy.spec.name);
  }
  if (!name) {
    return error(fmt::format("{} has several strategies: say which with --strategy ({})",
                             scenario.path, join(names, ", ")));
  }
  const auto guess = nearest(*name, names);
  return error(guess ? fmt::format("{} has no strategy '{}'; did you mean '{}'?", scenario.path,
                                   *name, *guess)
                     : fmt::format("{} has no strategy '{}'; it has {}", scenario.path, *name,
                                   join(names, ", ")));
}

Diagnostics located(Diagnostics errors, const ScenarioStrategy& strategy) {
  for (Diagnostic& error : errors) {
    if (!error.where) error.where = strategy.where;
  }
  return errors;
}

namespace {

// The network as the strategy's ranks run it.
Net net_of_ranks(const Scenario& scenario, const ScenarioStrategy& strategy) {
  Plan frame;
  frame.model = scenario.model;
  frame.mesh = strategy.mesh;
  frame.recomputation = strategy.spec.recomputation;
  frame.units = unit_rule(strategy.spec, strategy.mesh, *build_net(frame.model)).value();
  frame.sequence_parallel = strategy.spec.tensor && strategy.spec.tensor->sequence_parallel;
  return *whole_net(frame);
}

enum class StageFit { by_time, in_memory };

Result<FittedPlan> build(const Scenario& scenario, const ScenarioStrategy& strategy, StageFit fit) {
  const auto without_memory = [](Result<Plan> plan) -> Result<FittedPlan> {
    if (!plan) return plan.errors();
    return FittedPlan{*std::move(plan), std::nullopt};
  };
  if (scenario.prices) return without_memory(stated_plan(*scenario.prices, strategy));
  const ClusterSpec& cluster = scenario.cluster;
  const StrategySpec& spec = strategy.spec;
  const auto samples = micro_batch_samples(spec, strategy.mesh, scenario.training.batch);
  if (!samples) return samples.errors();
  const Net net = net_of_ranks(scenario, strategy);
  const StageCosts costs =
      stage_costs(net, spec.recomputation, *samples, scenario.training, cluster, strategy.mesh);
  const CollectiveCosts collectives = collective_costs(cluster);
  const auto build_cut = [&](const std::optional<StageCut>& cut) {
    return build_plan(spec, scenario.model, scenario.training,
                      cluster.nodes * cluster.devices_per_node, costs, cut, collectives);
  };
  if (spec.pipeline && spec.pipeline->cut == StageRule::layers)
    return without_memory(build_cut(std::nullopt));
  // Both plans of a period are cut alike: the one that synchronises needs more.
  if (spec.local_steps > 1 && !spec.synchronises) {
    ScenarioStrategy last = strategy;
    last.spec.synchronises = true;
    const Result<FittedPlan> larger = build(scenario, last, fit);
    if (!larger) return larger.errors();
    const bool is_cut = !larger->plan.stage_costs.forward.empty();
    return without_memory(
        build_cut(is_cut ? std::optional(cut_of(larger->plan, net)) : std::nullopt));
  }
  if (fit == StageFit::by_time) return without_memory(build_cut(std::nullopt));
  const BlockMemory blocks =
      block_memory(net, spec.recomputation, *samples, scenario.training, spec.sharding,
                   strategy.mesh.data * strategy.mesh.workers, spec.outer);
  const Result<Cluster> machines = Cluster::build(cluster);
  if (!machines) return machines.errors();
  return fit_stages(build_cut, blocks,
                    [&](const Plan& plan) { return memory_of(plan, *machines); });
}

}  // namespace

Result<FittedPlan> fitted_plan(const Scenario& scenario, const ScenarioStrategy& strategy) {
  Result<FittedPlan> fitted = build(scenario, strategy, StageFit::in_memory);
  if (!fitted) return located(fitted.errors(), strategy);
  const Status good = verify(fitted->plan);
  // Strategies that were read without errors build plans that verify: anything else is ours to
  // mend.
  REHEARSE_CHECK(good.ok(), "the plan of strategy '{}' is wrong:\n{}", strategy.spec.name,
                 format(good.errors()));
  return fitted;
}

Result<Plan> plan_of(const Scenario& scenario, const ScenarioStrategy& strategy) {
  Result<FittedPlan> fitted = fitted_plan(scenario, strategy);
  if (!fitted) return fitted.errors();
  return std::move(fitted->plan);
}

Result<Plan> unfitted_plan(const Scenario& scenario, const ScenarioStrategy& strategy) {
  Result<FittedPlan> built = build(scenario, strategy, StageFit::by_time);
  if (!built) return located(built.errors(), strategy);
  return std::move(built->plan);
}

}  // namespace rehearse
