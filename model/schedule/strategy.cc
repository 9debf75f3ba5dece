#include "model/schedule/strategy.h"

#include <fmt/format.h>

#include <bit>
#include <map>

#include "model/net/width.h"

namespace rehearse {
namespace {

struct NamedSize {
  std::string_view name;
  AxisSize size;
};

std::vector<NamedSize> axes_of(const StrategySpec& strategy) {
  return {{"data", strategy.data},
          {"pipeline stages", strategy.pipeline ? strategy.pipeline->stages : AxisSize(1)},
          {"tensor", strategy.tensor ? strategy.tensor->ranks : AxisSize(1)},
          {"subnetwork workers", strategy.subnetwork ? strategy.subnetwork->workers : AxisSize(1)}};
}

}  // namespace

std::string_view to_string(Construction construction) {
  switch (construction) {
    case Construction::block:
      return "block";
    case Construction::width:
      return "width";
  }
  REHEARSE_UNREACHABLE("construction");
}

std::string_view to_string(Scaling scaling) {
  switch (scaling) {
    case Scaling::at_test:
      return "at-test";
    case Scaling::in_training:
      return "in-training";
    case Scaling::none:
      return "none";
  }
  REHEARSE_UNREACHABLE("scaling");
}

std::string_view to_string(Balance balance) {
  switch (balance) {
    case Balance::flops:
      return "flops";
    case Balance::parameters:
      return "parameters";
    case Balance::saved:
      return "saved";
  }
  REHEARSE_UNREACHABLE("balance");
}

Result<Mesh> resolve_mesh(const StrategySpec& strategy, std::int64_t devices) {
  std::vector<NamedSize> axes = axes_of(strategy);
  std::int64_t known = 1;
  NamedSize* open = nullptr;
  for (NamedSize& axis : axes) {
    if (axis.size) {
      known *= *axis.size;
    } else if (open != nullptr) {
      return error(
          fmt::format("both {} and {} are auto: at most one axis can be", open->name, axis.name));
    } else {
      open = &axis;
    }
  }
  if (open != nullptr) {
    if (devices % known != 0) {
      return error(
          fmt::format("{} = auto is impossible: the other axes take {} ranks, and the "
                      "cluster has {} devices",
                      open->name, known, devices));
    }
    open->size = devices / known;
  } else if (known != devices) {
    return error(
        fmt::format("the axes multiply to {} ranks, the cluster has {} devices", known, devices));
  }
  return Mesh{.data = *axes[0].size,
              .workers = *axes[3].size,
              .pipeline = *axes[1].size,
              .tensor = *axes[2].size,
              .order = strategy.order};
}

std::int64_t micro_batches_of(const StrategySpec& strategy) {
  return strategy.pipeline ? strategy.pipeline->micro_batches : strategy.micro_batches;
}

Result<std::int64_t> micro_batch_samples(const StrategySpec& strategy, const Mesh& mesh,
                                         std::int64_t batch) {
  const std::int64_t replicas = mesh.data * mesh.workers;
  const std::int64_t parts = replicas * micro_batches_of(strategy);
  if (batch % parts == 0) return batch / parts;
  return error(fmt::format(
      "a batch of {} does not divide into {} micro-batches ({} {} with {} each)", batch, parts,
      replicas, strategy.subnetwork ? "workers" : "replicas", micro_batches_of(strategy)));
}

PipelineShape pipeline_shape(const StrategySpec& strategy, const Mesh& mesh) {
  PipelineShape shape{mesh.pipeline, 1, micro_batches_of(strategy), Placement::loop};
  if (!strategy.pipeline) return shape;
  const PipelineSpec& pipeline = *strategy.pipeline;
  if (pipeline.table) return pipeline.table_shape;
  const PipelineSchedule* schedule = find_pipeline_schedule(pipeline.schedule);
  if (schedule == nullptr) return shape;
  shape.placement = schedule->placement;
  shape.chunks = pipeline.chunks.value_or(schedule->fewest_chunks);
  return shape;
}

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

}  // namespace

std::optional<StrategyProblem> check_pipeline(const StrategySpec& strategy, const Mesh& mesh,
                                              std::size_t blocks) {
  const PipelineShape shape = pipeline_shape(strategy, mesh);
  if (strategy.pipeline) {
    const auto problem = strategy.pipeline->table ? check_table(*strategy.pipeline, mesh)
                                                  : check_schedule(*strategy.pipeline, shape);
    if (problem) return problem;
  }
  if (static_cast<std::size_t>(shape.stages()) <= blocks) return std::nullopt;
  return StrategyProblem{
      StrategyKey::stages,
      fmt::format("{} stages, but the model has only {} blocks", shape.stages(), blocks)};
}

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
  const auto shared = shared_parameter(net);
  if (mesh.pipeline > 1 && shared) {
    return StrategyProblem{
        StrategyKey::stages,
        fmt::format("{} is used by the first stage and the last, whose gradients meet after those "
                    "of their micro-batches: reductions cannot be 'exact' (with 'tied: no' they "
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

Result<std::int64_t> holders_of(const SubnetworkSpec& subnetwork, std::int64_t workers) {
  if (subnetwork.holders) {
    if (*subnetwork.holders <= workers) return *subnetwork.holders;
    return error(fmt::format("{} holders, but only {} workers", *subnetwork.holders, workers));
  }
  const Fraction& coverage = subnetwork.coverage;
  if (coverage.numerator * workers % coverage.denominator == 0) {
    return coverage.numerator * workers / coverage.denominator;
  }
  const std::int64_t below = coverage.numerator * workers / coverage.denominator;
  const std::string nearest = below == 0
                                  ? fmt::format("at least 1/{}", workers)
                                  : fmt::format("{0}/{2} or {1}/{2}", below, below + 1, workers);
  return error(fmt::format(
      "coverage {} of {} workers is {:g} holders, which must be an integer: {}",
      to_string(coverage), workers, coverage.value() * static_cast<double>(workers), nearest));
}

Result<std::int64_t> width_units(const StrategySpec& strategy, const Mesh& mesh) {
  if (!strategy.subnetwork || strategy.subnetwork->construction == Construction::block) return 1;
  const Result<std::int64_t> holders = holders_of(*strategy.subnetwork, mesh.workers);
  if (!holders) return holders;
  return *holders == mesh.workers ? 1 : mesh.workers;
}

Status check_widths(std::int64_t units, const Mesh& mesh, const Net& net) {
  if (units == 1) return success();
  if (mesh.tensor > 1) {
    return error(
        "tensor parallelism cuts the widths that width-wise subnetworks are made of: with it, "
        "subnetworks are made of blocks");
  }
  const Result<Net> cut = split_widths(net, units);
  return cut ? success() : Status(cut.errors());
}

Status check_units(std::int64_t holders, std::int64_t workers, std::size_t units) {
  if (holders == workers) return success();
  const auto held = static_cast<std::int64_t>(units) * holders;
  if (units > 0 && held < workers) {
    return error(
        fmt::format("the model has {} units that a worker could leave out: held by {} each, "
                    "they do not go round {} workers",
                    units, holders, workers));
  }
  if (units > 0) return success();
  return error(
      "the model has no unit that a worker could leave out, such as a residual block with "
      "an identity skip: every worker would hold all of it");
}

}  // namespace rehearse
