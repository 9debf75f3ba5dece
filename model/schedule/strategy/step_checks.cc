// What a step exchanges and adds up, and which strategies can do without it or in another order.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>

#include "model/net/tensor.h"
#include "model/schedule/strategy.h"

namespace rehearse {
namespace {

// The first parameter that layers of two blocks share.
std::optional<ParameterId> shared_parameter(const Net& net) {
  std::map<ParameterId, BlockId> users;
  for (const Layer& layer : net.layers) {
    const BlockId block = net.segments[layer.segment.index()].block;
    for (const ParameterId parameter : layer.parameters) {
      if (users.try_emplace(parameter, block).first->second != block) return parameter;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<StrategyProblem> check_exact(const StrategySpec& strategy, const Mesh& mesh,
                                           const Net& net) {
  if (mesh.tensor > 1) {
    return StrategyProblem{StrategyKey::tensor,
                           "tensor-parallel ranks make sums of their own: their reductions cannot "
                           "be 'exact'"};
  }
  const bool is_other = strategy.collectives != CollectiveAlgorithm::ring &&
                        strategy.collectives != CollectiveAlgorithm::pairwise;
  if (strategy.collectives && is_other) {
    return StrategyProblem{
        StrategyKey::collectives,
        fmt::format("'exact' reductions are by pairwise exchanges, not by {}: leave it out, or "
                    "'auto', which is of the other collectives",
                    to_string(*strategy.collectives))};
  }
  const auto shared = shared_parameter(net);
  if (mesh.pipeline > 1 && shared) {
    return StrategyProblem{
        StrategyKey::stages,
        fmt::format("{} is used by the first stage and the last, whose gradients meet after those "
                    "of their micro-batches: reductions cannot be 'exact' (with 'tied: false' they "
                    "can)",
                    net.parameters[shared->index()].name)};
  }
  const std::int64_t own = micro_batches_of(strategy), replicas = mesh.data * mesh.workers;
  if (replicas == 1 || std::has_single_bit(static_cast<std::uint64_t>(own))) return std::nullopt;
  return StrategyProblem{
      StrategyKey::micro_batches,
      fmt::format("{} micro-batches on each of {} replicas: for 'exact' reductions they are a "
                  "power of two, so that one tree adds up those of a rank and then the ranks",
                  own, replicas)};
}

namespace {

// Whether there are parts of the network that some workers do not hold.
bool leaves_out(const StrategySpec& strategy, const Mesh& mesh) {
  if (!strategy.subnetwork) return false;
  const Result<bool> masked = masks(*strategy.subnetwork, mesh.workers);
  return masked && *masked;
}

bool ends_on_one_rank(const StrategySpec& strategy, const Mesh& mesh) {
  const PipelineShape shape = pipeline_shape(strategy, mesh);
  return rank_of(shape, StageId(0)) == rank_of(shape, StageId(shape.stages() - 1));
}

bool has_terms_on_several_ranks(const StrategySpec& strategy, const Mesh& mesh, const Net& net) {
  if (mesh.tensor == 1) return false;
  const Result<Net> sliced = shard(net, mesh.tensor, strategy.tensor->sequence_parallel);
  return sliced && std::any_of(sliced->parameters.begin(), sliced->parameters.end(),
                               [](const Parameter& p) { return p.spread == Spread::partial; });
}

// What has to be exchanged in every step, whoever trains for itself.
std::optional<StrategyProblem> needed_in_every_step(const StrategySpec& strategy, const Mesh& mesh,
                                                    const Training& training, const Net& net) {
  if (strategy.sharding != Sharding::none)
    return StrategyProblem{StrategyKey::data,
                           "ZeRO's shards need the gradients of every step: with local steps there "
                           "are none (zero: 0)"};
  if (leaves_out(strategy, mesh) && strategy.subnetwork->masking == Masking::backward)
    return StrategyProblem{StrategyKey::masking,
                           "under backward masking those who only read weights need new ones in "
                           "every step: local steps are for forward masking"};
  if (training.reduction == Reduction::exact)
    return StrategyProblem{StrategyKey::local_steps,
                           "with local steps nobody adds up the gradients of the global batch: "
                           "reductions cannot be 'exact'"};
  const auto shared = shared_parameter(net);
  if (shared && !ends_on_one_rank(strategy, mesh))
    return StrategyProblem{
        StrategyKey::stages,
        fmt::format("{} is used by the first stage and the last, which add up its gradients in "
                    "every step: with local steps it has to be 'tied: false'",
                    net.parameters[shared->index()].name)};
  if (has_terms_on_several_ranks(strategy, mesh, net))
    return StrategyProblem{StrategyKey::tensor,
                           "sequence-parallel ranks add up the gradients of norms in every step, "
                           "with those of the replicas: local steps are for tensor parallelism "
                           "without it"};
  return std::nullopt;
}

}  // namespace

std::optional<StrategyProblem> check_local_steps(const StrategySpec& strategy, const Mesh& mesh,
                                                 const Training& training, const Net& net) {
  const auto& subnetwork = strategy.subnetwork;
  if (strategy.local_steps == 1) {
    if (!strategy.outer) return std::nullopt;
    return StrategyProblem{StrategyKey::outer,
                           "an outer optimizer moves what several local steps have changed: "
                           "'local_steps' says how many"};
  }
  if (mesh.data * mesh.workers == 1)
    return StrategyProblem{StrategyKey::local_steps,
                           "there is one replica: it has nobody to come together with"};
  if (auto needed = needed_in_every_step(strategy, mesh, training, net)) return needed;
  if (leaves_out(strategy, mesh) && subnetwork->averaging == Averaging::all)
    return StrategyProblem{StrategyKey::averaging,
                           "with local steps weights are averaged, over those who have them: "
                           "'averaging: all' is of gradients"};
  if (subnetwork && subnetwork->redraw && *subnetwork->redraw % strategy.local_steps != 0)
    return StrategyProblem{
        StrategyKey::redraw,
        fmt::format("holders' copies differ between synchronisations: they can be drawn anew after "
                    "a multiple of {} steps, not after {}",
                    strategy.local_steps, *subnetwork->redraw)};
  const StateSizes sizes = state_sizes(training);
  if (sizes.moment == sizes.gradient || strategy.outer) return std::nullopt;
  return StrategyProblem{
      StrategyKey::local_steps,
      fmt::format("weights averaged in {} would lose the precision of their master copies; 'outer: "
                  "{{lr: 1, momentum: 0}}' is the same mean, of differences, which are small",
                  to_string(training.dtype))};
}

std::optional<StrategyProblem> check_depth(const StrategySpec& strategy, const Mesh& mesh,
                                           const Training& training, const Net& net) {
  if (!strategy.stochastic_depth) return std::nullopt;
  const auto refused = [](std::string why) {
    return StrategyProblem{StrategyKey::stochastic_depth, std::move(why)};
  };
  if (mesh.workers * mesh.pipeline * mesh.tensor > 1 || strategy.subnetwork)
    return refused("every replica leaves out blocks of its own: it goes with 'data' alone");
  if (strategy.sharding >= Sharding::gradients)
    return refused("every replica needs room for all gradients: 'zero' up to 1");
  if (strategy.local_steps > 1)
    return refused("replicas with local steps do not draw blocks in each of them");
  if (training.reduction == Reduction::exact)
    return refused(
        "the same sums in another order cannot be the same here: what replicas leave out "
        "depends on how many there are ('reduction: fast')");
  if (net.units.empty()) return refused("the model has no block that could be left out");
  return std::nullopt;
}

}  // namespace rehearse
