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
                     const Training& training, std::int64_t samples,
                     std::optional<std::size_t> kind)
    : costs_(costs),
      program_(program),
      training_(training),
      samples_(samples),
      kind_(kind),
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

namespace {

const RingGroup& group_of(const MeshCosts& mesh, const Flow& flow) {
  switch (flow.kind) {
    case FlowKind::tensor:
      return mesh.own_tensor[flow.rank];
    case FlowKind::holders:
      return mesh.holders[flow.rank];
    case FlowKind::partial_holders:
      return mesh.partial_holders[flow.rank];
    case FlowKind::tied:
      return mesh.tied;
    case FlowKind::partial_tied:
      return mesh.partial_tied;
    case FlowKind::forward:
    case FlowKind::backward:
      break;
  }
  REHEARSE_UNREACHABLE("a ring");
}

}  // namespace

PlayedOp PlayedOps::ring(const Flow& flow, const Op& op) {
  const Collective& it = collective_of(op);
  const RingGroup& group = group_of(costs_.mesh, flow);
  const std::int64_t elements = it.end - it.begin;
  const auto [known, is_new] = rings_.try_emplace({flow, op.kind, elements, it.element_bytes});
  PlayedOp& made = known->second;
  if (!is_new) return made;
  const auto members = static_cast<std::int64_t>(group.members);
  const Bytes chunk = Bytes::bytes((elements + members - 1) / members * it.element_bytes);
  const RingCost cost =
      ring_cost(group, collective_kind(op.kind), costs_.device, elements, it.element_bytes);
  made.seconds = cost.seconds.seconds();
  if (made.seconds <= 0) return made;
  const std::size_t steps = group.members - 1;
  made.messages = std::min(op.kind == OpKind::all_reduce ? 2 * steps : steps, kMostMessages);
  made.start = cost.start.seconds();
  const double step = send_seconds(cost.message, chunk).seconds();
  const double flows = 1 - cost.message.alpha.seconds() / step;
  made.flows = (made.seconds - made.start) * flows / static_cast<double>(made.messages);
  share(made, flow, chunk, step * flows, 1 / cost.rate_share);
  return made;
}

void PlayedOps::share(PlayedOp& op, const Flow& flow, Bytes bytes, double seconds,
                      double weight) const {
  const auto& links = costs_.mesh.shared;
  op.rate = static_cast<double>(bytes.bytes()) / seconds;
  for (std::size_t link = 0; link < links.size() && seconds > 0; ++link) {
    for (const SharedLink::Use& use : links[link].uses) {
      if (use.flow != flow) continue;
      const double taken = static_cast<double>(messages_of(use)) * weight * op.rate;
      if (taken > 0)
        op.uses.push_back({link, std::min(1.0, taken / links[link].bandwidth.bytes_per_second())});
    }
  }
  // Nobody asks how its bytes flow.
  if (op.uses.empty()) op.messages = 0;
}

std::int64_t PlayedOps::messages_of(const SharedLink::Use& use) const {
  if (!kind_ || use.of_kinds.empty()) return use.messages;
  return *kind_ < use.of_kinds.size() ? use.of_kinds[*kind_] : 0;
}

PlayedOp PlayedOps::message(const Flow& flow, Bytes bytes) {
  const auto [known, is_new] = messages_.try_emplace({flow, bytes});
  PlayedOp& made = known->second;
  if (!is_new) return made;
  const MeshCosts::BoundaryWays& ways =
      kind_ ? costs_.mesh.replica_kinds[*kind_] : costs_.mesh.messages;
  const Paths& paths =
      flow.kind == FlowKind::forward ? ways.forward[flow.rank] : ways.backward[flow.rank];
  const MessageCost cost = paths.exchange(costs_.device, bytes);
  made.seconds = send_seconds(cost, bytes).seconds();
  made.messages = 1;
  made.flows = made.seconds - cost.alpha.seconds();
  share(made, flow, bytes, made.flows, 1);
  return made;
}

}  // namespace rehearse
