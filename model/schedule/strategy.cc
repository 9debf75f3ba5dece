#include "model/schedule/strategy.h"

#include <fmt/format.h>

#include "model/base/check.h"
#include "model/schedule/pipeline.h"

namespace rehearse {

std::string_view to_string(Construction construction) {
  switch (construction) {
    case Construction::block:
      return "block";
    case Construction::width:
      return "width";
  }
  REHEARSE_UNREACHABLE("construction");
}

std::string_view to_string(AssignmentKind kind) {
  switch (kind) {
    case AssignmentKind::balanced:
      return "balanced";
    case AssignmentKind::nested:
      return "nested";
    case AssignmentKind::random:
      return "random";
    case AssignmentKind::rolling:
      return "rolling";
  }
  REHEARSE_UNREACHABLE("assignment");
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

const std::vector<StageRule>& stage_rules() {
  static const std::vector<StageRule> all = {StageRule::cost, StageRule::layers};
  return all;
}

std::string_view to_string(StageRule rule) {
  switch (rule) {
    case StageRule::cost:
      return "cost";
    case StageRule::layers:
      return "layers";
  }
  REHEARSE_UNREACHABLE("stage rule");
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
  const std::int64_t below = batch / parts * parts;
  return error(fmt::format(
      "a batch of {} does not divide into {} micro-batches ({} {} with {} each): {}", batch, parts,
      replicas, strategy.subnetwork ? "workers" : "replicas", micro_batches_of(strategy),
      below == 0 ? fmt::format("{} does", parts)
                 : fmt::format("{} and {} do", below, below + parts)));
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

}  // namespace rehearse
