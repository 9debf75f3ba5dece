#include "model/schedule/rank_program/stage_messages.h"

#include "model/base/check.h"
#include "model/schedule/scatter.h"

namespace rehearse {
namespace {

bool is_forward(ActionKind kind) {
  return kind == ActionKind::send_forward || kind == ActionKind::receive_forward;
}

Lane lane_of(const Action& action) {
  switch (action.kind) {
    case ActionKind::send_forward:
      return {LaneKind::send_forward, action.stage};
    case ActionKind::receive_forward:
      return {LaneKind::receive_forward, action.stage};
    case ActionKind::send_backward:
      return {LaneKind::send_backward, action.stage};
    case ActionKind::receive_backward:
      return {LaneKind::receive_backward, action.stage};
    case ActionKind::forward:
    case ActionKind::backward:
    case ActionKind::backward_input:
    case ActionKind::backward_weight:
    case ActionKind::unshard:
    case ActionKind::reshard:
    case ActionKind::reduce_gradients:
      break;
  }
  REHEARSE_UNREACHABLE("no message");
}

}  // namespace

StageMessages::StageMessages(const RankInputs& inputs, ValueBuffers& values, RankDraft& draft)
    : inputs_(inputs), values_(values), draft_(draft) {
  const std::vector<SegmentId>& starts = inputs.frame.starts;
  for (std::size_t s = 1; s + 1 < starts.size(); ++s)
    crossing_.push_back(values_across(inputs.net, starts[s]));
}

void StageMessages::add(const Action& action) {
  const bool sends =
      action.kind == ActionKind::send_forward || action.kind == ActionKind::send_backward;
  const bool forward = is_forward(action.kind);
  // The boundary that is crossed lies after stage `cut`; the other end is the stage beyond it.
  const bool outgoing = forward == sends;
  const std::size_t own = action.stage.index();
  const std::size_t cut = outgoing ? own : own - 1;
  const std::size_t other = outgoing ? own + 1 : own - 1;
  for (std::size_t k = 0; k < crossing_[cut].size(); ++k) {
    const ValueId value = crossing_[cut][k];
    if (!forward && !inputs_.net.values[value.index()].needs_gradient) continue;
    const BufferId buffer = forward ? values_.value(value, *action.micro_batch, action.stage)
                                    : values_.gradient(value, *action.micro_batch, action.stage);
    const bool waits = is_waited_for(inputs_.frame.exchange);
    std::vector<OpId> after = sends && !waits ? std::vector<OpId>{} : draft_.after_last_pass();
    const bool is_serial = inputs_.frame.exchange == StageExchange::serial;
    if (is_serial && last_) after.push_back(*last_);
    last_ = draft_.builder.add(
        sends ? OpKind::send : OpKind::receive, lane_of(action),
        {{buffer, sends ? Access::read : Access::write}},
        Transfer{*inputs_.frame.peers[other], tag(action, cut, k), sent_of(value)}, after);
    if (waits) draft_.builder.wait_for(*last_);
  }
}

Bytes StageMessages::sent_of(ValueId value) const {
  const Bytes whole = values_.size_of(value);
  if (!inputs_.frame.scatters) return whole;
  return share_of(whole, static_cast<std::int64_t>(inputs_.frame.tensor_layout.members));
}

std::vector<StageMessages::Share> StageMessages::shares_for(const Action& pass) {
  std::vector<Share> shares;
  if (!inputs_.frame.scatters) return shares;
  const bool forward = pass.kind == ActionKind::forward;
  const std::size_t own = pass.stage.index();
  if (forward ? own == 0 : own == crossing_.size()) return shares;
  const std::size_t cut = forward ? own - 1 : own, other = forward ? own - 1 : own + 1;
  if (!inputs_.frame.peers[other]) return shares;
  for (const ValueId value : crossing_[cut]) {
    if (forward) {
      shares.push_back({values_.value(value, *pass.micro_batch, pass.stage), value});
    } else if (inputs_.net.values[value.index()].needs_gradient) {
      shares.push_back({values_.gradient(value, *pass.micro_batch, pass.stage), value});
    }
  }
  return shares;
}

// Messages are numbered through the micro-batches, the cuts and the values that cross them, the
// same at both ends; gradients travel under odd tags.
std::int64_t StageMessages::tag(const Action& action, std::size_t cut, std::size_t k) const {
  std::size_t before = 0, all = 0;
  for (std::size_t c = 0; c < crossing_.size(); ++c) {
    if (c < cut) before += crossing_[c].size();
    all += crossing_[c].size();
  }
  const auto message = static_cast<std::int64_t>(action.micro_batch->index() * all + before + k);
  return 2 * message + (is_forward(action.kind) ? 0 : 1);
}

}  // namespace rehearse
