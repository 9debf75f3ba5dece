#include "model/schedule/holding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "model/base/random.h"
#include "model/schedule/assignment.h"
#include "model/schedule/deal.h"

namespace rehearse {

Result<Split> split_of(const StrategySpec& strategy, const Net& net, const Training& training,
                       std::int64_t devices) {
  const Result<Mesh> mesh = resolve_mesh(strategy, devices);
  if (!mesh) return mesh.errors();
  const auto problem = check_pipeline(strategy, *mesh, count_blocks(net));
  if (problem) return error(problem->message);
  const auto inexact =
      training.reduction == Reduction::exact ? check_exact(strategy, *mesh, net) : std::nullopt;
  if (inexact) return error(inexact->message);
  const Result<std::int64_t> samples = micro_batch_samples(strategy, *mesh, training.batch);
  if (!samples) return samples.errors();
  const auto not_local = check_local_steps(strategy, *mesh, training, net);
  if (not_local) return error(not_local->message);
  const auto not_deep = check_depth(strategy, *mesh, training, net);
  if (not_deep) return error(not_deep->message);
  Split split{*mesh, mesh->workers, {}, pipeline_shape(strategy, *mesh), *samples, false, {}};
  for (std::int64_t worker = 0; worker < mesh->workers; ++worker)
    split.workers.push_back(worker);
  if (!strategy.subnetwork) return split;
  const Result<bool> masked = masks(*strategy.subnetwork, mesh->workers);
  if (!masked) return masked.errors();
  split.masks = *masked;
  const bool masks_backward = strategy.subnetwork->masking == Masking::backward && *masked;
  if (masks_backward && strategy.sharding == Sharding::parameters)
    return error("under backward masking everybody reads all weights: they cannot be sharded");
  const Result<UnitRule> units = unit_rule(strategy, *mesh, net);
  if (!units) return units.errors();
  const Net cut = *cut_units(net, *units);
  const Status held = check_units(strategy, *mesh, cut);
  if (!held) return held.errors();
  const auto undealt =
      *masked ? check_dealing(*strategy.subnetwork, mesh->workers, cut) : std::nullopt;
  if (undealt) return error(undealt->message);
  split.units = *units;
  for (const std::int64_t lost : strategy.subnetwork->lost) {
    if (std::erase(split.workers, lost) == 0)
      return error(fmt::format("there is no worker {} to lose: the {} of them count from 0", lost,
                               mesh->workers));
  }
  if (split.workers.empty()) return error("all workers are lost");
  split.mesh.workers = static_cast<std::int64_t>(split.workers.size());
  return split;
}

// Where everybody holds everything, nothing is masked: it is data parallelism.
Masking masking_of(const StrategySpec& strategy, const Split& split) {
  return split.masks ? strategy.subnetwork->masking : Masking{};
}
Averaging averaging_of(const StrategySpec& strategy, const Split& split) {
  return split.masks ? strategy.subnetwork->averaging : Averaging{};
}

std::optional<double> scale_in_training(const StrategySpec& strategy, const Split& split,
                                        const Holding& holding, std::size_t worker) {
  const bool scales = split.masks && strategy.subnetwork->masking == Masking::forward &&
                      strategy.subnetwork->scaling == Scaling::in_training;
  return scales ? std::optional(holding.share_of(worker).inverse()) : std::nullopt;
}

namespace {

// Away from the streams of parameters (by their number) and of draws.
constexpr std::uint64_t kDepthStream = std::uint64_t{1} << 48;

// Where units have equally many holders.
Assignment balanced_assignment(const SubnetworkSpec& spec, std::uint64_t seed, const Net& net,
                               const Split& split) {
  const std::int64_t workers = split.all_workers;
  const AssignmentDraw draw{seed, spec.draw};
  const std::int64_t holders = *holders_of(spec, workers);
  if (split.units.of_width > 1) return assign_widths(net, workers, holders, draw);
  const std::vector<double> loads = unit_loads(net, spec.balance, spec.masking);
  if (spec.holders || spec.coverages.empty())
    return assign_units(net, loads, workers, holders, draw);
  std::vector<double> coverages;
  for (const Fraction& coverage : spec.coverages)
    coverages.push_back(coverage.value());
  return assign_units(net, loads, coverages, draw);
}

// The same replicas, numbered without the workers that are lost. Errors: a unit that is lost with
// them.
Result<Parking> without_lost(Parking parked, const Assignment& assignment, const Net& net,
                             const Split& split) {
  for (std::size_t unit = 0; unit < net.units.size(); ++unit) {
    const auto& by_worker = assignment.holders[unit];
    if (std::any_of(split.workers.begin(), split.workers.end(), [&](std::int64_t worker) {
          return by_worker[static_cast<std::size_t>(worker)];
        }))
      continue;
    const auto holders = std::count(by_worker.begin(), by_worker.end(), true);
    if (holders > 0)
      return error(fmt::format("unit '{}' is lost with its holder{}: the others cannot go on",
                               net.units[unit].name, holders > 1 ? "s" : ""));
    const auto [replica, parked_on] =
        std::lldiv(static_cast<std::int64_t>(*parked[unit]), split.all_workers);
    const auto left = std::find(split.workers.begin(), split.workers.end(), parked_on);
    if (left == split.workers.end())
      return error(
          fmt::format("unit '{}' is lost with worker {}, where it was parked: the others "
                      "cannot go on",
                      net.units[unit].name, parked_on));
    parked[unit] = static_cast<std::size_t>(replica) * split.workers.size() +
                   static_cast<std::size_t>(left - split.workers.begin());
  }
  return parked;
}

// Errors: units whose gradient nobody would divide by all, since one holder is left of several.
Status check_averages(const Assignment& assignment, Averaging averaging, const Net& net,
                      const Split& split) {
  if (averaging != Averaging::all || split.mesh.data * split.mesh.workers == 1) return success();
  for (std::size_t unit = 0; unit < net.units.size(); ++unit) {
    const auto left =
        std::count_if(split.workers.begin(), split.workers.end(), [&](std::int64_t worker) {
          return assignment.holders[unit][static_cast<std::size_t>(worker)];
        });
    if (left * split.mesh.data != 1) continue;
    return error(
        fmt::format("unit '{}' is left with one holder, who has nobody to average over all "
                    "with: 'averaging: holders' goes on",
                    net.units[unit].name));
  }
  return success();
}

// What every replica runs in one step, drawn for each of them.
std::vector<Subnetwork> depths_of(const StochasticDepth& depth, std::uint64_t seed, const Net& net,
                                  std::int64_t replicas) {
  std::vector<Subnetwork> runs(static_cast<std::size_t>(replicas), full_subnetwork(net));
  if (depth.draw == kNothingDropped) return runs;
  Random random(seed, kDepthStream + static_cast<std::uint64_t>(depth.draw));
  for (Subnetwork& replica : runs) {
    for (std::size_t unit = 0; unit < net.units.size(); ++unit)
      replica.holds[unit] = random.uniform() < survival_of(unit, net, depth.keep);
  }
  return runs;
}

}  // namespace

Result<Holding> holding_of(const StrategySpec& strategy, const Training& training, const Net& net,
                           const Split& split) {
  Holding holding;
  if (!split.masks) {
    holding.workers.assign(split.workers.size(), full_subnetwork(net));
    if (strategy.stochastic_depth)
      holding.runs = depths_of(*strategy.stochastic_depth, training.seed, net, split.mesh.data);
    return holding;
  }
  const SubnetworkSpec& spec = *strategy.subnetwork;
  Assignment assignment;
  if (spec.assignment == AssignmentKind::balanced) {
    assignment = balanced_assignment(spec, training.seed, net, split);
    holding.mean = {*holders_of(spec, split.all_workers), split.all_workers};
  } else {
    const std::vector<Fraction> coverages = *coverages_of(spec, split.all_workers);
    const std::uint64_t seed = training.seed;
    assignment = deal_units(net, spec.assignment, coverages, seed, spec.draw);
    holding.parked = park_units(net, spec.assignment, coverages, split.mesh.data, seed, spec.draw);
    const std::int64_t all = units_dealt(net);
    holding.mean = {0, all * split.all_workers};
    for (const Fraction& coverage : coverages)
      holding.mean.held += ceiling_of(coverage, all);
    for (const std::int64_t worker : split.workers)
      holding.shares.push_back({ceiling_of(coverages[static_cast<std::size_t>(worker)], all), all});
  }
  Result<Parking> left = without_lost(std::move(holding.parked), assignment, net, split);
  if (!left) return left.errors();
  holding.parked = std::move(left).value();
  const Status averages = check_averages(assignment, spec.averaging, net, split);
  if (!averages) return averages.errors();
  for (const std::int64_t worker : split.workers)
    holding.workers.push_back(subnetwork_of(assignment, worker));
  return holding;
}

}  // namespace rehearse
