#include "sim/collectives.h"

#include <algorithm>
#include <utility>

#include "model/collective/first_range.h"

namespace rehearse::sim {

Collectives::Collectives(const Plan& plan, Fidelity fidelity, const Cluster& cluster,
                         Machine& machine, Listener listener)
    : sent(plan.ranks.size()),
      received(plan.ranks.size()),
      plan_(plan),
      fidelity_(fidelity),
      cluster_(cluster),
      machine_(machine),
      listener_(std::move(listener)) {}

Collectives::Meeting& Collectives::meeting_of(const Key& key, RankId rank, const Op& op) {
  const auto [entry, is_new] = meetings_.try_emplace(key);
  Meeting& meeting = entry->second;
  if (!is_new) return meeting;
  const Collective& detail = collective_of(op);
  meeting.key = key;
  meeting.group = &group_of(plan_, rank, op);
  meeting.step = std::get<2>(key);
  meeting.shape = shape_of(op, meeting.group->members.size());
  meeting.element_bytes = detail.element_bytes;
  meeting.elements = detail.end - detail.begin;
  meeting.members.resize(meeting.group->members.size());
  meeting.played = static_cast<std::size_t>(
      std::count_if(meeting.group->members.begin(), meeting.group->members.end(),
                    [&](RankId member) { return is_played(member); }));
  if (!is_stepwise(meeting)) return meeting;
  meeting.lists.emplace(meeting.shape);
  // What all its messages do together is looked at only where there is a choice.
  if (machine_.has_protocols())
    meeting.protocol = machine_.fastest(meeting.group->members, footprint(meeting));
  return meeting;
}

// In-network reduction has no list: switches work on all of it at once. Nor can members send what
// others that are not played would.
bool Collectives::is_stepwise(const Meeting& meeting) const {
  return fidelity_ == Fidelity::stepwise && meeting.played == meeting.members.size() &&
         meeting.shape.algorithm != CollectiveAlgorithm::in_network;
}

void Collectives::issue(RankId rank, OpId id, std::int64_t step, std::size_t number) {
  const Op& op = program_of(plan_, rank).ops[id.index()];
  const GroupId group = plan_.ranks[rank.index()].groups[collective_of(op).group];
  const LaneKind lane = program_of(plan_, rank).lanes[op.lane.index()].kind;
  Meeting& meeting = meeting_of({group, lane, step, number}, rank, op);
  const std::size_t own = member_number(*meeting.group, rank);
  const std::size_t channels = meeting.lists ? meeting.lists->channels() : 1;
  meeting.members[own] = {id, channels, {}};
  // The last one to come is when it really begins, for all but those who had finished before.
  const std::vector<RankId>& members = meeting.group->members;
  const bool all_there = ++meeting.issued == meeting.played;
  for (std::size_t m = 0; all_there && m < members.size(); ++m) {
    if (meeting.members[m].unfinished > 0) listener_.start(members[m], meeting.members[m].op, step);
  }
  if (meeting.lists) {
    const Bytes first =
        Bytes::bytes(first_range(meeting.shape, meeting.elements) * meeting.element_bytes);
    machine_.start_collective(rank, first, meeting.protocol, [this, &meeting, own, channels] {
      for (std::size_t channel = 0; channel < channels; ++channel)
        next_step(meeting, channel, own);
    });
  } else if (all_there) {
    play_whole(meeting);
  }
}

// ---- as a whole --------------------------------------------------------------------------------

void Collectives::play_whole(Meeting& meeting) {
  const Footprint& whole = footprint(meeting);
  const std::vector<RankId>& ranks = meeting.group->members;
  for (std::size_t m = 0; m < ranks.size(); ++m) {
    if (!is_played(ranks[m])) continue;
    sent[ranks[m].index()] += whole.members[m].sent;
    received[ranks[m].index()] += whole.members[m].received;
  }
  const auto done = [this, &meeting] {
    // The last one takes the meeting with it.
    const std::vector<RankId>& members = meeting.group->members;
    for (std::size_t m = 0; m < members.size(); ++m) {
      if (is_played(members[m])) finish(meeting, m);
    }
  };
  if (fidelity_ == Fidelity::closed_form)
    return machine_.collective_by_price(whole, machine_.alone(ranks, whole), done);
  machine_.collective(ranks, whole, done);
}

const Footprint& Collectives::footprint(const Meeting& meeting) {
  const CollectiveShape& shape = meeting.shape;
  const Kind kind{shape, meeting.elements};
  const auto [known, is_new] =
      footprints_.try_emplace({meeting.group, kind, meeting.element_bytes});
  if (!is_new) return known->second;
  const auto [pattern, is_first] = patterns_.try_emplace(kind);
  if (is_first) pattern->second = pattern_of(shape, meeting.elements);
  known->second =
      footprint_of(cluster_, meeting.group->members, pattern->second, meeting.element_bytes);
  return known->second;
}

// ---- step by step ------------------------------------------------------------------------------

// The member sends and receives what its next step says; either may wait for the other end, which
// has come to the step of this number, or will.
void Collectives::next_step(Meeting& meeting, std::size_t channel, std::size_t member) {
  Progress& own = meeting.members[member].channels[channel];
  for (; own.number < meeting.lists->count(); ++own.number) {
    own.step = meeting.lists->step(member, meeting.elements, own.number, channel);
    own.offers = own.step.send.size() > 0;
    own.awaits = own.step.receive.size() > 0;
    own.pending = (own.offers ? 1 : 0) + (own.awaits ? 1 : 0);
    if (own.pending == 0) continue;
    const std::size_t number = own.number, to = own.step.to, from = own.step.from;
    const auto is_there = [&](std::size_t other) -> Progress* {
      Progress& its = meeting.members[other].channels[channel];
      const bool there = meeting.members[other].unfinished > 0 && its.number == number;
      return there ? &its : nullptr;
    };
    // What is sent may be there at once and lead to the next step: nothing of own is read after.
    Progress* const receiver = own.offers ? is_there(to) : nullptr;
    Progress* const sender = own.awaits ? is_there(from) : nullptr;
    const bool sends = receiver != nullptr && receiver->awaits;
    const bool receives = sender != nullptr && sender->offers;
    if (sends) own.offers = receiver->awaits = false;
    if (receives) own.awaits = sender->offers = false;
    if (sends) send(meeting, channel, member, to);
    if (receives) send(meeting, channel, from, member);
    return;
  }
  if (--meeting.members[member].unfinished == 0) finish(meeting, member);
}

// Both ends are there.
void Collectives::send(Meeting& meeting, std::size_t channel, std::size_t from, std::size_t to) {
  const std::vector<RankId>& ranks = meeting.group->members;
  const Bytes bytes = Bytes::bytes(meeting.members[from].channels[channel].step.send.size() *
                                   meeting.element_bytes);
  sent[ranks[from].index()] += bytes;
  received[ranks[to].index()] += bytes;
  if (free_messages_.empty()) {
    free_messages_.push_back(static_cast<std::uint32_t>(messages_.size()));
    messages_.emplace_back();
  }
  const std::uint32_t message = free_messages_.back();
  free_messages_.pop_back();
  messages_[message] = {&meeting, channel, from, to};
  // What is captured fits into std::function itself: messages are too many to allocate anything.
  machine_.transfer(
      ranks[from], ranks[to], bytes,
      [this, message] {
        const Message& arrived = messages_[message];
        machine_.attend(arrived.meeting->group->members[arrived.to],
                        [this, message] { take(message); });
      },
      meeting.protocol);
}

// The receiver has seen it, and tells the sender, who learns of it in turn. The reduction outlives
// its message: neither end finishes before its part is done.
void Collectives::take(std::uint32_t slot) {
  const Message message = messages_[slot];
  const std::vector<RankId>& ranks = message.meeting->group->members;
  const RankId sender = ranks[message.from], receiver = ranks[message.to];
  const CollectiveStep& step = message.meeting->members[message.to].channels[message.channel].step;
  const Bytes bytes = Bytes::bytes(step.receive.size() * message.meeting->element_bytes);
  const bool reduces = step.reduce;
  if (reduces) machine_.reduce(receiver, bytes, [this, slot] { part_done(slot, &Message::to); });
  if (!reduces) part_done(slot, &Message::to);
  machine_.attend(sender, [this, slot] { part_done(slot, &Message::from); });
}

void Collectives::part_done(std::uint32_t slot, std::size_t Message::*end) {
  Message& message = messages_[slot];
  Meeting& meeting = *message.meeting;
  const std::size_t channel = message.channel, member = message.*end;
  if (--message.ends == 0) free_messages_.push_back(slot);
  Progress& own = meeting.members[member].channels[channel];
  if (--own.pending > 0) return;
  ++own.number;
  next_step(meeting, channel, member);
}

void Collectives::finish(Meeting& meeting, std::size_t member) {
  const RankId rank = meeting.group->members[member];
  const OpId op = meeting.members[member].op;
  const std::int64_t step = meeting.step;
  // Of a broadcast: a source that had only those to send to who are there.
  if (meeting.issued < meeting.played) listener_.start(rank, op, step);
  if (++meeting.finished == meeting.played) meetings_.erase(meeting.key);
  listener_.end(rank, op, step);
}

}  // namespace rehearse::sim
