#include "tests/plan/symbolic/machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/plan/verify.h"
#include "tests/plan/symbolic/passes.h"
#include "tests/plan/symbolic/shards.h"
#include "tests/plan/symbolic/updates.h"

namespace rehearse::testing::symbolic {
namespace {

constexpr int kPeriods = 2;

}  // namespace

Machine::Machine(const PlanFacts& facts, Random& random, std::vector<std::int64_t> deal)
    : deal_(std::move(deal)),
      messages_(random.below(2) == 0, shares_),
      meetings_(shares_),
      order_(random, facts.ranks().size()) {
  for (std::size_t r = 0; r < facts.ranks().size(); ++r) {
    ranks_.push_back(std::make_unique<Rank>(facts.ranks()[r]));
    begin_period(r);
  }
}

Played Machine::run() {
  Played played;
  try {
    while (step()) {
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (ranks_[r]->period < kPeriods) throw Problem(fmt::format("rank {} waits for ever", r));
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      collect(r, played);
  } catch (const Problem& problem) {
    played.problem = problem.what();
  }
  return played;
}

// ---- scheduling --------------------------------------------------------------------------------

void Machine::begin_period(std::size_t r) {
  Rank& rank = *ranks_[r];
  const RankProgram& program = rank.facts.program;
  rank.ended.assign(program.ops.size(), false);
  rank.next.assign(program.lanes.size(), 0);
  rank.running.clear();
  rank.running.resize(program.lanes.size());
  order_.draw_priorities(r, program.lanes.size());
  rank.memory.begin_period();
}

bool Machine::step() {
  std::vector<Choice> choices;
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const Rank& rank = *ranks_[r];
    if (rank.period == kPeriods) continue;
    for (std::size_t lane = 0; lane < rank.next.size(); ++lane) {
      const bool begins = !rank.running[lane];
      if (begins ? can_begin(rank, lane) : can_end(rank, lane))
        choices.push_back({r, lane, begins});
    }
  }
  if (choices.empty()) return false;
  const Choice& choice = order_.choose(choices);
  if (choice.begins) {
    begin(*ranks_[choice.rank], choice.lane);
  } else {
    end(choice.rank, choice.lane);
  }
  return true;
}

bool Machine::can_begin(const Rank& rank, std::size_t lane) const {
  if (rank.next[lane] == rank.facts.lanes[lane].size()) return false;
  const auto& after = rank.facts.op(rank.head(lane)).after;
  return std::all_of(after.begin(), after.end(), [&](OpId op) { return rank.ended[op.index()]; });
}

bool Machine::can_end(const Rank& rank, std::size_t lane) const {
  const RunningOp& running = *rank.running[lane];
  if (is_collective(running.op().kind)) return meetings_.can_end(running);
  if (std::holds_alternative<Transfer>(running.op().detail))
    return messages_.can_end(running, rank.period);
  return true;
}

void Machine::begin(Rank& rank, std::size_t lane) {
  RunningOp& running = rank.running[lane].emplace(rank.facts, rank.memory, rank.head(lane));
  running.begin();
  start(rank, running);
  for (const auto& other : rank.running) {
    if (!other || &*other == &running) continue;
    const auto buffer = running.clash(*other);
    if (buffer)
      running.fail(fmt::format("it works on buffer {} while {} does", buffer->value(),
                               describe_op(rank.facts.program, other->id())));
  }
}

void Machine::end(std::size_t r, std::size_t lane) {
  Rank& rank = *ranks_[r];
  RunningOp& running = *rank.running[lane];
  if (is_collective(running.op().kind)) meetings_.end(running);
  if (running.op().kind == OpKind::receive) messages_.end(running, rank.period);
  running.end();
  rank.ended[running.id().index()] = true;
  rank.running[lane].reset();
  ++rank.next[lane];
  if (std::find(rank.ended.begin(), rank.ended.end(), false) != rank.ended.end()) return;
  ++rank.period;
  begin_period(r);
}

// ---- what ops do -------------------------------------------------------------------------------

void Machine::start(const Rank& rank, RunningOp& running) {
  switch (running.op().kind) {
    case OpKind::load_batch:
      return load_batch(running, sample_of(running), rank.period);
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::backward_input:
    case OpKind::backward_weight:
    case OpKind::recompute:
      return run_pass(running);
    case OpKind::accumulate:
      return accumulate(running);
    case OpKind::clear:
      return clear_gradients(running);
    case OpKind::send:
    case OpKind::receive:
      return messages_.begin(running, rank.period);
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
      return meetings_.begin(running);
    case OpKind::sum_squares:
      return sum_squares(running);
    case OpKind::optimizer_step:
      return optimizer_step(running);
    case OpKind::outer_gradient:
      return outer_gradient(running);
    case OpKind::outer_step:
      return outer_step(running);
  }
}

std::int64_t Machine::sample_of(const RunningOp& load) const {
  const std::int64_t own =
      global_micro_batch(load.plan(), load.rank().id, compute_of(load.op()).micro_batch);
  return deal_.empty() ? own : deal_[index(own)];
}

// ---- the end -----------------------------------------------------------------------------------

void Machine::collect(std::size_t r, Played& played) const {
  const RankFacts& rank = ranks_[r]->facts;
  for (const ParameterClass& held : rank.program.parameter_classes) {
    std::vector<Word> whole(index(held.elements), kUnwritten);
    std::vector<RankId> from = {rank.id};
    if (held.sharding == Sharding::parameters)
      from = group_at(rank.plan, rank.id, *held.group).members;
    for (const RankId other : from)
      copy_share(other.index(), held, whole);
    std::int64_t begin = 0;
    for (const ParameterId p : held.parameters) {
      const std::int64_t n = rank.full.parameters[p.index()].shape.elements();
      played.weights[{rank.id, p}] = {whole.begin() + begin, whole.begin() + begin + n};
      begin += n;
    }
  }
}

void Machine::copy_share(std::size_t r, const ParameterClass& wanted,
                         std::vector<Word>& whole) const {
  const RankFacts& rank = ranks_[r]->facts;
  const RankMemory& memory = ranks_[r]->memory;
  for (std::size_t b = 0; b < rank.program.buffers.size(); ++b) {
    const Buffer& buffer = rank.program.buffers[b];
    if (buffer.kind != BufferKind::parameters) continue;
    const ParameterClass& held = rank.class_of(buffer);
    if (held.parameters != wanted.parameters) continue;
    if (!is_shard(held, BufferKind::parameters)) {
      whole = memory.words(BufferId(b));
      continue;
    }
    for (const Share& share : shares(rank, held)) {
      for (std::int64_t e = share.chunk.begin; e < share.chunk.end; ++e)
        whole[index(e)] = memory.words(BufferId(b))[index(share.in_shard(e))];
    }
  }
}

}  // namespace rehearse::testing::symbolic
