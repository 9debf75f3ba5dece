#include "sim/player.h"

#include <algorithm>

#include "model/base/check.h"
#include "model/plan/verify.h"
#include "sim/jitter.h"

namespace rehearse::sim {

Player::Player(const Plan& plan, const Prices& prices, const std::optional<Jitter>& jitter,
               std::int64_t steps, Engine& engine, Machine& machine)
    : sent(plan.ranks.size()),
      received(plan.ranks.size()),
      plan_(plan),
      prices_(prices),
      jitter_(jitter),
      steps_(steps),
      engine_(engine),
      machine_(machine),
      ranks_(plan.ranks.size()) {
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const RankProgram& program = program_of(plan, RankId(r));
    ranks_[r].lanes.resize(program.lanes.size());
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      ranks_[r].lanes[program.ops[op].lane.index()].push_back(OpId(op));
    }
    ranks_[r].spans.resize(program.ops.size() * static_cast<std::size_t>(steps));
  }
}

// ---- lanes -------------------------------------------------------------------------------------

void Player::begin() {
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    begin_step(RankId(r));
}

void Player::begin_step(RankId rank) {
  Rank& state = ranks_[rank.index()];
  const std::size_t ops = program_of(plan_, rank).ops.size();
  state.next.assign(state.lanes.size(), 0);
  state.issued.assign(ops, false);
  state.ended.assign(ops, false);
  state.ended_count = 0;
  state.collectives.clear();
  advance(rank);
}

// Issues whatever can be; ops that take no time end at once and may let others go.
void Player::advance(RankId rank) {
  const std::int64_t step = ranks_[rank.index()].step;
  bool moved = true;
  while (moved) {
    moved = false;
    for (std::size_t lane = 0; lane < ranks_[rank.index()].lanes.size(); ++lane) {
      moved = issue_head(rank, lane) || moved;
      // An op that took no time may have ended the step and begun the next one.
      if (ranks_[rank.index()].step != step) return;
    }
  }
}

bool Player::issue_head(RankId rank, std::size_t lane) {
  Rank& state = ranks_[rank.index()];
  if (state.next[lane] == state.lanes[lane].size()) return false;
  const OpId id = state.lanes[lane][state.next[lane]];
  if (state.issued[id.index()]) return false;
  const Op& op = program_of(plan_, rank).ops[id.index()];
  const bool ready = std::all_of(op.after.begin(), op.after.end(),
                                 [&](OpId before) { return state.ended[before.index()]; });
  if (!ready) return false;
  state.issued[id.index()] = true;
  span(rank, id) = {rank, id, state.step, engine_.now(), engine_.now(), engine_.now()};
  start(rank, id);
  return true;
}

Span& Player::span(RankId rank, OpId id) {
  Rank& state = ranks_[rank.index()];
  return state.spans[static_cast<std::size_t>(state.step) * program_of(plan_, rank).ops.size() +
                     id.index()];
}

void Player::start(RankId rank, OpId id) {
  const Op& op = program_of(plan_, rank).ops[id.index()];
  switch (op.kind) {
    case OpKind::load_batch:
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::backward_input:
    case OpKind::backward_weight:
    case OpKind::recompute:
    case OpKind::accumulate:
    case OpKind::clear:
    case OpKind::sum_squares:
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step: {
      const std::int64_t step = ranks_[rank.index()].step;
      return machine_.compute(rank, price_of(prices_, plan_, rank, id),
                              jitter_ ? stretch(*jitter_, rank, step, id) : 1,
                              [this, rank, id] { end(rank, id); });
    }
    case OpKind::send:
    case OpKind::receive:
      return meet_transfer(rank, id);
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
      return meet_collective(rank, id);
  }
}

void Player::end(RankId rank, OpId id) {
  Rank& state = ranks_[rank.index()];
  span(rank, id).end = engine_.now();
  state.ended[id.index()] = true;
  const Op& op = program_of(plan_, rank).ops[id.index()];
  ++state.next[op.lane.index()];
  if (++state.ended_count < state.ended.size()) return advance(rank);
  if (++state.step < steps_) begin_step(rank);
}

// ---- messages ----------------------------------------------------------------------------------

void Player::meet_transfer(RankId rank, OpId id) {
  const Op& op = program_of(plan_, rank).ops[id.index()];
  const Transfer& transfer = transfer_of(op);
  const RankId peer = plan_.ranks[rank.index()].peers[transfer.peer];
  const bool sends = op.kind == OpKind::send;
  const RankId from = sends ? rank : peer, to = sends ? peer : rank;
  const TransferKey key{from, to, transfer.tag, ranks_[rank.index()].step};
  const auto [other, is_first] = transfers_.try_emplace(key, id);
  if (is_first) return;
  const OpId peer_op = other->second;
  transfers_.erase(other);
  span(rank, id).start = span(peer, peer_op).start = engine_.now();
  sent[from.index()] += transfer.bytes;
  received[to.index()] += transfer.bytes;
  const OpId sending = sends ? id : peer_op, receiving = sends ? peer_op : id;
  machine_.transfer(from, to, transfer.bytes, [this, from, sending, to, receiving] {
    // The receiver fetches it when it looks, and tells the sender, who learns of it in turn.
    machine_.attend(to, [this, from, sending, to, receiving] {
      end(to, receiving);
      machine_.attend(from, [this, from, sending] { end(from, sending); });
    });
  });
}

// ---- collectives -------------------------------------------------------------------------------

