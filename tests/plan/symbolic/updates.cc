#include "tests/plan/symbolic/updates.h"

#include <algorithm>

#include "tests/plan/symbolic/shards.h"

namespace rehearse::testing::symbolic {
namespace {

// ---- sums --------------------------------------------------------------------------------------

// One operand of an accumulate op, and the element of its class that it begins with.
struct Sum {
  BufferId buffer;
  std::int64_t begin = 0;
};

Sum sum_at(RunningOp& running, std::size_t k) {
  const Accumulate& it = accumulate_of(running.op());
  const Operand& operand = running.op().operands[k];
  const bool writes = k == 0;
  const Buffer& sum = running.rank().buffer(operand.buffer);
  const bool apart = sum.kind == BufferKind::unreduced;
  const bool holds = apart || sum.kind == BufferKind::gradients;
  if (!holds || sum.parameter_class != it.parameter_class ||
      (apart && (it.begin < sum.begin || sum.end < it.end)) ||
      operand.access == (writes ? Access::read : Access::write))
    running.fail("it does not work on two sums of its elements");
  running.check_room(operand.buffer);
  const std::int64_t begin = apart ? sum.begin : 0;
  running.touch(operand.buffer, it.begin - begin, it.end - begin, writes);
  return {operand.buffer, begin};
}

// ---- squares -----------------------------------------------------------------------------------

// Elements of a class that this rank answers for.
std::vector<Share> squared_shares(const RankFacts& rank, const ParameterClass& held) {
  if (held.sharding != Sharding::none || !held.group || rank.plan.local_steps > 1)
    return shares(rank, held);
  const Group& group = group_at(rank.plan, rank.id, *held.group);
  return {{chunk_of(0, held.elements, group.members.size(), member_number(group, rank.id)), 0}};
}

Word squares_of(const RunningOp& running, const ParameterClass& held, BufferId gradients,
                const Share& share) {
  const RankFacts& rank = running.rank();
  const bool is_sharded = is_shard(held, BufferKind::gradients);
  Word sum = 0;
  std::int64_t begin = 0;
  for (const ParameterId p : held.parameters) {
    const Parameter& parameter = rank.full.parameters[p.index()];
    const std::int64_t end = begin + parameter.shape.elements();
    const bool counts = parameter.spread != Spread::replicated || rank.binding.slice == 0;
    const std::int64_t from = std::max(begin, share.chunk.begin);
    const std::int64_t to = std::min(end, share.chunk.end);
    for (std::int64_t e = from; counts && e < to; ++e)
      sum += hash({term_square, running.read(gradients, is_sharded ? share.in_shard(e) : e)});
    begin = end;
  }
  return sum;
}

Word read_norm(RunningOp& running) {
  if (!running.plan().training.optimizer.clip) return kZero;
  const BufferId b = running.find_squares(Access::read);
  running.touch_all(b, false);
  return running.read(b);
}

bool has_master(const Plan& plan) {
  const StateSizes sizes = state_sizes(plan.training);
  return sizes.moment > sizes.parameter;
}

}  // namespace

// Operand 0 becomes its sum with operand 1.
void accumulate(RunningOp& running) {
  const Accumulate& it = accumulate_of(running.op());
  const Sum left = sum_at(running, 0), right = sum_at(running, 1);
  for (std::int64_t e = it.begin; e < it.end; ++e) {
    Word sum =
        running.read(left.buffer, e - left.begin) + running.read(right.buffer, e - right.begin);
    if (it.divisor != 1) sum = hash({term_mean, sum, static_cast<Word>(it.divisor)});
    running.write_at_end(left.buffer, e - left.begin, sum);
  }
}

void clear_gradients(RunningOp& running) {
  const Clear& it = clear_of(running.op());
  const BufferId b = running.op().operands.front().buffer;
  const Buffer& gradients = running.rank().buffer(b);
  if (gradients.kind != BufferKind::gradients || gradients.parameter_class != it.parameter_class)
    running.fail("it does not clear gradients of its class");
  running.touch(b, it.begin, it.end, true);
  for (std::int64_t e = it.begin; e < it.end; ++e)
    running.write_at_end(b, e, kZero);
}

// Of every element that this rank answers for, one term.
void sum_squares(RunningOp& running) {
  const RankFacts& rank = running.rank();
  const BufferId into = running.find_squares(Access::write);
  Word sum = hash({term_square});
  const auto& classes = rank.program.parameter_classes;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    if (!classes[c].is_held) continue;
    const BufferId gradients =
        running.find_class(Access::read, BufferKind::gradients, ParameterClassId(c));
    running.touch_all(gradients, false);
    for (const Share& share : squared_shares(rank, classes[c]))
      sum += squares_of(running, classes[c], gradients, share);
  }
  running.touch_all(into, true);
  running.write_at_end(into, 0, sum);
}

