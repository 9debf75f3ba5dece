#include "tools/predict/stated.h"

#include <algorithm>

#include "model/base/check.h"
#include "model/schedule/build_plan.h"

namespace rehearse {
namespace {

Seconds of_rank(const std::vector<Seconds>& times, std::size_t rank) {
  return times.size() == 1 ? times.front() : times[rank];
}

StageCosts costs_of(const StatedPrices& prices, const PipelineShape& shape) {
  StageCosts costs;
  costs.transfer = prices.transfer.seconds();
  const double share = 1 / static_cast<double>(shape.chunks);
  for (std::int64_t s = 0; s < shape.stages(); ++s) {
    const std::size_t rank = rank_of(shape, StageId(s));
    costs.forward.push_back(share * of_rank(prices.forward, rank).seconds());
    costs.backward_input.push_back(share * of_rank(prices.backward_input, rank).seconds());
    costs.backward_weight.push_back(share * of_rank(prices.backward_weight, rank).seconds());
  }
  return costs;
}

Seconds price_of(const StatedPrices& prices, OpKind kind, std::size_t rank) {
  switch (kind) {
    case OpKind::forward:
    case OpKind::recompute:
      return of_rank(prices.forward, rank);
    case OpKind::backward:
      return of_rank(prices.backward_input, rank) + of_rank(prices.backward_weight, rank);
    case OpKind::backward_input:
      return of_rank(prices.backward_input, rank);
    case OpKind::backward_weight:
      return of_rank(prices.backward_weight, rank);
    case OpKind::load_batch:
    case OpKind::accumulate:
    case OpKind::clear:
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
    case OpKind::sum_squares:
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step:
      return Seconds{};
  }
  REHEARSE_UNREACHABLE("op kind");
}

}  // namespace

Result<Plan> stated_plan(const StatedPrices& prices, const ScenarioStrategy& strategy) {
  const PipelineShape shape = pipeline_shape(strategy.spec, strategy.mesh);
  // One block per stage: the only cut there is. A single stage has what the smallest chain has.
  const auto hidden = static_cast<std::size_t>(std::max<std::int64_t>(shape.stages() - 1, 1));
  const ModelSpec chain{
      "mlp",
      {{"image", {1, 1, 1}}, {"hidden", std::vector<std::int64_t>(hidden, 1)}, {"classes", {2}}}};
  Training training;
  training.data = "synthetic";
  training.batch = shape.micro_batches;
  return build_plan(strategy.spec, chain, training, strategy.mesh.ranks(), costs_of(prices, shape));
}

ClusterSpec stated_cluster(const StatedPrices& prices, const Plan& plan) {
  ClusterSpec spec;
  spec.devices_per_node = static_cast<std::int64_t>(plan.ranks.size());
  spec.device.name = "stated prices";
  spec.device.kind = DeviceKind::gpu;
  spec.device.memory = Bytes::gib(1);  // of which the chain takes next to nothing
  spec.device.messaging.latency = prices.transfer;
  return spec;
}

Prices stated_prices(const StatedPrices& prices, const Plan& plan) {
  Prices result;
  result.messaging.latency = prices.transfer;
  for (const RankProgram& program : plan.programs) {
    // With one replica, programs stand in the order of the pipeline's ranks.
    const auto rank = static_cast<std::size_t>(&program - plan.programs.data());
    const double share = 1 / static_cast<double>(program.stages.size());
    auto& ops = result.ops.emplace_back();
    for (const Op& op : program.ops) {
      const Seconds seconds = share * price_of(prices, op.kind, rank);
      ops.push_back({seconds, Bytes{}, resting_on(Provenance::published, seconds)});
    }
  }
  return result;
}

}  // namespace rehearse
