#include "cost/closed_form/refusal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "model/base/check.h"

namespace rehearse {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::estimated:
      return "estimated";
    case Verdict::mesh:
      return "ranks along the axes";
    case Verdict::pipeline:
      return "pipeline";
    case Verdict::batch:
      return "batch";
    case Verdict::tensor:
      return "tensor parallelism";
    case Verdict::workers:
      return "subnetworks or local steps";
    case Verdict::memory:
      return "memory";
    case Verdict::sharded_gradients:
      return "ZeRO-2 and 3 of subnetworks or with local steps";
    case Verdict::played_pipeline:
      return "ZeRO-2 and 3 in a pipeline, beyond the first that were estimated";
    case Verdict::redraws:
      return "masks that are drawn anew";
    case Verdict::parked_units:
      return "units that nobody holds";
    case Verdict::many_workers:
      return "more than 256 workers of subnetworks";
    case Verdict::waiting_stages:
      return "subnetworks and local steps in a pipeline whose stages wait for what they exchange";
    case Verdict::sharing_stages:
      return "ZeRO-2 and 3, subnetworks and local steps in a pipeline whose ranks send shares of "
             "messages";
    case Verdict::stochastic_depth:
      return "stochastic depth";
    case Verdict::exact_sums:
      return "exact sums";
    case Verdict::schedule:
      return "this pipeline schedule";
    case Verdict::schedule_file:
      return "schedule files";
    case Verdict::algorithm:
      return "other collective algorithms than ring";
    case Verdict::shared_parameters:
      return "parameters of more than the first and the last stage";
    case Verdict::cpu_ranks:
      return "ranks that share a CPU";
    case Verdict::different_ranks:
      return "ranks that differ";
    case Verdict::jitter:
      return "jitter";
    case Verdict::overlap_slowdown:
      return "GPUs that messages slow down";
  }
  REHEARSE_UNREACHABLE("verdict");
}

std::string asked_for(const StrategySpec& strategy, Verdict verdict) {
  if (verdict == Verdict::schedule)
    return fmt::format("'pipeline: {{schedule: {}}}'", strategy.pipeline->schedule);
  if (verdict == Verdict::algorithm)
    return fmt::format("'collectives: {}', by 'ring' alone",
                       strategy.collectives ? to_string(*strategy.collectives) : "auto");
  constexpr std::array<std::pair<Verdict, std::string_view>, 5> kKeys = {{
      {Verdict::schedule_file, "pipeline: {schedule}"},
      {Verdict::stochastic_depth, "stochastic_depth"},
      {Verdict::redraws, "subnetwork: {redraw}"},
      {Verdict::waiting_stages, "pipeline: {exchange}"},
      {Verdict::sharing_stages, "pipeline: {scatter_gather}"},
  }};
  for (const auto& [of, key] : kKeys) {
    if (of == verdict) return fmt::format("{} ('{}')", to_string(verdict), key);
  }
  return std::string(to_string(verdict));
}

bool is_simulated_only(Verdict verdict) {
  return verdict >= Verdict::sharded_gradients;
}

std::optional<Verdict> refuse(const ClusterSpec& cluster, const Training& training) {
  if (cluster.device.kind == DeviceKind::cpu) return Verdict::cpu_ranks;
  if (!cluster.ranks.empty()) return Verdict::different_ranks;
  if (cluster.jitter) return Verdict::jitter;
  if (cluster.device.overlap_slowdown > 0) return Verdict::overlap_slowdown;
  if (training.reduction == Reduction::exact) return Verdict::exact_sums;
  return std::nullopt;
}

std::optional<Verdict> refuse(const StrategySpec& strategy) {
  if (strategy.subnetwork && strategy.subnetwork->redraw) return Verdict::redraws;
  if (strategy.stochastic_depth) return Verdict::stochastic_depth;
  if (strategy.collectives != CollectiveAlgorithm::ring) return Verdict::algorithm;
  if (!strategy.pipeline) return std::nullopt;
  if (strategy.pipeline->table) return Verdict::schedule_file;
  constexpr std::array<std::string_view, 5> kSchedules = {"1f1b", "gpipe", "interleaved", "zb-h1",
                                                          "zb-h2"};
  const bool known = std::find(kSchedules.begin(), kSchedules.end(), strategy.pipeline->schedule) !=
                     kSchedules.end();
  return known ? std::nullopt : std::optional(Verdict::schedule);
}

}  // namespace rehearse