// Momentum and step, of the share that this rank updates.
void optimizer_step(RunningOp& running) {
  const RankFacts& rank = running.rank();
  const ParameterClassId c = optimize_of(running.op()).parameter_class;
  const ParameterClass& held = rank.class_at(c);
  const BufferId weights = running.find_class(Access::update, BufferKind::parameters, c);
  const BufferId gradients = running.find_class(Access::read, BufferKind::gradients, c);
  const bool has_state = state_sizes(rank.plan.training).optimizer > 0;
  const BufferId states =
      has_state ? running.find_class(Access::update, BufferKind::optimizer_state, c) : weights;
  running.touch_all(weights, true);
  running.touch_all(gradients, false);
  if (has_state) running.touch_all(states, true);
  const Word norm = read_norm(running);
  for (const Share& share : shares(rank, held)) {
    for (std::int64_t e = share.chunk.begin; e < share.chunk.end; ++e) {
      const std::int64_t own = share.in_shard(e);
      const std::int64_t at = is_shard(held, BufferKind::parameters) ? own : e;
      const Word weight = running.read(weights, at);
      const Word gradient =
          running.read(gradients, is_shard(held, BufferKind::gradients) ? own : e);
      const Word state = has_state ? running.read(states, own) : kZero;
      running.write_at_end(weights, at, hash({term_sgd, weight, gradient, state, norm}));
      if (has_state)
        running.write_at_end(states, own, hash({term_momentum, weight, gradient, state, norm}));
    }
  }
}

// What is to be averaged over the holders.
void outer_gradient(RunningOp& running) {
  const Plan& plan = running.plan();
  const ParameterClassId c = optimize_of(running.op()).parameter_class;
  const BufferId gradients = running.find_class(Access::write, BufferKind::gradients, c);
  const BufferId weights = running.find_class(
      Access::read, has_master(plan) ? BufferKind::optimizer_state : BufferKind::parameters, c);
  const BufferId anchors =
      plan.outer ? running.find_class(Access::read, BufferKind::outer_state, c) : weights;
  running.touch_all(gradients, true);
  running.touch_all(weights, false);
  running.touch_all(anchors, false);
  for (std::int64_t e = 0; e < running.rank().class_at(c).elements; ++e) {
    const Word weight = running.read(weights, e);
    running.write_at_end(
        gradients, e,
        plan.outer ? hash({term_outer_gradient, weight, running.read(anchors, e)}) : weight);
  }
}

// ... and the weights that follow from the average.
void outer_step(RunningOp& running) {
  const Plan& plan = running.plan();
  const ParameterClassId c = optimize_of(running.op()).parameter_class;
  const BufferId weights = running.find_class(Access::write, BufferKind::parameters, c);
  const BufferId means = running.find_class(Access::read, BufferKind::gradients, c);
  const BufferId anchors =
      plan.outer ? running.find_class(Access::update, BufferKind::outer_state, c) : means;
  const BufferId masters =
      has_master(plan) ? running.find_class(Access::update, BufferKind::optimizer_state, c) : means;
  running.touch_all(weights, true);
  running.touch_all(means, false);
  if (plan.outer) running.touch_all(anchors, true);
  if (has_master(plan)) running.touch_all(masters, true);
  for (std::int64_t e = 0; e < running.rank().class_at(c).elements; ++e) {
    const Word mean = running.read(means, e), anchor = running.read(anchors, e);
    const Word master = running.read(masters, e);
    running.write_at_end(weights, e, plan.outer ? hash({term_outer, mean, anchor}) : mean);
    if (plan.outer) running.write_at_end(anchors, e, hash({term_outer_momentum, mean, anchor}));
    if (has_master(plan))
      running.write_at_end(masters, e, hash({term_outer, mean, anchor, master}));
  }
}

}  // namespace rehearse::testing::symbolic
