#include "tools/rehearse_exec/measured.h"

#include <fmt/format.h>

#include <algorithm>

#include "exec/backend.h"
#include "model/base/text.h"
#include "model/plan/verify.h"

namespace rehearse {
namespace {

constexpr std::int64_t kWarmUpSteps = 3;
constexpr std::int64_t kTracedSteps = 10;

Bytes per_step(Bytes total, std::int64_t steps) {
  return Bytes::bytes(total.bytes() / steps);
}

}  // namespace

StrategySummary summarize_run(const Plan& plan, const Net& net, const exec::TrainingRun& run) {
  const std::int64_t steps = run.timeline.steps;
  StrategySummary summary = summarize(plan, net, run.timeline, std::min(kWarmUpSteps, steps - 1));
  Bytes arena, workspace;
  for (std::size_t r = 0; r < run.ranks.size(); ++r) {
    const exec::RankMeasurement& measured = run.ranks[r];
    RankSummary& rank = summary.ranks[r];
    rank.traffic = {per_step(measured.traffic.sent, steps),
                    per_step(measured.traffic.received, steps)};
    rank.memory = {measured.arena_extent + measured.workspace, measured.arena_extent,
                   measured.arena_live};
    arena = std::max(arena, measured.arena_extent);
    workspace = std::max(workspace, measured.workspace);
  }
  take_worst_memory(summary);
  summary.pools = {{"arena", arena}, {"workspace", workspace}};
  summary.losses = run.losses;
  for (const exec::EvaluationAt& at : run.evaluations) {
    summary.evaluations.push_back({at.step, at.evaluation.accuracy, at.evaluation.loss});
  }
  for (const std::uint64_t hash : run.weight_hashes)
    summary.weight_hashes.push_back(fmt::format("{:016x}", hash));
  return summary;
}

std::string last_steps_trace(const Plan& plan, const Timeline& timeline) {
  Timeline last;
  last.steps = timeline.steps;
  for (const Span& span : timeline.spans) {
    if (span.step >= timeline.steps - kTracedSteps) last.spans.push_back(span);
  }
  return chrome_trace(plan, {{"measured", &last}});
}

namespace {

// Sums of values over tensor-parallel ranks are what the executor has no kernels' slices for.
std::optional<std::string> first_unsupported(const Plan& plan) {
  for (const RankProgram& program : plan.programs) {
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      const Op& it = program.ops[op];
      if (!is_collective(it.kind) || collective_of(it).parameter_class ||
          is_of_squares(program, it))
        continue;
      return fmt::format(
          "the executor does not run tensor parallelism yet: {} of program {} is of "
          "a value",
          describe_op(program, OpId(op)), program.name);
    }
  }
  return std::nullopt;
}

bool computes_in(std::string_view backend, DataType type) {
  const std::vector<DataType>& types = exec::backend_types(backend);
  return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace

Status check_runs(const Plan& plan, const std::string& backend) {
  if (const auto refused = first_unsupported(plan)) return error(*refused);
  const DataType type = plan.training.dtype;
  if (computes_in(backend, type)) return success();
  std::vector<std::string> names;
  for (const DataType known : exec::backend_types(backend))
    names.emplace_back(to_string(known));
  std::string message =
      fmt::format("the plan trains in {}, on this machine the backend '{}' computes in {}",
                  to_string(type), backend, join(names, " and "));
  for (const std::string_view other : exec::backend_names()) {
    if (computes_in(other, type))
      message += fmt::format("; '--backend {}' has {}", other, to_string(type));
  }
  return error(std::move(message));
}

}  // namespace rehearse
