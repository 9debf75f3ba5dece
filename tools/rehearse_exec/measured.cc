#include "tools/rehearse_exec/measured.h"

#include <fmt/format.h>

#include <algorithm>

#include "exec/backend.h"
#include "model/base/text.h"
#include "model/plan/chrome_trace.h"
#include "model/plan/plan_text.h"
#include "model/plan/verify.h"

namespace rehearse {
namespace {

constexpr std::int64_t kWarmUpSteps = 3;
constexpr std::int64_t kTracedSteps = 10;

Bytes per_step(Bytes total, std::int64_t steps) {
  return Bytes::bytes(total.bytes() / steps);
}

// The warm-up is the run's, and shorter where nothing would be left after it.
std::int64_t warm_up_of(const exec::Stretch& stretch) {
  const std::int64_t known = stretch.timeline.begin ? 0 : 1;  // the first step that has a length
  const std::int64_t left = std::max<std::int64_t>(kWarmUpSteps - stretch.first_step, 0);
  return std::max(known, std::min(left, stretch.timeline.steps - 1));
}

// Of the stretches with a step that is known to begin: those after the warm-up, or all if nothing
// comes after it. synchronises: only of those whose step does, or does not.
std::vector<StrategySummary> stretches_of(const Net& net, const exec::TrainingRun& run,
                                          std::optional<bool> synchronises = std::nullopt) {
  std::vector<StrategySummary> warm, cold;
  for (const exec::Stretch& stretch : run.stretches) {
    const std::int64_t warm_up = warm_up_of(stretch);
    const bool is_other = synchronises && stretch.plan->synchronises != *synchronises;
    if (is_other || warm_up >= stretch.timeline.steps) continue;
    const bool is_warm = stretch.first_step + stretch.timeline.steps > kWarmUpSteps;
    StrategySummary summary = summarize(*stretch.plan, net, stretch.timeline, warm_up);
    summary.pictures.path = path_picture(*stretch.plan, stretch.timeline, warm_up);
    (is_warm ? warm : cold).push_back(std::move(summary));
  }
  return warm.empty() ? cold : warm;
}

// The one of median step time.
std::optional<StrategySummary> typical_of(std::vector<StrategySummary> stretches) {
  if (stretches.empty()) return std::nullopt;
  const auto median = stretches.begin() + static_cast<std::ptrdiff_t>((stretches.size() - 1) / 2);
  std::nth_element(
      stretches.begin(), median, stretches.end(),
      [](const StrategySummary& a, const StrategySummary& b) { return a.step_time < b.step_time; });
  return std::move(*median);
}

// With local steps of a period, where the run has steps of both kinds to measure.
StrategySummary typical_steps(const Plan& plan, const Net& net, const exec::TrainingRun& run) {
  // What chance leaves out of a step makes it no outlier.
  if (plan.survival) return mean_of(stretches_of(net, run));
  if (has_local_steps(plan)) {
    const auto local = typical_of(stretches_of(net, run, false));
    const auto last = typical_of(stretches_of(net, run, true));
    if (local && last) return over_period(*local, *last, plan.local_steps);
  }
  return typical_of(stretches_of(net, run)).value();
}

}  // namespace

StrategySummary summarize_run(const Plan& first, const Net& net, const exec::TrainingRun& run) {
  const auto steps = static_cast<std::int64_t>(run.losses.size());
  StrategySummary summary = typical_steps(first, net, run);
  summary.plan_hash = plan_hash(first);
  if (const exec::Transitions& moved = run.transitions; moved.count > 0) {
    const auto ranks = static_cast<std::int64_t>(run.ranks.size());
    summary.transitions = {moved.count, moved.received / (moved.count * ranks),
                           moved.time / static_cast<double>(moved.count)};
  }
  Bytes arena, workspace, carried;
  for (std::size_t r = 0; r < run.ranks.size(); ++r) {
    const exec::RankMeasurement& measured = run.ranks[r];
    RankSummary& rank = summary.ranks[r];
    rank.traffic = {per_step(measured.traffic.sent, steps),
                    per_step(measured.traffic.received, steps)};
    rank.memory = {measured.arena_extent + measured.workspace + measured.carried,
                   measured.arena_extent, measured.arena_live};
    arena = std::max(arena, measured.arena_extent);
    workspace = std::max(workspace, measured.workspace);
    carried = std::max(carried, measured.carried);
  }
  take_worst_memory(summary);
  summary.pools = {{"arena", arena}, {"workspace", workspace}};
  if (carried > Bytes{}) summary.pools.push_back({"carried", carried});
  summary.losses = run.losses;
  for (const exec::EvaluationAt& at : run.evaluations) {
    summary.evaluations.push_back({at.step, at.evaluation.accuracy, at.evaluation.loss});
  }
  for (const std::uint64_t hash : run.weight_hashes)
    summary.weight_hashes.push_back(fmt::format("{:016x}", hash));
  return summary;
}

std::string last_steps_trace(const exec::TrainingRun& run) {
  const exec::Stretch& stretch = run.stretches.back();
  Timeline last;
  last.steps = stretch.timeline.steps;
  for (const Span& span : stretch.timeline.spans) {
    if (span.step >= last.steps - kTracedSteps) last.spans.push_back(span);
  }
  return chrome_trace(*stretch.plan, {{"measured", &last}},
                      memory_counters(*stretch.plan, last, {}));
}

namespace {

// No rank's messages are what a switch does.
std::optional<std::string> first_unsupported(const Plan& plan) {
  for (const RankProgram& program : plan.programs) {
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      const Op& it = program.ops[op];
      if (!is_collective(it.kind)) continue;
      if (collective_of(it).algorithm == CollectiveAlgorithm::in_network)
        return fmt::format(
            "in-network reduction is predicted, not run: {} of program {} asks for switches that "
            "add",
            describe_op(program, OpId(op)), program.name);
    }
  }
  return std::nullopt;
}

bool computes_in(const cli::BackendChoice& backend, DataType type) {
  const std::vector<DataType>& types = cli::types_of(backend);
  return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace

Status check_runs(const Plan& plan, const cli::BackendChoice& backend) {
  if (const auto refused = first_unsupported(plan)) return error(*refused);
  if (const auto refused = predicted_only(*whole_net(plan)))
    return error(fmt::format("the executor does not train this network: {}", *refused));
  if (plan.training.gradients)
    return error(fmt::format("gradients in {} are predicted, not trained",
                             to_string(*plan.training.gradients)));
  const DataType type = plan.training.dtype;
  if (computes_in(backend, type)) return success();
  std::vector<std::string> names;
  for (const DataType known : cli::types_of(backend))
    names.emplace_back(to_string(known));
  std::string message =
      fmt::format("the plan trains in {}, on this machine the backend '{}' computes in {}",
                  to_string(type), backend.name, join(names, " and "));
  for (const std::string_view other : exec::backend_names()) {
    if (computes_in(cli::BackendChoice{std::string(other)}, type))
      message += fmt::format("; '--backend {}' has {}", other, to_string(type));
  }
  if (type == DataType::tf32) message += "; GPUs have tf32 ('--device cuda')";
  if (type == DataType::fp8) message += "; fp8 is priced by 'rehearse simulate' and not trained in";
  return error(std::move(message));
}

}  // namespace rehearse
