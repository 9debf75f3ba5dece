#include "tools/predict/predict.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "cost/cost_model.h"
#include "cost/estimate.h"
#include "model/base/text.h"
#include "model/plan/verify.h"
#include "model/schedule/build_plan.h"
#include "sim/simulate.h"
#include "tools/predict/stated.h"

namespace rehearse {
namespace {

void add_memory(StrategySummary& summary, const Plan& plan, const PlanMemory& memory) {
  const RankMemory* worst = nullptr;
  for (RankSummary& rank : summary.ranks) {
    const RankMemory& own =
        memory.programs[plan.ranks[static_cast<std::size_t>(rank.rank)].program.index()];
    rank.peak_memory = own.peak();
    rank.arena = own.arena;
    rank.arena_live = own.arena_live;
    if (worst == nullptr || own.peak() > worst->peak()) worst = &own;
  }
  take_worst_memory(summary);
  summary.fits = memory.fits;
  if (worst == nullptr) return;
  summary.pools = {{"parameters", worst->parameters},           {"gradients", worst->gradients},
                   {"optimizer_state", worst->optimizer_state}, {"activations", worst->activations},
                   {"communication", worst->communication},     {"workspace", worst->workspace}};
}

void add_bytes(StrategySummary& summary, const Plan& plan, const Cluster& cluster,
               const sim::Outcome& outcome) {
  for (RankSummary& rank : summary.ranks) {
    const RankTraffic traffic = traffic_of(plan, RankId(rank.rank));
    rank.sent = traffic.total_sent();
    rank.received = traffic.total_received();
  }
  for (std::size_t l = 0; l < cluster.links().size(); ++l) {
    const Link& link = cluster.links()[l];
    const Bytes per_step = Bytes::bytes(outcome.link_bytes[l].bytes() / outcome.timeline.steps);
    if (per_step == Bytes{}) continue;
    summary.links.push_back({link.name, per_step, (per_step / link.bandwidth) / summary.step_time});
  }
}

std::optional<double> mfu(const Plan& plan, const Net& net, const Device& device, Seconds step) {
  const auto peak = device.peak.find(plan.training.dtype);
  if (peak == device.peak.end()) return std::nullopt;
  const double ranks = static_cast<double>(plan.ranks.size());
  return (model_flops(plan, net) / (peak->second * ranks)) / step;
}

// Simulated time is counted in picoseconds and ends after 106 days; contention may stretch what is
// priced here, so that a tenth of it is let through.
constexpr Seconds kLongestRun = Seconds::seconds(9e5);

Status check_duration(const Plan& plan, const Prices& prices) {
  Seconds longest;
  for (const std::vector<OpPrice>& program : prices.ops) {
    Seconds step;
    for (const OpPrice& op : program)
      step += op.seconds;
    longest = std::max(longest, step);
  }
  // In a pipeline, stages may wait for one another.
  const Seconds run = longest * static_cast<double>(plan.mesh.pipeline * kSimulatedSteps);
  if (run <= kLongestRun) return success();
  return error(
      fmt::format("a rank computes {} in each step on this device, too long to simulate {} steps",
                  human(longest), kSimulatedSteps));
}

Diagnostics located(Diagnostics errors, const ScenarioStrategy& strategy) {
  for (Diagnostic& error : errors) {
    if (!error.where) error.where = strategy.where;
  }
  return errors;
}

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

namespace {

// Seconds of a message between neighbouring stages, by the slower of the links there are: what
// passes are placed by, before anybody knows which ranks are neighbours.
double transfer_seconds(const Net& net, std::int64_t samples, const Scenario& scenario) {
  const ClusterSpec& cluster = scenario.cluster;
  Bytes largest;
  for (std::size_t block = 1; block < net.blocks.size(); ++block) {
    Bytes crossing;
    for (const ValueId value : values_across(net, begin_of(net, BlockId(block))))
      crossing += size_of(net, value, samples, element_sizes(scenario.training));
    largest = std::max(largest, crossing);
  }
  Seconds slowest;
  const auto over = [&](const LinkSpec& link) {
    slowest = std::max(slowest, link.latency + largest / link.bandwidth);
  };
  if (cluster.interconnect && cluster.devices_per_node > 1) over(*cluster.interconnect);
  if (cluster.network.kind != NetworkKind::none && cluster.nodes > 1) over(cluster.network.link);
  return (cluster.device.messaging.latency + slowest).seconds();
}

Result<Plan> build(const Scenario& scenario, const ScenarioStrategy& strategy) {
  if (scenario.prices) return stated_plan(*scenario.prices, strategy);
  const Net net = *build_net(scenario.model);
  const auto samples = micro_batch_samples(strategy.spec, strategy.mesh, scenario.training.batch);
  if (!samples) return samples.errors();
  const Device& device = scenario.cluster.device;
  StageCosts costs = stage_costs(net, *samples, scenario.training, device);
  costs.transfer = transfer_seconds(net, *samples, scenario);
  return build_plan(strategy.spec, scenario.model, scenario.training,
                    scenario.cluster.nodes * scenario.cluster.devices_per_node, costs,
                    stage_memory(net, *samples, scenario.training, device.memory));
}

}  // namespace

Result<Plan> plan_of(const Scenario& scenario, const ScenarioStrategy& strategy) {
  Result<Plan> plan = build(scenario, strategy);
  if (!plan) return located(plan.errors(), strategy);
  const Status good = verify(*plan);
  // Strategies that were read without errors build plans that verify: anything else is ours to
  // mend.
  REHEARSE_CHECK(good.ok(), "the plan of strategy '{}' is wrong:\n{}", strategy.spec.name,
                 format(good.errors()));
  return plan;
}

Result<Prediction> predict(const Scenario& scenario, const ScenarioStrategy& strategy) {
  Result<Plan> plan = plan_of(scenario, strategy);
  if (!plan) return plan.errors();
  const Net net = *whole_net(*plan);
  const ClusterSpec machines =
      scenario.prices ? stated_cluster(*scenario.prices, *plan) : scenario.cluster;
  const Device& device = machines.device;
  const Result<Cluster> cluster = Cluster::build(machines);
  if (!cluster) return cluster.errors();
  const Prices prices =
      scenario.prices ? stated_prices(*scenario.prices, *plan) : make_prices(*plan, net, device);
  const Status short_enough = check_duration(*plan, prices);
  if (!short_enough) return located(short_enough.errors(), strategy);
  Result<sim::Outcome> outcome = sim::simulate(*plan, *cluster, prices, kSimulatedSteps);
  if (!outcome) return located(outcome.errors(), strategy);
  StrategySummary summary = summarize(*plan, net, outcome->timeline, kWarmUp);
  if (!scenario.prices) summary.mfu = mfu(*plan, net, device, summary.step_time);
  add_memory(summary, *plan, memory_of(*plan, device, machines.devices_per_node));
  add_bytes(summary, *plan, *cluster, *outcome);
  return Prediction{std::move(*plan), std::move(outcome->timeline), std::move(summary)};
}

}  // namespace rehearse
