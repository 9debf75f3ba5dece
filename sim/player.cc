#include "sim/player.h"

#include <algorithm>

#include "model/base/check.h"
#include "model/plan/verify.h"
#include "sim/jitter.h"

namespace rehearse::sim {

Player::Player(const Plan& plan, const Prices& prices, const Cluster& cluster, Fidelity fidelity,
               std::int64_t steps, Engine& engine, Machine& machine)
    : plan_(plan),
      prices_(prices),
      jitter_(cluster.spec().jitter),
      steps_(steps),
      engine_(engine),
      machine_(machine),
      ranks_(plan.ranks.size()),
      sent_(plan.ranks.size()),
      received_(plan.ranks.size()),
      collectives_(
          plan, fidelity, cluster, machine,
          {[this](RankId rank, OpId op, std::int64_t) { span(rank, op).start = engine_.now(); },
           [this](RankId rank, OpId op, std::int64_t) { end(rank, op); }}) {
  for (const RankProgram& program : plan.programs) {
    auto& lanes = lanes_.emplace_back(program.lanes.size());
    for (std::size_t op = 0; op < program.ops.size(); ++op)
      lanes[program.ops[op].lane.index()].emplace_back(op);
  }
  std::size_t spans = 0;
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    ranks_[r].lanes = &lanes_[plan.ranks[r].program.index()];
    ranks_[r].first_span = spans;
    spans += program_of(plan, RankId(r)).ops.size() * static_cast<std::size_t>(steps);
  }
  spans_.resize(spans);
}

// ---- lanes -------------------------------------------------------------------------------------

void Player::begin() {
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    begin_step(RankId(r));
}

void Player::begin_step(RankId rank) {
  Rank& state = ranks_[rank.index()];
  const std::size_t ops = program_of(plan_, rank).ops.size();
  state.next.assign(state.lanes->size(), 0);
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
    for (std::size_t lane = 0; lane < ranks_[rank.index()].lanes->size(); ++lane) {
      moved = issue_head(rank, lane) || moved;
      // An op that took no time may have ended the step and begun the next one.
      if (ranks_[rank.index()].step != step) return;
    }
  }
}

bool Player::issue_head(RankId rank, std::size_t lane) {
  Rank& state = ranks_[rank.index()];
  if (state.next[lane] == (*state.lanes)[lane].size()) return false;
  const OpId id = (*state.lanes)[lane][state.next[lane]];
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
  const Rank& state = ranks_[rank.index()];
  return spans_[state.first_span + static_cast<std::size_t>(state.step) * state.ended.size() +
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
  sent_[from.index()] += transfer.bytes;
  received_[to.index()] += transfer.bytes;
  const OpId sending = sends ? id : peer_op, receiving = sends ? peer_op : id;
  machine_.transfer(from, to, transfer.bytes, [this, from, sending, to, receiving] {
    // The receiver fetches it when it looks, and tells the sender, who learns of it in turn.
    machine_.attend(to, [this, from, sending, to, receiving] {
      end(to, receiving);
      machine_.attend(from, [this, from, sending] { end(from, sending); });
    });
  });
}

void Player::meet_collective(RankId rank, OpId id) {
  const RankProgram& program = program_of(plan_, rank);
  const Op& op = program.ops[id.index()];
  const GroupId group = plan_.ranks[rank.index()].groups[collective_of(op).group];
  Rank& state = ranks_[rank.index()];
  const std::size_t number = state.collectives[{group, program.lanes[op.lane.index()].kind}]++;
  collectives_.issue(rank, id, state.step, number);
}

// ---- results -----------------------------------------------------------------------------------

std::vector<std::string> Player::waiting() const {
  std::vector<std::string> lines;
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const Rank& state = ranks_[r];
    if (state.step == steps_) continue;
    for (std::size_t lane = 0; lane < state.lanes->size(); ++lane) {
      if (state.next[lane] == (*state.lanes)[lane].size()) continue;
      const OpId id = (*state.lanes)[lane][state.next[lane]];
      lines.push_back(
          fmt::format("rank {} waits in {}", r, describe_op(program_of(plan_, RankId(r)), id)));
    }
  }
  return lines;
}

namespace {

std::vector<Bytes> sum_of(std::vector<Bytes> a, const std::vector<Bytes>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    a[i] += b[i];
  return a;
}

}  // namespace

std::vector<Bytes> Player::sent() const {
  return sum_of(sent_, collectives_.sent);
}
std::vector<Bytes> Player::received() const {
  return sum_of(received_, collectives_.received);
}

Timeline Player::take_timeline() {
  Timeline timeline;
  timeline.steps = steps_;
  timeline.spans = std::move(spans_);
  return timeline;
}

}  // namespace rehearse::sim
