#include "cost/closed_form/played_ops.h"

#include <algorithm>

#include "cost/cost_model.h"
#include "model/base/check.h"
#include "model/plan/op_work.h"

namespace rehearse {
namespace {

// Of large groups a few of their steps are played as one.
constexpr std::size_t kMostMessages = 32;

}  // namespace

PlayedOps::PlayedOps(const PlayingCosts& costs, const RankProgram& program,
                     const Training& training, std::int64_t samples)
    : costs_(costs),
      program_(program),
      training_(training),
      samples_(samples),
      sizes_(element_sizes(training)) {}

double PlayedOps::compute(const Op& op, std::int64_t squared) {
  const auto seconds = [&](const StepWork& work) {
    return price_work(work, costs_.device).seconds.seconds();
  };
  if (op.kind == OpKind::load_batch) return seconds(load_work(program_, op));
  if (op.kind == OpKind::optimizer_step)
    return seconds(optimizer_work(training_, elements_updated(program_, op)));
  if (op.kind == OpKind::sum_squares) return seconds(squares_work(training_, squared));
  REHEARSE_CHECK(is_pass(op.kind), "an op that the program of a sharded step does not have");
  return pass(op);
}

double PlayedOps::pass(const Op& op) {
  const Compute& it = compute_of(op);
  const Pass pass = pass_of(program_, op);
  const auto [known, is_new] = passes_.try_emplace({it.begin, it.end, pass});
  if (is_new)
    known->second = price_pass(costs_.net, it.begin, it.end, pass, samples_, sizes_, costs_.device)
                        .seconds.seconds();
  return known->second;
}

PlayedOp PlayedOps::ring(const RingGroup& group, const Op& op) {
  const Collective& it = collective_of(op);
  const std::int64_t elements = it.end - it.begin;
  const auto [known, is_new] = rings_.try_emplace({&group, op.kind, elements, it.element_bytes});
  PlayedOp& made = known->second;
  if (!is_new) return made;
  const auto members = static_cast<std::int64_t>(group.members);
  const Bytes chunk = Bytes::bytes((elements + members - 1) / members * it.element_bytes);
  const RingCost cost =
      ring_cost(group, collective_kind(op.kind), costs_.device, elements, it.element_bytes);
  made.seconds = cost.seconds.seconds();
  made.sends = made.receives = true;
  if (made.seconds <= 0) return made;
  const std::size_t steps = group.members - 1;
  made.messages = std::min(op.kind == OpKind::all_reduce ? 2 * steps : steps, kMostMessages);
  made.start = cost.start.seconds();
  made.weight = 1 / cost.rate_share;
  const double waits = cost.message.alpha.seconds() / send_seconds(cost.message, chunk).seconds();
  made.flows = (made.seconds - made.start) * (1 - waits) / static_cast<double>(made.messages);
  return made;
}

}  // namespace rehearse
