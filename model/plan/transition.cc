#include "model/plan/transition.h"

#include <algorithm>
#include <map>
#include <set>

#include "model/base/check.h"

namespace rehearse {
namespace {

using Held = std::vector<std::set<ParameterId>>;  // by rank

Held held_by_ranks(const Plan& plan) {
  Held held(plan.ranks.size());
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    for (const ParameterClass& own : program_of(plan, RankId(r)).parameter_classes) {
      REHEARSE_CHECK(own.sharding == Sharding::none, "a transition of shards");
      if (own.is_held) held[r].insert(own.parameters.begin(), own.parameters.end());
    }
  }
  return held;
}

std::map<ParameterId, std::vector<RankId>> holders_of(const Held& held) {
  std::map<ParameterId, std::vector<RankId>> holders;
  for (std::size_t r = 0; r < held.size(); ++r) {
    for (const ParameterId id : held[r])
      holders[id].emplace_back(r);
  }
  return holders;
}

}  // namespace

Bytes Transition::received(RankId rank) const {
  Bytes sum;
  for (const StateMove& move : moves) {
    if (move.to == rank) sum += move.size;
  }
  return sum;
}

Bytes Transition::total() const {
  Bytes sum;
  for (const StateMove& move : moves)
    sum += move.size;
  return sum;
}

Transition transition_between(const Plan& before, const Plan& after, const Net& net) {
  REHEARSE_CHECK(before.ranks.size() == after.ranks.size(), "{} ranks, then {}",
                 before.ranks.size(), after.ranks.size());
  const Held held = held_by_ranks(before), wanted = held_by_ranks(after);
  const auto holders = holders_of(held);
  const StateSizes sizes = state_sizes(after.training);
  const std::int64_t element = sizes.optimizer + outer_state_bytes(after.training, after.outer) +
                               (after.masking == Masking::forward ? sizes.parameter : 0);
  std::vector<Bytes> sent(held.size());
  std::map<std::pair<RankId, RankId>, StateMove> moves;  // by receiver and sender
  for (std::size_t r = 0; r < wanted.size() && element > 0; ++r) {
    for (const ParameterId id : wanted[r]) {
      if (held[r].count(id) > 0) continue;
      std::optional<RankId> from;
      for (const RankId holder : holders.at(id)) {
        if (before.ranks[holder.index()].slice != after.ranks[r].slice) continue;
        if (!from || sent[holder.index()] < sent[from->index()]) from = holder;
      }
      REHEARSE_CHECK(from.has_value(), "nobody held parameter {}", id.value());
      const Bytes size = Bytes::bytes(net.parameters[id.index()].shape.elements() * element);
      sent[from->index()] += size;
      StateMove& move =
          moves.try_emplace({RankId(r), *from}, StateMove{*from, RankId(r), {}, {}}).first->second;
      move.parameters.push_back(id);
      move.size += size;
    }
  }
  Transition transition;
  for (auto& [key, move] : moves)
    transition.moves.push_back(std::move(move));
  return transition;
}

}  // namespace rehearse
