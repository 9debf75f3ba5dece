#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/base/check.h"
#include "model/plan/plan_text.h"
#include "tools/summary/pictures.h"
#include "tools/summary/summary.h"

namespace rehearse {
namespace {

// "F3 s0-4": what a pass is for, on which micro-batch and segments.
std::string pass_label(std::string_view letter, const Op& op) {
  const Compute& compute = compute_of(op);
  return fmt::format("{}{} s{}-{}", letter, compute.micro_batch.value(), compute.begin.value(),
                     compute.end.value() - 1);
}

std::string collective_label(std::string_view name, const RankProgram& program, const Op& op) {
  const auto& c = collective_of(op).parameter_class;
  if (is_of_squares(program, op)) return fmt::format("{} squares", name);
  return c ? fmt::format("{} class {}", name, c->value()) : fmt::format("{} value", name);
}

std::string label_of(const RankProgram& program, const Op& op) {
  switch (op.kind) {
    case OpKind::load_batch:
      return fmt::format("load {}", compute_of(op).micro_batch.value());
    case OpKind::forward:
      return pass_label("F", op);
    case OpKind::backward:
      return pass_label("B", op);
    case OpKind::backward_input:
      return pass_label("I", op);
    case OpKind::backward_weight:
      return pass_label("W", op);
    case OpKind::recompute:
      return pass_label("R", op);
    case OpKind::accumulate:
      return fmt::format("accumulate class {}", accumulate_of(op).parameter_class.value());
    case OpKind::clear:
      return fmt::format("clear class {}", clear_of(op).parameter_class.value());
    case OpKind::send:
      return fmt::format("send {}", transfer_of(op).tag);
    case OpKind::receive:
      return fmt::format("receive {}", transfer_of(op).tag);
    case OpKind::all_reduce:
      return collective_label("all-reduce", program, op);
    case OpKind::reduce_scatter:
      return collective_label("reduce-scatter", program, op);
    case OpKind::all_gather:
      return collective_label("all-gather", program, op);
    case OpKind::broadcast:
      return collective_label("broadcast", program, op);
    case OpKind::sum_squares:
      return "sum squares";
    case OpKind::optimizer_step:
      return fmt::format("update class {}", optimize_of(op).parameter_class.value());
    case OpKind::outer_gradient:
      return fmt::format("outer gradient class {}", optimize_of(op).parameter_class.value());
    case OpKind::outer_step:
      return fmt::format("outer step class {}", optimize_of(op).parameter_class.value());
  }
  REHEARSE_UNREACHABLE("op kind");
}

std::vector<PictureSpan> picture_of(const Plan& plan, const Timeline& timeline,
                                    std::int64_t warm_up) {
  const PicturedStep pictured = pictured_step(timeline, warm_up);
  const auto since = [&](Time time) { return (time - pictured.origin).seconds(); };
  std::vector<PictureSpan> picture;
  for (const Span& span : timeline.spans) {
    if (span.step != pictured.step) continue;
    const RankProgram& program = program_of(plan, span.rank);
    const Op& op = program.ops[span.op.index()];
    picture.push_back({static_cast<std::int64_t>(span.rank.index()),
                       program.lanes[op.lane.index()].kind, op.kind, label_of(program, op),
                       since(span.start), since(span.end)});
  }
  return picture;
}

// The rank whose compute lane is busiest stands for the plan.
void take_busiest_rank(StrategySummary& summary) {
  const auto busiest = std::max_element(
      summary.ranks.begin(), summary.ranks.end(),
      [](const RankSummary& a, const RankSummary& b) { return a.compute < b.compute; });
  if (busiest == summary.ranks.end()) return;
  summary.compute = busiest->compute;
  summary.exposed_communication = busiest->exposed_communication;
  summary.idle = busiest->idle;
}

}  // namespace

StrategySummary summarize(const Plan& plan, const Net& net, const Timeline& timeline,
                          std::int64_t warm_up) {
  return summarize(plan, net, timeline, warm_up, break_down(plan, timeline, warm_up));
}

StrategySummary summarize(const Plan& plan, const Net& net, const Timeline& timeline,
                          std::int64_t warm_up, const Breakdown& breakdown) {
  StrategySummary summary;
  summary.strategy = plan.strategy;
  summary.plan_hash = plan_hash(plan);
  summary.step_time = breakdown.step_time;
  summary.samples_per_s = static_cast<double>(plan.training.batch) / breakdown.step_time.seconds();
  const std::int64_t labels = labels_per_sample(net);
  if (labels > 1) summary.tokens_per_s = summary.samples_per_s * static_cast<double>(labels);
  summary.bubble_fraction = breakdown.bubble_fraction;
  for (std::size_t r = 0; r < breakdown.ranks.size(); ++r) {
    RankSummary rank;
    rank.rank = static_cast<std::int64_t>(r);
    rank.compute = breakdown.ranks[r].compute;
    rank.exposed_communication = breakdown.ranks[r].exposed_communication;
    rank.idle = breakdown.ranks[r].idle;
    summary.ranks.push_back(rank);
  }
  take_busiest_rank(summary);
  for (const Breakdown::KindTime& kind : breakdown.kinds)
    summary.kinds.push_back({kind.kind, kind.ops, kind.busy});
  summary.picture = picture_of(plan, timeline, warm_up);
  return summary;
}

StepTimesSummary step_times_of(std::vector<Seconds> steps) {
  REHEARSE_CHECK(!steps.empty(), "no steps");
  std::sort(steps.begin(), steps.end());
  const auto percentile = [&](double share) {
    const double place = std::ceil(share * static_cast<double>(steps.size()));
    return steps[static_cast<std::size_t>(std::max(place, 1.0)) - 1];
  };
  const Seconds sum = std::accumulate(steps.begin(), steps.end(), Seconds{});
  return {std::ssize(steps), sum / static_cast<double>(steps.size()), percentile(0.5),
          percentile(0.99)};
}

void take_worst_memory(StrategySummary& summary) {
  for (const RankSummary& rank : summary.ranks) {
    if (!rank.memory) continue;
    MemorySummary& worst = summary.memory ? *summary.memory : summary.memory.emplace();
    worst.arena = std::max(worst.arena, rank.memory->arena);
    worst.arena_live = std::max(worst.arena_live, rank.memory->arena_live);
    worst.peak = std::max(worst.peak, rank.memory->peak);
  }
}

std::optional<Bytes> most_sent(const StrategySummary& summary) {
  std::optional<Bytes> most;
  for (const RankSummary& rank : summary.ranks) {
    if (rank.traffic) most = std::max(most.value_or(Bytes{}), rank.traffic->sent);
  }
  return most;
}

std::optional<Bytes> total_sent(const StrategySummary& summary) {
  std::optional<Bytes> total;
  for (const RankSummary& rank : summary.ranks) {
    if (rank.traffic) total = total.value_or(Bytes{}) + rank.traffic->sent;
  }
  return total;
}

}  // namespace rehearse
