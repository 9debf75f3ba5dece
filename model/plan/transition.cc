#include "model/plan/transition.h"

#include <algorithm>
#include <map>
#include <set>

#include "model/base/check.h"

namespace rehearse {
namespace {

using Held = std::vector<std::set<ParameterId>>;  // by rank; what is parked there, too

// content: what moves.
Held held_by_ranks(const Plan& plan, const StateContent& content) {
  Held held(plan.ranks.size());
  const bool needs_state = content.moments || content.master;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankProgram& program = program_of(plan, RankId(r));
    std::set<ParameterClassId> with_state;
    for (const Buffer& buffer : program.buffers) {
      if (buffer.kind == BufferKind::optimizer_state) with_state.insert(*buffer.parameter_class);
    }
    for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
      const ParameterClass& own = program.parameter_classes[c];
      REHEARSE_CHECK(own.sharding == Sharding::none, "a transition of shards");
      if (!own.is_held && !is_parked(own)) continue;
      REHEARSE_CHECK(!needs_state || with_state.count(ParameterClassId(c)) > 0,
                     "class {} is parked without the state that its next holders need", c);
      held[r].insert(own.parameters.begin(), own.parameters.end());
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

// What a rank lacks that has not held a parameter.
StateContent moving_content(const Plan& plan, Moments moments) {
  const StateSizes sizes = state_sizes(plan.training);
  const std::int64_t kept = moments_of(plan.training.optimizer);
  return {.weights = plan.masking == Masking::forward,
          .moments = moments == Moments::keep && kept > 0,
          .master = sizes.optimizer > kept * sizes.moment,
          .outer = plan.outer.has_value()};
}

// Of one element.
std::int64_t bytes_of(const StateContent& content, const Plan& plan) {
  const StateSizes sizes = state_sizes(plan.training);
  const std::int64_t moments = moments_of(plan.training.optimizer) * sizes.moment;
  return (content.outer ? outer_state_bytes(plan.training, plan.outer) : 0) +
         (content.weights ? sizes.parameter : 0) + (content.moments ? moments : 0) +
         (content.master ? sizes.optimizer - moments : 0);
}

}  // namespace

std::string_view to_string(Moments moments) {
  return moments == Moments::keep ? "keep" : "reset";
}

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

Transition transition_between(const Plan& before, const Plan& after, const Net& net,
                              Moments moments) {
  REHEARSE_CHECK(before.ranks.size() == after.ranks.size(), "{} ranks, then {}",
                 before.ranks.size(), after.ranks.size());
  const StateContent content = moving_content(after, moments);
  const Held held = held_by_ranks(before, content), wanted = held_by_ranks(after, content);
  const auto holders = holders_of(held);
  const std::int64_t element = bytes_of(content, after);
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
      REHEARSE_CHECK(from.has_value(), "nobody had parameter {}", id.value());
      const Bytes size = Bytes::bytes(net.parameters[id.index()].shape.elements() * element);
      sent[from->index()] += size;
      StateMove& move =
          moves.try_emplace({RankId(r), *from}, StateMove{*from, RankId(r), content, {}, {}})
              .first->second;
      move.parameters.push_back(id);
      move.size += size;
    }
  }
  Transition transition;
  for (auto& [key, move] : moves)
    transition.moves.push_back(std::move(move));
  return transition;
}

namespace {

std::vector<const Buffer*> persistent_buffers(const RankProgram& program) {
  std::vector<const Buffer*> persistent;
  for (const Buffer& buffer : program.buffers) {
    if (is_persistent(buffer.kind)) persistent.push_back(&buffer);
  }
  return persistent;
}

}  // namespace

bool keeps_state(const Plan& before, const Plan& after, RankId rank) {
  const RankProgram &a = program_of(before, rank), &b = program_of(after, rank);
  const auto same_class = [](const ParameterClass& x, const ParameterClass& y) {
    return x.parameters == y.parameters && x.is_held == y.is_held && x.sharding == y.sharding &&
           x.buckets == y.buckets;
  };
  const auto same_buffer = [](const Buffer* x, const Buffer* y) {
    return x->kind == y->kind && x->size == y->size && x->parameter_class == y->parameter_class;
  };
  const auto buffers_a = persistent_buffers(a), buffers_b = persistent_buffers(b);
  return std::equal(a.parameter_classes.begin(), a.parameter_classes.end(),
                    b.parameter_classes.begin(), b.parameter_classes.end(), same_class) &&
         std::equal(buffers_a.begin(), buffers_a.end(), buffers_b.begin(), buffers_b.end(),
                    same_buffer);
}

Bytes carried_by(const RankProgram& program) {
  Bytes sum;
  for (const Buffer* buffer : persistent_buffers(program)) {
    if (buffer->kind != BufferKind::gradients) sum += buffer->size;
  }
  return sum;
}

}  // namespace rehearse
