#include "model/schedule/build_plan/pipeline_actions.h"

#include <algorithm>
#include <set>

#include "model/schedule/rendezvous.h"

namespace rehearse {
namespace {

PipelineCosts costs_of_stages(const StageCosts& costs,
                              const std::vector<std::size_t>& first_blocks) {
  PipelineCosts by_stage;
  by_stage.transfer = costs.transfer;
  for (std::size_t s = 0; s + 1 < first_blocks.size(); ++s) {
    const auto sum = [&](const std::vector<double>& by_block) {
      double total = 0;
      for (std::size_t b = first_blocks[s]; b < first_blocks[s + 1]; ++b)
        total += by_block[b];
      return total;
    };
    by_stage.forward.push_back(sum(costs.forward));
    by_stage.backward_input.push_back(sum(costs.backward_input));
    by_stage.backward_weight.push_back(sum(costs.backward_weight));
  }
  return by_stage;
}

std::vector<std::vector<Action>> with_messages(const StrategySpec& strategy,
                                               const PipelineShape& shape,
                                               const std::vector<std::vector<Slot>>& passes) {
  const bool waits = strategy.pipeline && is_waited_for(strategy.pipeline->exchange);
  return waits ? add_awaited_messages(shape, passes) : add_messages(shape, passes);
}

std::vector<std::vector<Slot>> passes_of(const StrategySpec& strategy, const PipelineShape& shape,
                                         PipelineCosts costs) {
  PipelineRequest request;
  request.shape = shape;
  request.costs = std::move(costs);
  request.live_limit = static_cast<double>(shape.ranks);
  if (strategy.pipeline && strategy.pipeline->live) request.live_limit = *strategy.pipeline->live;
  if (strategy.pipeline) request.kept_after_input = strategy.pipeline->kept_after_input;
  // A single stage runs each micro-batch forward and backward in turn: gradient accumulation.
  const PipelineSchedule* schedule =
      find_pipeline_schedule(strategy.pipeline ? strategy.pipeline->schedule : "1f1b");
  return schedule->order(request);
}

}  // namespace

std::vector<std::size_t> PipelineActions::neighbours(std::size_t rank) const {
  std::set<std::size_t> found;
  for (const StageId stage : stages_of(shape, rank)) {
    if (stage.index() > 0) found.insert(ranks_of_stages[stage.index() - 1]);
    if (stage.index() + 1 < ranks_of_stages.size())
      found.insert(ranks_of_stages[stage.index() + 1]);
  }
  found.erase(rank);
  return {found.begin(), found.end()};
}

std::vector<std::optional<std::size_t>> PipelineActions::peer_slots(std::size_t rank) const {
  const std::vector<std::size_t> peers = neighbours(rank);
  std::vector<std::optional<std::size_t>> slots;
  for (const std::size_t other : ranks_of_stages) {
    const auto found = std::find(peers.begin(), peers.end(), other);
    slots.push_back(found == peers.end() ? std::nullopt
                                         : std::optional<std::size_t>(found - peers.begin()));
  }
  return slots;
}

PipelineActions pipeline_actions(const StrategySpec& strategy, const PipelineShape& shape,
                                 const StageCosts& costs, const std::optional<StageCut>& cut) {
  PipelineActions pipeline;
  pipeline.shape = shape;
  pipeline.first_blocks = cut ? *cut : *cut_stages(total_of(costs), shape.stages());
  for (std::int64_t s = 0; s < shape.stages(); ++s)
    pipeline.ranks_of_stages.push_back(rank_of(shape, StageId(s)));
  const bool has_table = strategy.pipeline && strategy.pipeline->table;
  if (has_table && strategy.pipeline->table->has_messages) {
    pipeline.ranks = strategy.pipeline->table->ranks;
    return pipeline;
  }
  pipeline.ranks = with_messages(
      strategy, shape,
      has_table ? slots_of(strategy.pipeline->table->ranks)
                : passes_of(strategy, shape, costs_of_stages(costs, pipeline.first_blocks)));
  return pipeline;
}

}  // namespace rehearse