void Player::meet_collective(RankId rank, OpId id) {
  const Op& op = program_of(plan_, rank).ops[id.index()];
  const Collective& detail = collective_of(op);
  const Group& group = group_of(plan_, rank, op);
  const GroupId group_id = plan_.ranks[rank.index()].groups[detail.group];
  const LaneKind lane = program_of(plan_, rank).lanes[op.lane.index()].kind;
  Rank& state = ranks_[rank.index()];
  const MeetingKey key{group_id, lane, state.step, state.collectives[{group_id, lane}]++};
  Meeting& meeting = meetings_[key];
  meeting.key = key;
  meeting.group = group_id;
  if (!meeting.lists) meeting.lists.emplace(shape_of(op, group.members.size()));
  meeting.element_bytes = detail.element_bytes;
  meeting.elements = detail.end - detail.begin;
  meeting.members.resize(group.members.size());
  const std::size_t member = member_number(group, rank);
  const std::size_t channels = meeting.lists->channels();
  meeting.members[member] = {id, channels, {}};
  // The last one to come is when it really begins, for all but those who had finished before.
  if (++meeting.issued == group.members.size()) {
    for (std::size_t m = 0; m < group.members.size(); ++m) {
      if (meeting.members[m].unfinished == 0) continue;
      span(group.members[m], meeting.members[m].op).start = engine_.now();
    }
  }
  for (std::size_t channel = 0; channel < channels; ++channel)
    next_step(meeting, channel, member);
}

CollectiveStep Player::current_step(const Meeting& meeting, std::size_t channel,
                                    std::size_t member) {
  const std::size_t number = meeting.members[member].channels[channel].step;
  return meeting.lists->step(member, meeting.elements, number, channel);
}

// The member sends and receives what its current step says; either may wait for the neighbour.
void Player::next_step(Meeting& meeting, std::size_t channel, std::size_t member) {
  Meeting::Progress& own = meeting.members[member].channels[channel];
  for (; own.step < meeting.lists->count(); ++own.step) {
    const CollectiveStep step = current_step(meeting, channel, member);
    const bool sends = step.send.size() > 0, receives = step.receive.size() > 0;
    if (!sends && !receives) continue;
    const std::size_t number = own.step;
    own.pending = (sends ? 1 : 0) + (receives ? 1 : 0);
    if (sends) offer(meeting, channel, number, member, step.to, step.send);
    if (receives) offer(meeting, channel, number, step.from, member, step.receive);
    return;
  }
  if (--meeting.members[member].unfinished == 0) finish_member(meeting, member);
}

// One end of the message of step `number` is there. When both are, it goes.
void Player::offer(Meeting& meeting, std::size_t channel, std::size_t number, std::size_t from,
                   std::size_t to, const ElementRange& range) {
  const auto [end, is_first] = meeting.ends.insert({channel, number, from});
  if (is_first) return;
  meeting.ends.erase(end);
  const auto& members = plan_.groups[meeting.group.index()].members;
  const RankId sender = members[from], receiver = members[to];
  const Bytes bytes = Bytes::bytes(range.size() * meeting.element_bytes);
  sent[sender.index()] += bytes;
  received[receiver.index()] += bytes;
  // The reduction outlives its messages: neither end finishes before its part is done.
  machine_.transfer(
      sender, receiver, bytes, [this, &meeting, channel, from, to, bytes, sender, receiver] {
        machine_.attend(receiver, [this, &meeting, channel, from, to, bytes, sender, receiver] {
          take(meeting, channel, to, receiver, bytes);
          machine_.attend(sender,
                          [this, &meeting, channel, from] { part_done(meeting, channel, from); });
        });
      });
}

// The message of the member's current step has come.
void Player::take(Meeting& meeting, std::size_t channel, std::size_t member, RankId rank,
                  Bytes bytes) {
  if (!current_step(meeting, channel, member).reduce) return part_done(meeting, channel, member);
  machine_.reduce(rank, bytes,
                  [this, &meeting, channel, member] { part_done(meeting, channel, member); });
}

void Player::part_done(Meeting& meeting, std::size_t channel, std::size_t member) {
  Meeting::Progress& own = meeting.members[member].channels[channel];
  if (--own.pending > 0) return;
  ++own.step;
  next_step(meeting, channel, member);
}

void Player::finish_member(Meeting& meeting, std::size_t member) {
  const RankId rank = plan_.groups[meeting.group.index()].members[member];
  const OpId op = meeting.members[member].op;
  // Of a broadcast: a source that had only those to send to who are there.
  if (meeting.issued < meeting.members.size()) span(rank, op).start = engine_.now();
  if (++meeting.finished == meeting.members.size()) meetings_.erase(meeting.key);
  end(rank, op);
}

// ---- results -----------------------------------------------------------------------------------

std::vector<std::string> Player::waiting() const {
  std::vector<std::string> lines;
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const Rank& state = ranks_[r];
    if (state.step == steps_) continue;
    for (std::size_t lane = 0; lane < state.lanes.size(); ++lane) {
      if (state.next[lane] == state.lanes[lane].size()) continue;
      const OpId id = state.lanes[lane][state.next[lane]];
      lines.push_back(
          fmt::format("rank {} waits in {}", r, describe_op(program_of(plan_, RankId(r)), id)));
    }
  }
  return lines;
}

Timeline Player::take_timeline() {
  Timeline timeline;
  timeline.steps = steps_;
  for (Rank& rank : ranks_) {
    timeline.spans.insert(timeline.spans.end(), rank.spans.begin(), rank.spans.end());
    rank.spans.clear();
  }
  return timeline;
}

}  // namespace rehearse::sim
