#include <fmt/format.h>

#include "model/net/alike.h"
#include "model/schedule/pipeline.h"
#include "model/schedule/strategy.h"

namespace rehearse {
namespace {

std::optional<StrategyProblem> check_table(const PipelineSpec& pipeline, const Mesh& mesh) {
  const PipelineShape& shape = pipeline.table_shape;
  if (shape.ranks != mesh.pipeline) {
    return StrategyProblem{StrategyKey::stages,
                           fmt::format("the schedule file is for {} ranks, the pipeline has {}",
                                       shape.ranks, mesh.pipeline)};
  }
  if (shape.micro_batches == pipeline.micro_batches) return std::nullopt;
  return StrategyProblem{StrategyKey::micro_batches,
                         fmt::format("the schedule file has {} micro-batches, the pipeline {}",
                                     shape.micro_batches, pipeline.micro_batches)};
}

std::optional<StrategyProblem> check_schedule(const PipelineSpec& pipeline,
                                              const PipelineShape& shape) {
  const PipelineSchedule* schedule = find_pipeline_schedule(pipeline.schedule);
  if (schedule == nullptr) {
    return StrategyProblem{StrategyKey::schedule,
                           fmt::format("there is no pipeline schedule '{}'", pipeline.schedule)};
  }
  if (shape.chunks < schedule->fewest_chunks || shape.chunks > schedule->most_chunks) {
    const bool one = schedule->fewest_chunks == schedule->most_chunks;
    return StrategyProblem{
        StrategyKey::chunks,
        fmt::format("{} has {}{} chunk{} per rank, not {}", schedule->name, schedule->fewest_chunks,
                    one ? "" : " or more", schedule->most_chunks == 1 ? "" : "s", shape.chunks)};
  }
  const Status possible = schedule->check(shape);
  if (!possible)
    return StrategyProblem{StrategyKey::micro_batches, possible.errors().front().message};
  if (!schedule->takes_live_limit || pipeline.live.value_or(1) >= 1) return std::nullopt;
  return StrategyProblem{
      StrategyKey::live,
      fmt::format("{} needs room for one activation, not {:g}", schedule->name, *pipeline.live)};
}

// Shares of messages need messages, and ranks that have the same to send.
std::optional<StrategyProblem> check_scatter(const StrategySpec& strategy, const Mesh& mesh) {
  if (!strategy.pipeline || !strategy.pipeline->scatter_gather) return std::nullopt;
  const auto refuse = [](std::string_view why) {
    return StrategyProblem{StrategyKey::scatter_gather, fmt::format("'scatter_gather' {}", why)};
  };
  if (mesh.pipeline == 1)
    return refuse("shares out messages between stages, of which one stage has none");
  if (mesh.tensor == 1)
    return refuse(
        "shares out what tensor-parallel ranks have alike: a rank alone sends all of it (tensor: 2 "
        "or more)");
  if (strategy.tensor->sequence_parallel)
    return refuse(
        "shares out what tensor-parallel ranks have alike: with 'sequence_parallel' each has rows "
        "of its own, and sends no more than these");
  return std::nullopt;
}

}  // namespace

BlockCount count_blocks(const Net& net) {
  return {net.blocks.size(), longest_run(alike_blocks(net)).size()};
}

std::optional<StrategyProblem> check_pipeline(const StrategySpec& strategy, const Mesh& mesh,
                                              const BlockCount& net) {
  const PipelineShape shape = pipeline_shape(strategy, mesh);
  if (strategy.pipeline) {
    const auto problem = strategy.pipeline->table ? check_table(*strategy.pipeline, mesh)
                                                  : check_schedule(*strategy.pipeline, shape);
    if (problem) return problem;
  }
  if (const auto problem = check_scatter(strategy, mesh)) return problem;
  // Of a rank's several stages micro-batches take turns, and buckets that a worker lacks are no
  // turns of its own.
  const Result<bool> drops =
      strategy.subnetwork ? masks(*strategy.subnetwork, mesh.workers) : Result<bool>(false);
  if (drops && *drops && shape.chunks > 1 && strategy.sharding == Sharding::gradients)
    return StrategyProblem{
        StrategyKey::data,
        "workers that hold different units, with several stages on each rank, would "
        "reduce the gradients of micro-batches in different orders: 'zero: 1' "
        "reduces them once a step"};
  const auto stages = static_cast<std::size_t>(shape.stages());
  if (stages > net.blocks)
    return StrategyProblem{
        StrategyKey::stages,
        fmt::format("{} stages, but the model has only {} blocks", stages, net.blocks)};
  const bool by_layers = strategy.pipeline && strategy.pipeline->cut == StageRule::layers;
  if (!by_layers || net.layers % stages == 0) return std::nullopt;
  return StrategyProblem{
      StrategyKey::stages,
      fmt::format("{} stages do not divide the model's {} layers", stages, net.layers)};
}

}  // namespace rehearse
