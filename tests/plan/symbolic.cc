#include "tests/plan/symbolic.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <tuple>

#include "model/plan/verify.h"

namespace rehearse::testing {
namespace {

using Word = std::uint64_t;
constexpr Word kUnwritten = 0, kZero = 1;
constexpr int kPeriods = 2;

enum Term : Word {
  term_init,
  term_data,
  term_out,
  term_slab,
  term_gradient,
  term_weight_gradient,
  term_mean,
  term_sgd,
  term_momentum,
  term_square,
  term_outer_gradient,
  term_outer,
  term_outer_momentum,
  term_rows,
  term_row_sum,
  term_share
};

// splitmix64's finaliser over the words in turn.
Word hash(const std::vector<Word>& words) {
  Word state = 0x9e3779b97f4a7c15u;
  for (const Word word : words) {
    state += word + 0x9e3779b97f4a7c15u;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
    state ^= state >> 31;
  }
  return state <= kZero ? state + 2 : state;
}

// What is wrong with a plan stops the play.
struct Problem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// ---- programs ----------------------------------------------------------------------------------

struct Place {
  ParameterClassId parameter_class;
  std::int64_t begin = 0, end = 0;
};

struct ProgramFacts {
  ProgramFacts(const Plan& plan, const Net& full, const RankProgram& program)
      : net(net_of(plan, full, program)), lanes(program.lanes.size()) {
    const ElementSizes sizes = element_sizes(plan.training);
    for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
      std::int64_t element = 0;
      for (const ParameterId p : program.parameter_classes[c].parameters) {
        const std::int64_t n = net.parameters[p.index()].shape.elements();
        places[p] = {ParameterClassId(c), element, element + n};
        element += n;
      }
    }
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      const Op& it = program.ops[op];
      lanes[it.lane.index()].push_back(op);
      lowerings.emplace_back();
      if (!is_pass(it.kind)) continue;
      const Compute& compute = compute_of(it);
      lowerings.back() = lower(net, compute.begin, compute.end, pass_of(program, it),
                               plan.micro_batch_samples, sizes);
    }
  }

  Net net;
  std::map<ParameterId, Place> places;
  std::vector<Lowering> lowerings;              // by op; empty of what is no pass
  std::vector<std::vector<std::size_t>> lanes;  // ops
};

struct PlanFacts {
  explicit PlanFacts(const Plan& p) : plan(p), full(*whole_net(p)) {
    for (const RankProgram& program : p.programs)
      programs.emplace_back(p, full, program);
  }
  const Plan& plan;
  const Net full;
  std::vector<ProgramFacts> programs;
};

// ---- the machine -------------------------------------------------------------------------------

struct Memory {
  bool allocated = false;
  std::vector<Word> words;  // one, or one per element
};

// What an op works on while it runs.
struct Touch {
  std::size_t buffer = 0;
  std::int64_t begin = 0, end = 0;
  bool writes = false;
};

bool meet(const Touch& a, const Touch& b) {
  return a.buffer == b.buffer && a.begin < b.end && b.begin < a.end && (a.writes || b.writes);
}

struct Running {
  std::size_t op = 0;
  std::vector<Touch> touches;
  std::vector<std::function<void()>> commits;  // what it writes when it ends
};

struct RankState {
  std::vector<Memory> memory;
  std::vector<bool> ended;
  std::vector<std::size_t> next;                      // by lane
  std::vector<std::optional<Running>> running;        // by lane
  std::map<std::pair<GroupId, LaneKind>, int> begun;  // collectives
  int period = 0;
};

class Machine {
 public:
  // `deal`: by number of a micro-batch, the one whose samples are loaded for it; empty: its own.
  Machine(const PlanFacts& facts, Random& random, std::vector<std::int64_t> deal = {})
      : facts_(facts),
        plan_(facts.plan),
        random_(random),
        eager_(random.below(2) == 0),
        by_priority_(random.below(3) > 0),
        deal_(std::move(deal)) {
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r) {
      ranks_.push_back(std::make_unique<RankState>());
      initialise(r);
      begin_period(r);
    }
  }

  Played run() {
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

 private:
  const RankProgram& program(std::size_t r) const { return program_of(plan_, RankId(r)); }
  const ProgramFacts& facts(std::size_t r) const {
    return facts_.programs[plan_.ranks[r].program.index()];
  }
  const Buffer& buffer(std::size_t r, std::size_t b) const { return program(r).buffers[b]; }

  [[noreturn]] void fail(std::size_t r, std::size_t op, const std::string& what) const {
    throw Problem(fmt::format("rank {}, {}: {}", r, describe_op(program(r), OpId(op)), what));
  }

  // ---- memory ----------------------------------------------------------------------------------

  std::int64_t elements_of(const RankProgram& p, const Buffer& it) const {
    if (holds_range(it.kind)) return it.end - it.begin;
    if (!is_persistent(it.kind)) return 1;
    const ParameterClass& held = p.parameter_classes[it.parameter_class->index()];
    return is_shard(held, it.kind) ? shard_elements(held) : held.elements;
  }
  static bool is_shard(const ParameterClass& held, BufferKind kind) {
    const Sharding level = kind == BufferKind::parameters  ? Sharding::parameters
                           : kind == BufferKind::gradients ? Sharding::gradients
                                                           : Sharding::optimizer_state;
    return held.sharding >= level;
  }

  // Elements of a class that this rank has a share of, bucket by bucket, and where the share of
  // each begins in its shard.
  struct Share {
    ElementRange chunk;
    std::int64_t offset = 0;
  };
  std::vector<Share> shares(std::size_t r, const ParameterClass& held) const {
    if (held.sharding == Sharding::none) return {{{0, held.elements}, 0}};
    const Group& group = group_at(plan_, RankId(r), *held.group);
    std::vector<Share> all;
    std::int64_t begin = 0;
    for (const std::int64_t end : held.buckets) {
      all.push_back({chunk_of(begin, end, group.members.size(), member_number(group, RankId(r))),
                     shard_offset(held, begin)});
      begin = end;
    }
    return all;
  }

  // Weights and the optimizer's state are there from the start.
  void initialise(std::size_t r) {
    const RankProgram& p = program(r);
    for (const Buffer& it : p.buffers) {
      Memory memory;
      memory.allocated = is_persistent(it.kind);
      memory.words.assign(static_cast<std::size_t>(elements_of(p, it)), kUnwritten);
      ranks_[r]->memory.push_back(std::move(memory));
    }
    for (std::size_t b = 0; b < p.buffers.size(); ++b) {
      const Buffer& it = p.buffers[b];
      if (it.kind == BufferKind::optimizer_state)
        ranks_[r]->memory[b].words.assign(ranks_[r]->memory[b].words.size(), kZero);
      if (it.kind != BufferKind::parameters && it.kind != BufferKind::outer_state) continue;
      const ParameterClass& held = p.parameter_classes[it.parameter_class->index()];
      const std::vector<Word> whole = first_weights(r, held);
      auto& words = ranks_[r]->memory[b].words;
      if (!is_shard(held, it.kind)) {
        words = whole;
        continue;
      }
      for (const Share& share : shares(r, held)) {
        for (std::int64_t e = share.chunk.begin; e < share.chunk.end; ++e)
          words[index(share.offset + e - share.chunk.begin)] = whole[index(e)];
      }
    }
  }

  static std::size_t index(std::int64_t element) { return static_cast<std::size_t>(element); }

  std::vector<Word> first_weights(std::size_t r, const ParameterClass& held) const {
    std::vector<Word> words;
    for (const ParameterId p : held.parameters) {
      const Parameter& parameter = facts_.full.parameters[p.index()];
      const bool sliced = parameter.spread == Spread::sliced;
      const Word slice = sliced ? static_cast<Word>(plan_.ranks[r].slice) : 0;
      for (std::int64_t k = 0; k < parameter.shape.elements(); ++k)
        words.push_back(hash({term_init, p.index(), slice, static_cast<Word>(k)}));
    }
    return words;
  }

  // Gradients are sums that begin at zero; what is reduced into shards is written first.
  void begin_period(std::size_t r) {
    RankState& rank = *ranks_[r];
    const RankProgram& p = program(r);
    rank.ended.assign(p.ops.size(), false);
    rank.next.assign(p.lanes.size(), 0);
    rank.running.assign(p.lanes.size(), std::nullopt);
    priorities_.resize(ranks_.size());
    priorities_[r].clear();
    for (std::size_t k = 0; k < 2 * p.lanes.size(); ++k)
      priorities_[r].push_back(random_.uniform());
    for (std::size_t b = 0; b < p.buffers.size(); ++b) {
      const Buffer& it = p.buffers[b];
      if (!is_persistent(it.kind) && rank.memory[b].allocated)
        throw Problem(fmt::format("rank {}: buffer {} is never freed", r, b));
      if (it.kind != BufferKind::gradients) continue;
      const bool shard =
          is_shard(p.parameter_classes[it.parameter_class->index()], BufferKind::gradients);
      rank.memory[b].words.assign(rank.memory[b].words.size(), shard ? kUnwritten : kZero);
      if (plan_.survival) forget_absent(r, b);
    }
  }

  // Gradients of what does not run are whatever they were.
  void forget_absent(std::size_t r, std::size_t b) {
    const Net& net = facts(r).net;
    std::set<ParameterId> used;
    for (const Stage& stage : program(r).stages) {
      const auto parameters = parameters_of(net, stage.begin, stage.end);
      used.insert(parameters.begin(), parameters.end());
    }
    std::size_t at = 0;
    for (const ParameterId id :
         program(r).parameter_classes[buffer(r, b).parameter_class->index()].parameters) {
      const auto elements = static_cast<std::size_t>(net.parameters[id.index()].shape.elements());
      for (std::size_t e = at; e < at + elements && used.count(id) == 0; ++e)
        ranks_[r]->memory[b].words[e] = kUnwritten;
      at += elements;
    }
  }

  // ---- scheduling ------------------------------------------------------------------------------

  struct Choice {
    std::size_t rank = 0, lane = 0;
    bool begins = false;
  };

  bool step() {
    std::vector<Choice> choices;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (ranks_[r]->period == kPeriods) continue;
      for (std::size_t lane = 0; lane < ranks_[r]->next.size(); ++lane) {
        if (ranks_[r]->running[lane] ? can_end(r, lane) : can_begin(r, lane))
          choices.push_back({r, lane, !ranks_[r]->running[lane]});
      }
    }
    if (choices.empty()) return false;
    const Choice& choice = choose(choices);
    if (choice.begins) {
      begin(choice.rank, choice.lane);
    } else {
      end(choice.rank, choice.lane);
    }
    return true;
  }

  // Uniformly; or, so that some lanes run far ahead of others, by priorities of beginnings and
  // ends.
  const Choice& choose(const std::vector<Choice>& choices) {
    if (!by_priority_ || random_.below(20) == 0) return choices[random_.below(choices.size())];
    return *std::max_element(choices.begin(), choices.end(),
                             [&](auto& a, auto& b) { return priority(a) < priority(b); });
  }
  double priority(const Choice& choice) const {
    return priorities_[choice.rank][2 * choice.lane + (choice.begins ? 1 : 0)];
  }

  std::size_t head(std::size_t r, std::size_t lane) const {
    return facts(r).lanes[lane][ranks_[r]->next[lane]];
  }

  bool can_begin(std::size_t r, std::size_t lane) const {
    if (ranks_[r]->next[lane] == facts(r).lanes[lane].size()) return false;
    const auto& after = program(r).ops[head(r, lane)].after;
    return std::all_of(after.begin(), after.end(),
                       [&](OpId op) { return ranks_[r]->ended[op.index()]; });
  }

  using MessageKey = std::tuple<std::size_t, std::size_t, std::int64_t, int>;  // from, to, tag
  struct Message {
    std::optional<Word> content;
    bool taken = false;  // the receive has begun
    std::int64_t bytes = 0;
    std::pair<BufferKind, std::optional<ValueId>> what;
  };

  MessageKey key(std::size_t r, const Op& op) const {
    const Transfer& transfer = transfer_of(op);
    const std::size_t peer = plan_.ranks[r].peers[transfer.peer].index();
    const bool sends = op.kind == OpKind::send;
    return {sends ? r : peer, sends ? peer : r, transfer.tag, ranks_[r]->period};
  }

  bool can_end(std::size_t r, std::size_t lane) {
    const std::size_t id = head(r, lane);
    const Op& op = program(r).ops[id];
    if (is_collective(op.kind)) {
      const Meeting& meeting = meetings_.at(joined_.at({r, id}));
      return meeting.members.size() == group_of(plan_, RankId(r), op).members.size();
    }
    if (op.kind == OpKind::send) return eager_ || messages_.at(key(r, op)).taken;
    if (op.kind == OpKind::receive) return messages_.at(key(r, op)).content.has_value();
    return true;
  }

  void begin(std::size_t r, std::size_t lane) {
    RankState& rank = *ranks_[r];
    const std::size_t id = head(r, lane);
    const Op& op = program(r).ops[id];
    Running& running = rank.running[lane].emplace();
    running.op = id;
    for (const Operand& operand : op.operands) {
      Memory& memory = rank.memory[operand.buffer.index()];
      if (operand.allocates) {
        if (memory.allocated) fail(r, id, "it allocates what is there");
        memory.allocated = true;
        memory.words.assign(memory.words.size(), kUnwritten);
      }
      if (!memory.allocated)
        fail(r, id, fmt::format("buffer {} is not allocated", operand.buffer.value()));
      if (operand.allocates || operand.frees) touch_all(r, running, operand.buffer.index(), true);
    }
    start(r, running, op);
    for (const auto& other : rank.running) {
      if (!other || &*other == &running) continue;
      for (const Touch& a : running.touches) {
        for (const Touch& b : other->touches) {
          if (meet(a, b))
            fail(r, id,
                 fmt::format("it works on buffer {} while {} does", a.buffer,
                             describe_op(program(r), OpId(other->op))));
        }
      }
    }
  }

  void end(std::size_t r, std::size_t lane) {
    RankState& rank = *ranks_[r];
    Running& running = *rank.running[lane];
    const Op& op = program(r).ops[running.op];
    if (is_collective(op.kind)) exchange(meetings_.at(joined_.at({r, running.op})));
    for (const auto& commit : running.commits)
      commit();
    if (op.kind == OpKind::receive) take(r, op);
    joined_.erase({r, running.op});
    for (const Operand& operand : op.operands) {
      if (operand.frees) rank.memory[operand.buffer.index()].allocated = false;
    }
    rank.ended[running.op] = true;
    rank.running[lane].reset();
    ++rank.next[lane];
    if (std::find(rank.ended.begin(), rank.ended.end(), false) != rank.ended.end()) return;
    ++rank.period;
    begin_period(r);
  }

  // ---- what ops do -----------------------------------------------------------------------------

  void start(std::size_t r, Running& running, const Op& op) {
    switch (op.kind) {
      case OpKind::load_batch:
        return load(r, running, op);
      case OpKind::forward:
      case OpKind::backward:
      case OpKind::backward_input:
      case OpKind::backward_weight:
      case OpKind::recompute:
        return pass(r, running, op);
      case OpKind::accumulate:
        return accumulate(r, running, op);
      case OpKind::clear:
        return clear(r, running, op);
      case OpKind::send:
      case OpKind::receive:
        return transfer(r, running, op);
      case OpKind::all_reduce:
      case OpKind::reduce_scatter:
      case OpKind::all_gather:
      case OpKind::broadcast:
        return join(r, running, op);
      case OpKind::sum_squares:
        return sum_squares(r, running);
      case OpKind::optimizer_step:
        return update(r, running, op);
      case OpKind::outer_gradient:
        return outer_gradient(r, running, op);
      case OpKind::outer_step:
        return outer_step(r, running, op);
    }
  }

  void touch(Running& running, std::size_t b, std::int64_t begin, std::int64_t end, bool writes) {
    running.touches.push_back({b, begin, end, writes});
  }
  void touch_all(std::size_t r, Running& running, std::size_t b, bool writes) {
    touch(running, b, 0, static_cast<std::int64_t>(ranks_[r]->memory[b].words.size()), writes);
  }

  Word& word(std::size_t r, std::size_t b, std::int64_t element = 0) {
    return ranks_[r]->memory[b].words[index(element)];
  }
  Word read(std::size_t r, std::size_t op, std::size_t b, std::int64_t element = 0) {
    const Word content = word(r, b, element);
    if (content == kUnwritten)
      fail(r, op,
           fmt::format("it reads element {} of buffer {}, which nobody has written", element, b));
    return content;
  }

  // The operand that an op finds what it needs in; declared at least as what is done to it.
  std::size_t find(std::size_t r, std::size_t id, Access access, BufferKind kind,
                   const std::function<bool(const Buffer&)>& fits = {}) {
    for (const Operand& operand : program(r).ops[id].operands) {
      const Buffer& it = buffer(r, operand.buffer.index());
      if (it.kind != kind || (fits && !fits(it))) continue;
      const bool reads = access != Access::write, writes = access != Access::read;
      if ((reads && operand.access == Access::write) || (writes && operand.access == Access::read))
        continue;
      return operand.buffer.index();
    }
    fail(r, id, fmt::format("it has no {} to {}", to_string(kind), to_string(access)));
  }
  std::size_t find_value(std::size_t r, std::size_t id, Access access, BufferKind kind, ValueId v) {
    const std::size_t b =
        find(r, id, access, kind, [&](const Buffer& it) { return it.value == v; });
    const Bytes needed =
        size_of(facts(r).net, v, plan_.micro_batch_samples, element_sizes(plan_.training));
    if (buffer(r, b).size < needed) fail(r, id, fmt::format("buffer {} is too small", b));
    return b;
  }
  std::size_t find_slab(std::size_t r, std::size_t id, Access access, BufferKind kind, Bytes size) {
    const std::size_t b = find(r, id, access, kind);
    if (buffer(r, b).size < size) fail(r, id, fmt::format("buffer {} is too small", b));
    return b;
  }
  std::size_t find_class(std::size_t r, std::size_t id, Access access, BufferKind kind,
                         ParameterClassId c) {
    const std::size_t b =
        find(r, id, access, kind, [&](const Buffer& it) { return it.parameter_class == c; });
    check_room(r, id, b);
    return b;
  }
  std::size_t find_range(std::size_t r, std::size_t id, Access access, BufferKind kind,
                         ParameterClassId c, std::int64_t begin, std::int64_t end) {
    const std::size_t b = find(r, id, access, kind, [&](const Buffer& it) {
      return it.parameter_class == c && it.begin <= begin && end <= it.end;
    });
    check_room(r, id, b);
    return b;
  }
  void check_room(std::size_t r, std::size_t id, std::size_t b) {
    const StateSizes sizes = state_sizes(plan_.training);
    const Buffer& it = buffer(r, b);
    const bool weights = it.kind == BufferKind::parameters || it.kind == BufferKind::gathered;
    const std::int64_t bytes = weights                                  ? sizes.parameter
                               : it.kind == BufferKind::optimizer_state ? sizes.optimizer
                               : it.kind == BufferKind::outer_state
                                   ? outer_state_bytes(plan_.training, plan_.outer)
                                   : sizes.gradient;
    if (it.size.bytes() < elements_of(program(r), it) * bytes)
      fail(r, id, fmt::format("buffer {} is too small", b));
  }

  void load(std::size_t r, Running& running, const Op& op) {
    for (const Operand& operand : op.operands) {
      const std::size_t b = operand.buffer.index();
      const Buffer& it = buffer(r, b);
      if (it.kind != BufferKind::value || facts(r).net.values[it.value->index()].producer ||
          operand.access == Access::read)
        fail(r, running.op, "it loads what is no data");
      find_value(r, running.op, Access::write, BufferKind::value, *it.value);
      touch_all(r, running, b, true);
      const std::int64_t own = global_micro_batch(plan_, RankId(r), compute_of(op).micro_batch);
      const auto sample = static_cast<Word>(deal_.empty() ? own : deal_[index(own)]);
      const Word content =
          hash({term_data, sample, it.value->index(), static_cast<Word>(ranks_[r]->period)});
      running.commits.push_back([this, r, b, content] { word(r, b) = content; });
    }
  }

  bool has_work(std::size_t r, const Compute& compute, Pass pass) const {
    return !lower(facts(r).net, compute.begin, compute.end, pass, plan_.micro_batch_samples,
                  element_sizes(plan_.training))
                .steps.empty();
  }

  // Reads its operands when it begins, and writes them when it ends.
  void pass(std::size_t r, Running& running, const Op& op) {
    const std::size_t id = running.op;
    const Lowering& work = facts(r).lowerings[id];
    const Pass kind = pass_of(program(r), op);
    const bool makes = kind == Pass::forward || kind == Pass::split_forward;
    const Compute& compute = compute_of(op);
    // Which function it is: segments whose layers are dropped are no part of it.
    std::vector<Word> inputs;
    for (std::size_t seg = compute.begin.index(); seg < compute.end.index(); ++seg) {
      for (const LayerId layer : facts(r).net.segments[seg].layers)
        inputs.push_back(layer.index());
    }
    const auto take = [&](std::size_t b) {
      touch_all(r, running, b, false);
      inputs.push_back(read(r, id, b));
    };
    for (const ValueId v : work.reads_values)
      take(find_value(r, id, Access::read, BufferKind::value, v));
    for (const ValueId v : work.reads_gradients)
      take(find_value(r, id, Access::read, BufferKind::gradient, v));
    for (const ParameterId p : parameters_read(facts(r).net, work))
      read_weights(r, running, p, inputs);
    if (!makes) {
      if (work.saved > Bytes{} && kind != Pass::backward_weight)
        take(find_slab(r, id, Access::read, BufferKind::saved, work.saved));
      if (work.kept > Bytes{}) take(find_slab(r, id, Access::read, BufferKind::kept, work.kept));
      if (work.deferred > Bytes{} && kind == Pass::backward_weight)
        take(find_slab(r, id, Access::read, BufferKind::deferred, work.deferred));
    }
    // A forward pass and its recomputation are one function.
    const Word all = hash(inputs);
    // Where the other half of the backward has nothing to do, a half is the whole.
    const bool is_whole =
        (kind == Pass::backward_input && !has_work(r, compute, Pass::backward_weight)) ||
        (kind == Pass::backward_weight && !has_work(r, compute, Pass::backward_input));
    const Word variant = makes ? 0 : static_cast<Word>(is_whole ? Pass::backward : kind);
    const auto put = [&](std::size_t b, Word content) {
      touch_all(r, running, b, true);
      running.commits.push_back([this, r, b, content] { word(r, b) = content; });
    };
    for (const ValueId v : work.writes_values)
      put(find_value(r, id, Access::write, BufferKind::value, v), hash({term_out, all, v.index()}));
    for (const ValueId v : work.writes_gradients)
      put(find_value(r, id, Access::write, BufferKind::gradient, v),
          hash({term_gradient, all, v.index(), variant}));
    const auto slab = [&](BufferKind of, Bytes size) {
      if (size == Bytes{}) return;
      put(find_slab(r, id, Access::write, of, size),
          hash({term_slab, all, static_cast<Word>(of), static_cast<Word>(kind)}));
    };
    if (makes) slab(BufferKind::saved, work.saved);
    if (makes) slab(BufferKind::kept, work.kept);
    if (kind == Pass::backward_input) slab(BufferKind::deferred, work.deferred);
    slab(BufferKind::scratch, work.scratch);
    for (const ParameterId p : parameters_differentiated(facts(r).net, work))
      add_gradients(r, running, p, hash({term_weight_gradient, all, p.index(), variant}));
  }

  void read_weights(std::size_t r, Running& running, ParameterId p, std::vector<Word>& inputs) {
    const Place& place = facts(r).places.at(p);
    const ParameterClassId c = place.parameter_class;
    const bool gathered = program(r).parameter_classes[c.index()].sharding == Sharding::parameters;
    const std::size_t b = gathered
                              ? find_range(r, running.op, Access::read, BufferKind::gathered, c,
                                           place.begin, place.end)
                              : find_class(r, running.op, Access::read, BufferKind::parameters, c);
    const std::int64_t shift = gathered ? buffer(r, b).begin : 0;
    touch(running, b, place.begin - shift, place.end - shift, false);
    for (std::int64_t e = place.begin; e < place.end; ++e)
      inputs.push_back(read(r, running.op, b, e - shift));
  }

  // What is reduced micro-batch by micro-batch is written by the first who adds to it.
  void add_gradients(std::size_t r, Running& running, ParameterId p, Word term) {
    const Place& place = facts(r).places.at(p);
    const ParameterClassId c = place.parameter_class;
    const RankProgram& own = program(r);
    const std::size_t id = running.op;
    const bool apart = !adds_to_flat(plan_.training, own, own.parameter_classes[c.index()],
                                     compute_of(own.ops[id]).micro_batch);
    const std::size_t b =
        apart ? find_range(r, id, Access::write, BufferKind::unreduced, c, place.begin, place.end)
              : find_class(r, id, Access::update, BufferKind::gradients, c);
    const std::int64_t shift = apart ? buffer(r, b).begin : 0;
    for (const Operand& operand : program(r).ops[id].operands) {
      const bool starts = operand.buffer.index() == b && operand.access == Access::write;
      auto& words = ranks_[r]->memory[b].words;
      if (starts) std::replace(words.begin(), words.end(), kUnwritten, kZero);
    }
    touch(running, b, place.begin - shift, place.end - shift, true);
    running.commits.push_back([this, r, id, b, place, shift, term] {
      for (std::int64_t e = place.begin; e < place.end; ++e) {
        const Word sum = read(r, id, b, e - shift);
        word(r, b, e - shift) = sum + hash({term, static_cast<Word>(e - place.begin)});
      }
    });
  }

  // Operand 0 becomes its sum with operand 1.
  void accumulate(std::size_t r, Running& running, const Op& op) {
    const Accumulate& it = accumulate_of(op);
    const auto of = [&](std::size_t k) {
      const std::size_t b = op.operands[k].buffer.index();
      const Buffer& sum = buffer(r, b);
      const bool holds = sum.kind == BufferKind::unreduced || sum.kind == BufferKind::gradients;
      const bool apart = sum.kind == BufferKind::unreduced;
      if (!holds || sum.parameter_class != it.parameter_class ||
          (apart && (it.begin < sum.begin || sum.end < it.end)) ||
          (k == 0 ? op.operands[k].access == Access::read : op.operands[k].access == Access::write))
        fail(r, running.op, "it does not work on two sums of its elements");
      check_room(r, running.op, b);
      const std::int64_t shift = apart ? sum.begin : 0;
      touch(running, b, it.begin - shift, it.end - shift, k == 0);
      return std::pair(b, shift);
    };
    const auto [left, left_shift] = of(0);
    const auto [right, right_shift] = of(1);
    for (std::int64_t e = it.begin; e < it.end; ++e) {
      Word sum =
          read(r, running.op, left, e - left_shift) + read(r, running.op, right, e - right_shift);
      if (it.divisor != 1) sum = hash({term_mean, sum, static_cast<Word>(it.divisor)});
      running.commits.push_back(
          [=, this, left = left, shift = left_shift] { word(r, left, e - shift) = sum; });
    }
  }

  void clear(std::size_t r, Running& running, const Op& op) {
    const Clear& it = clear_of(op);
    const std::size_t b = op.operands.front().buffer.index();
    const Buffer& gradients = buffer(r, b);
    if (gradients.kind != BufferKind::gradients || gradients.parameter_class != it.parameter_class)
      fail(r, running.op, "it does not clear gradients of its class");
    touch(running, b, it.begin, it.end, true);
    for (std::int64_t e = it.begin; e < it.end; ++e)
      running.commits.push_back([=, this] { word(r, b, e) = kZero; });
  }

  void transfer(std::size_t r, Running& running, const Op& op) {
    const bool sends = op.kind == OpKind::send;
    const Operand& operand = op.operands.front();
    const std::size_t b = operand.buffer.index();
    if (sends ? operand.access == Access::write : operand.access == Access::read)
      fail(r, running.op, "its buffer is not declared as used");
    const Buffer& it = buffer(r, b);
    if (it.size < transfer_of(op).bytes) fail(r, running.op, "its buffer is too small");
    touch_all(r, running, b, !sends);
    Message& message = messages_[key(r, op)];
    const bool other_is_known = message.content || message.taken;
    const auto what = std::make_pair(it.kind, it.value);
    if (other_is_known && (message.bytes != transfer_of(op).bytes.bytes() || message.what != what))
      fail(r, running.op, "the other end means another message");
    if (sends ? message.content.has_value() : message.taken)
      fail(r, running.op, "its tag is taken");
    message.bytes = transfer_of(op).bytes.bytes();
    message.what = what;
    const bool is_share = moves_share(r, running.op, *it.value, message.bytes);
    if (sends) {
      const Word content = read(r, running.op, b);
      message.content = is_share ? share_of(content, plan_.ranks[r].slice) : content;
    } else {
      message.taken = true;
    }
  }

  // Whether it is one of as many equal parts of the value as there are slices, and not all of it.
  bool moves_share(std::size_t r, std::size_t id, ValueId value, std::int64_t bytes) const {
    const std::int64_t whole =
        size_of(facts(r).net, value, plan_.micro_batch_samples, element_sizes(plan_.training))
            .bytes();
    if (bytes == whole) return false;
    if (bytes * plan_.mesh.tensor != whole)
      fail(r, id, "it moves neither all bytes of its value nor a slice's share");
    return true;
  }

  Word share_of(Word whole, std::int64_t slice) {
    const Word share = hash({term_share, whole, static_cast<Word>(slice)});
    whole_of_[{share, slice}] = whole;
    return share;
  }

  void take(std::size_t r, const Op& op) {
    word(r, op.operands.front().buffer.index()) = *messages_.at(key(r, op)).content;
  }

  std::size_t find_squares(std::size_t r, std::size_t id, Access access) {
    const std::size_t b = find(r, id, access, BufferKind::squares);
    if (buffer(r, b).size.bytes() < 8 * square_numbers(plan_.training))
      fail(r, id, fmt::format("buffer {} is too small", b));
    return b;
  }

  // Of every element that this rank answers for, one term.
  void sum_squares(std::size_t r, Running& running) {
    const std::size_t into = find_squares(r, running.op, Access::write);
    Word sum = hash({term_square});
    const auto& classes = program(r).parameter_classes;
    for (std::size_t c = 0; c < classes.size(); ++c) {
      if (!classes[c].is_held) continue;
      const std::size_t g =
          find_class(r, running.op, Access::read, BufferKind::gradients, ParameterClassId(c));
      touch_all(r, running, g, false);
      for (const Share& share : squared(r, classes[c]))
        sum += squares_of(r, running.op, classes[c], g, share);
    }
    touch_all(r, running, into, true);
    running.commits.push_back([this, r, into, sum] { word(r, into) = sum; });
  }

  std::vector<Share> squared(std::size_t r, const ParameterClass& held) const {
    if (held.sharding != Sharding::none || !held.group || plan_.local_steps > 1)
      return shares(r, held);
    const Group& group = group_at(plan_, RankId(r), *held.group);
    return {{chunk_of(0, held.elements, group.members.size(), member_number(group, RankId(r))), 0}};
  }

  Word squares_of(std::size_t r, std::size_t op, const ParameterClass& held, std::size_t g,
                  const Share& share) {
    Word sum = 0;
    std::int64_t begin = 0;
    for (const ParameterId p : held.parameters) {
      const Parameter& parameter = facts_.full.parameters[p.index()];
      const std::int64_t end = begin + parameter.shape.elements();
      const bool counts = parameter.spread != Spread::replicated || plan_.ranks[r].slice == 0;
      const std::int64_t from = std::max(begin, share.chunk.begin);
      const std::int64_t to = std::min(end, share.chunk.end);
      for (std::int64_t e = from; counts && e < to; ++e) {
        const std::int64_t place =
            is_shard(held, BufferKind::gradients) ? share.offset + e - share.chunk.begin : e;
        sum += hash({term_square, read(r, op, g, place)});
      }
      begin = end;
    }
    return sum;
  }

  // Momentum and step, element by element, of the share that this rank updates.
  void update(std::size_t r, Running& running, const Op& op) {
    const std::size_t id = running.op;
    const ParameterClassId c = optimize_of(op).parameter_class;
    const ParameterClass& held = program(r).parameter_classes[c.index()];
    const std::size_t w = find_class(r, id, Access::update, BufferKind::parameters, c);
    const std::size_t g = find_class(r, id, Access::read, BufferKind::gradients, c);
    const bool has_state = state_sizes(plan_.training).optimizer > 0;
    const std::size_t s =
        has_state ? find_class(r, id, Access::update, BufferKind::optimizer_state, c) : w;
    touch_all(r, running, w, true);
    touch_all(r, running, g, false);
    if (has_state) touch_all(r, running, s, true);
    const Word norm = norm_for(r, running);
    for (const Share& share : shares(r, held)) {
      for (std::int64_t e = share.chunk.begin; e < share.chunk.end; ++e) {
        const std::int64_t own = share.offset + e - share.chunk.begin;
        const std::int64_t we = is_shard(held, BufferKind::parameters) ? own : e;
        const std::int64_t ge = is_shard(held, BufferKind::gradients) ? own : e;
        const Word weight = read(r, id, w, we), gradient = read(r, id, g, ge);
        const Word state = has_state ? read(r, id, s, own) : kZero;
        running.commits.push_back([=, this] {
          word(r, w, we) = hash({term_sgd, weight, gradient, state, norm});
          if (has_state) word(r, s, own) = hash({term_momentum, weight, gradient, state, norm});
        });
      }
    }
  }

  bool has_master() const {
    const StateSizes sizes = state_sizes(plan_.training);
    return sizes.moment > sizes.parameter;
  }

  // Element by element: what is to be averaged over the holders.
  void outer_gradient(std::size_t r, Running& running, const Op& op) {
    const std::size_t id = running.op;
    const ParameterClassId c = optimize_of(op).parameter_class;
    const std::size_t g = find_class(r, id, Access::write, BufferKind::gradients, c);
    const std::size_t w =
        find_class(r, id, Access::read,
                   has_master() ? BufferKind::optimizer_state : BufferKind::parameters, c);
    const std::size_t a =
        plan_.outer ? find_class(r, id, Access::read, BufferKind::outer_state, c) : w;
    touch_all(r, running, g, true);
    touch_all(r, running, w, false);
    touch_all(r, running, a, false);
    for (std::int64_t e = 0; e < program(r).parameter_classes[c.index()].elements; ++e) {
      const Word weight = read(r, id, w, e);
      const Word content =
          plan_.outer ? hash({term_outer_gradient, weight, read(r, id, a, e)}) : weight;
      running.commits.push_back([=, this] { word(r, g, e) = content; });
    }
  }

  // ... and the weights that follow from the average.
  void outer_step(std::size_t r, Running& running, const Op& op) {
    const std::size_t id = running.op;
    const ParameterClassId c = optimize_of(op).parameter_class;
    const std::size_t w = find_class(r, id, Access::write, BufferKind::parameters, c);
    const std::size_t g = find_class(r, id, Access::read, BufferKind::gradients, c);
    const std::size_t a =
        plan_.outer ? find_class(r, id, Access::update, BufferKind::outer_state, c) : g;
    const std::size_t s =
        has_master() ? find_class(r, id, Access::update, BufferKind::optimizer_state, c) : g;
    touch_all(r, running, w, true);
    touch_all(r, running, g, false);
    if (plan_.outer) touch_all(r, running, a, true);
    if (has_master()) touch_all(r, running, s, true);
    for (std::int64_t e = 0; e < program(r).parameter_classes[c.index()].elements; ++e) {
      const Word mean = read(r, id, g, e), anchor = read(r, id, a, e), state = read(r, id, s, e);
      const Word weight = plan_.outer ? hash({term_outer, mean, anchor}) : mean;
      running.commits.push_back([=, this] {
        word(r, w, e) = weight;
        if (plan_.outer) word(r, a, e) = hash({term_outer_momentum, mean, anchor});
        if (has_master()) word(r, s, e) = hash({term_outer, mean, anchor, state});
      });
    }
  }

  Word norm_for(std::size_t r, Running& running) {
    if (!plan_.training.optimizer.clip) return kZero;
    const std::size_t b = find_squares(r, running.op, Access::read);
    touch_all(r, running, b, false);
    return read(r, running.op, b);
  }

  // ---- collectives -----------------------------------------------------------------------------

  struct Member {
    std::size_t rank = 0, op = 0;
  };
  struct Meeting {
    std::vector<Member> members;
    bool done = false;
  };
  using MeetingKey = std::tuple<GroupId, LaneKind, int>;

  void join(std::size_t r, Running& running, const Op& op) {
    const Collective& detail = collective_of(op);
    const GroupId group = plan_.ranks[r].groups[detail.group];
    const LaneKind lane = program(r).lanes[op.lane.index()].kind;
    const MeetingKey key{group, lane, ranks_[r]->begun[{group, lane}]++};
    meetings_[key].members.push_back({r, running.op});
    joined_[{r, running.op}] = key;
    const std::int64_t room = longest_room(r, op);
    if (room > 0)
      touch_all(
          r, running,
          find_slab(r, running.op, Access::write, BufferKind::communication, Bytes::bytes(room)),
          true);
    if (is_of_squares(program(r), op)) return touch_squares(r, running, op);
    if (!detail.parameter_class) return touch_values(r, running, op);
    const ParameterClass& held = program(r).parameter_classes[detail.parameter_class->index()];
    const ParameterClassId c = *detail.parameter_class;
    const std::int64_t n = detail.end - detail.begin;
    const StateSizes sizes = state_sizes(plan_.training);
    const bool weights = op.kind == OpKind::all_gather || op.kind == OpKind::broadcast;
    if (detail.element_bytes != (weights ? sizes.parameter : sizes.gradient))
      fail(r, running.op, "its elements have another size");
    const BufferKind flat = weights ? BufferKind::parameters : BufferKind::gradients;
    if (op.kind == OpKind::broadcast) {
      const bool sends =
          member_number(group_of(plan_, RankId(r), op), RankId(r)) < index(detail.sources);
      const std::size_t b =
          find_class(r, running.op, sends ? Access::read : Access::write, flat, c);
      return touch(running, b, detail.begin, detail.end, !sends);
    }
    const bool from_shards = weights && is_shard(held, flat);
    const bool into_shards = op.kind == OpKind::reduce_scatter && is_shard(held, flat);
    const std::size_t b = find_class(r, running.op,
                                     from_shards   ? Access::read
                                     : into_shards ? Access::write
                                                   : Access::update,
                                     flat, c);
    if (!from_shards && !into_shards) return touch(running, b, detail.begin, detail.end, true);
    const Group& members = group_of(plan_, RankId(r), op);
    const std::size_t self = member_number(members, RankId(r));
    const std::int64_t offset = shard_offset(held, detail.begin);
    touch(running, b, offset,
          offset + chunk_of(detail.begin, detail.end, members.members.size(), self).size(),
          into_shards);
    const std::size_t range = find_range(
        r, running.op, from_shards ? Access::write : Access::update,
        from_shards ? BufferKind::gathered : BufferKind::unreduced, c, detail.begin, detail.end);
    const std::int64_t shift = detail.begin - buffer(r, range).begin;
    touch(running, range, shift, shift + n, true);
  }

  // What this member receives to add to its own.
  std::int64_t longest_room(std::size_t r, const Op& op) const {
    const Collective& detail = collective_of(op);
    const Group& group = group_of(plan_, RankId(r), op);
    return detail.element_bytes *
           room_for(shape_of(op, group.members.size()), detail.end - detail.begin);
  }

  void touch_squares(std::size_t r, Running& running, const Op& op) {
    const Collective& detail = collective_of(op);
    touch_all(r, running, find_squares(r, running.op, Access::update), true);
    if (detail.parameter_class || detail.begin != 0 || detail.element_bytes != 8 ||
        detail.end != square_numbers(plan_.training))
      fail(r, running.op, "its elements are not the whole sum");
  }

  void touch_values(std::size_t r, Running& running, const Op& op) {
    const Collective& detail = collective_of(op);
    Bytes whole;
    for (std::size_t k = 0; k < op.operands.size(); ++k) {
      const std::size_t b = op.operands[k].buffer.index();
      const Buffer& it = buffer(r, b);
      if (it.kind == BufferKind::communication) continue;
      if (it.kind != BufferKind::value && it.kind != BufferKind::gradient)
        fail(r, running.op, "it works on what is no value");
      const bool writes = op.kind != OpKind::all_gather || k > 0 || values_of(op, r) == 1;
      if (writes && op.operands[k].access == Access::read)
        fail(r, running.op, "it writes what it declares as read");
      touch_all(r, running, b, writes);
      whole = std::max(whole, it.size);
    }
    if (whole.bytes() != (detail.end - detail.begin) * detail.element_bytes)
      fail(r, running.op, "its elements are not the whole value");
  }

  void exchange(Meeting& meeting) {
    if (meeting.done) return;
    meeting.done = true;
    const Member& first = meeting.members.front();
    const Op& op = program(first.rank).ops[first.op];
    const Collective& detail = collective_of(op);
    const Group& group = group_of(plan_, RankId(first.rank), op);
    std::vector<Member> members(group.members.size());  // in the group's order
    for (const Member& member : meeting.members)
      members[member_number(group, RankId(member.rank))] = member;
    for (const Member& member : members) {
      const Op& other = program(member.rank).ops[member.op];
      const Collective& theirs = collective_of(other);
      if (other.kind != op.kind || theirs.begin != detail.begin || theirs.end != detail.end ||
          theirs.element_bytes != detail.element_bytes || theirs.divisor != detail.divisor ||
          theirs.sources != detail.sources ||
          theirs.parameter_class.has_value() != detail.parameter_class.has_value())
        fail(member.rank, member.op, "others of its group are in another collective");
    }
    if (!detail.parameter_class) return exchange_values(members, op);
    for (std::int64_t e = detail.begin; e < detail.end; ++e)
      exchange_element(members, op, e);
    if (op.kind == OpKind::reduce_scatter) forget_terms(members);
  }

  const ParameterClass& class_of(const Member& member) const {
    const RankProgram& p = program(member.rank);
    return p.parameter_classes[collective_of(p.ops[member.op]).parameter_class->index()];
  }
  ElementRange chunk(const Member& member, std::size_t members, std::size_t number) const {
    const Collective& detail = collective_of(program(member.rank).ops[member.op]);
    return chunk_of(detail.begin, detail.end, members, number);
  }

  // The buffer of a kind that a member's collective works on, and where an element of its class is
  // in it: in a share, counted from the member's chunk.
  struct Spot {
    std::size_t rank = 0, buffer = 0;
    std::int64_t element = 0;
  };
  Spot spot(const Member& member, BufferKind kind, std::int64_t e, std::int64_t chunk_begin) {
    const Collective& detail = collective_of(program(member.rank).ops[member.op]);
    const std::size_t b = find(member.rank, member.op, Access::read, kind);
    if (holds_range(kind)) return {member.rank, b, e - buffer(member.rank, b).begin};
    const ParameterClass& held = class_of(member);
    if (!is_shard(held, kind)) return {member.rank, b, e};
    return {member.rank, b, shard_offset(held, detail.begin) + e - chunk_begin};
  }
  Spot destination(const Member& member, BufferKind kind, std::int64_t e,
                   std::int64_t chunk_begin) {
    const Collective& detail = collective_of(program(member.rank).ops[member.op]);
    const std::size_t b = find(member.rank, member.op, Access::write, kind);
    if (holds_range(kind)) return {member.rank, b, e - buffer(member.rank, b).begin};
    const ParameterClass& held = class_of(member);
    if (!is_shard(held, kind)) return {member.rank, b, e};
    return {member.rank, b, shard_offset(held, detail.begin) + e - chunk_begin};
  }

  // From the source that sends the element: its chunk of those that the others get.
  void broadcast_element(const std::vector<Member>& members, const Op& op, std::int64_t e) {
    const Collective& detail = collective_of(op);
    const std::size_t sources = index(detail.sources);
    if (sources < 1 || sources >= members.size())
      fail(members[0].rank, members[0].op, "nobody sends or receives it");
    std::size_t part = 0;
    while (chunk_of(detail.begin, detail.end, members.size() - sources, part).end <= e)
      ++part;
    const Member& from = members[part % sources];
    const Spot at = spot(from, BufferKind::parameters, e, e);
    const Word weight = read(at.rank, from.op, at.buffer, at.element);
    for (std::size_t m = sources; m < members.size(); ++m) {
      const Spot to = destination(members[m], BufferKind::parameters, e, e);
      word(to.rank, to.buffer, to.element) = weight;
    }
  }

  void exchange_element(const std::vector<Member>& members, const Op& op, std::int64_t e) {
    if (op.kind == OpKind::broadcast) return broadcast_element(members, op, e);
    std::size_t owner = 0;
    while (chunk(members[owner], members.size(), owner).end <= e)
      ++owner;
    const std::int64_t begin = chunk(members[owner], members.size(), owner).begin;
    const auto content = [&](const Spot& at, const Member& member) {
      return read(at.rank, member.op, at.buffer, at.element);
    };
    if (op.kind == OpKind::all_gather) {
      const Word weight =
          content(spot(members[owner], BufferKind::parameters, e, begin), members[owner]);
      for (const Member& member : members) {
        const bool apart = class_of(member).sharding == Sharding::parameters;
        const Spot to =
            destination(member, apart ? BufferKind::gathered : BufferKind::parameters, e, begin);
        word(to.rank, to.buffer, to.element) = weight;
      }
      return;
    }
    Word sum = 0;
    for (const Member& member : members) {
      const bool apart =
          op.kind == OpKind::reduce_scatter && class_of(member).sharding >= Sharding::gradients;
      sum += content(spot(member, apart ? BufferKind::unreduced : BufferKind::gradients, e, begin),
                     member);
    }
    const Word mean = hash({term_mean, sum, static_cast<Word>(collective_of(op).divisor)});
    for (std::size_t m = 0; m < members.size(); ++m) {
      if (op.kind == OpKind::reduce_scatter && m != owner) continue;
      const bool shard = is_shard(class_of(members[m]), BufferKind::gradients);
      const Spot to = destination(members[m], BufferKind::gradients, e, begin);
      Word& target = word(to.rank, to.buffer, to.element);
      target = shard && adds(members[m], to.buffer)
                   ? read(to.rank, members[m].op, to.buffer, to.element) + mean
                   : mean;
    }
  }

  bool adds(const Member& member, std::size_t b) const {
    const auto& operands = program(member.rank).ops[member.op].operands;
    return std::any_of(operands.begin(), operands.end(), [&](const Operand& operand) {
      return operand.buffer.index() == b && operand.access == Access::update;
    });
  }

  // A ring leaves partial sums wherever the member's own chunk is not.
  void forget_terms(const std::vector<Member>& members) {
    for (std::size_t m = 0; m < members.size(); ++m) {
      const Collective& detail = collective_of(program(members[m].rank).ops[members[m].op]);
      const bool apart = class_of(members[m]).sharding >= Sharding::gradients;
      const ElementRange own = chunk(members[m], members.size(), m);
      for (std::int64_t e = detail.begin; e < detail.end; ++e) {
        if (!apart && own.begin <= e && e < own.end) continue;
        const Spot at =
            spot(members[m], apart ? BufferKind::unreduced : BufferKind::gradients, e, own.begin);
        word(at.rank, at.buffer, at.element) = kUnwritten;
      }
    }
  }

  std::ptrdiff_t values_of(const Op& op, std::size_t r) const {
    return std::count_if(op.operands.begin(), op.operands.end(), [&](const Operand& operand) {
      return buffer(r, operand.buffer.index()).kind != BufferKind::communication;
    });
  }

  // In place: what all have a share of, if they do; something else, if they don't.
  void gather_shares(const std::vector<Member>& members) {
    std::vector<Word> contents = {term_share}, wholes;
    for (std::size_t m = 0; m < members.size(); ++m) {
      contents.push_back(read(members[m].rank, members[m].op, operand(members[m], 0)));
      const auto known = whole_of_.find({contents.back(), static_cast<std::int64_t>(m)});
      wholes.push_back(known == whole_of_.end() ? kUnwritten : known->second);
    }
    const bool fit = wholes.front() != kUnwritten &&
                     std::equal(wholes.begin() + 1, wholes.end(), wholes.begin());
    for (const Member& member : members)
      word(member.rank, operand(member, 0)) = fit ? wholes.front() : hash(contents);
  }

  // Rows are numbered by slices, and a member has the rows of its slice.
  void exchange_values(const std::vector<Member>& members, const Op& op) {
    if (op.kind == OpKind::all_gather && values_of(op, members.front().rank) == 1)
      return gather_shares(members);
    Word sum = 0;
    std::vector<Word> rows = {term_rows};
    for (const Member& member : members) {
      const std::size_t b = operand(member, 0);
      const Word content = read(member.rank, member.op, b);
      sum += content;
      rows.push_back(content);
      rows.push_back(static_cast<Word>(plan_.ranks[member.rank].slice));
    }
    const auto divisor = static_cast<Word>(collective_of(op).divisor);
    if (divisor != 1) sum = hash({term_mean, sum, divisor});
    for (std::size_t m = 0; m < members.size(); ++m) {
      const Member& member = members[m];
      if (op.kind == OpKind::all_reduce) {
        word(member.rank, operand(member, 0)) = sum;
      } else if (op.kind == OpKind::all_gather) {
        word(member.rank, operand(member, 1)) = hash(rows);
      } else {
        word(member.rank, operand(member, 0)) = kUnwritten;
        word(member.rank, operand(member, 1)) = hash({term_row_sum, sum, m});
      }
    }
  }
  std::size_t operand(const Member& member, std::size_t k) const {
    const auto& operands = program(member.rank).ops[member.op].operands;
    if (k >= operands.size()) fail(member.rank, member.op, "it has no place for the rows");
    return operands[k].buffer.index();
  }

  // ---- the end ---------------------------------------------------------------------------------

  void collect(std::size_t r, Played& played) {
    for (const ParameterClass& held : program(r).parameter_classes) {
      std::vector<Word> whole(index(held.elements), kUnwritten);
      std::vector<std::size_t> from = {r};
      if (held.sharding == Sharding::parameters) {
        from.clear();
        for (const RankId member : group_at(plan_, RankId(r), *held.group).members)
          from.push_back(member.index());
      }
      for (const std::size_t other : from)
        copy_share(other, held, whole);
      std::int64_t begin = 0;
      for (const ParameterId p : held.parameters) {
        const std::int64_t n = facts_.full.parameters[p.index()].shape.elements();
        played.weights[{RankId(r), p}] = {whole.begin() + begin, whole.begin() + begin + n};
        begin += n;
      }
    }
  }

  void copy_share(std::size_t r, const ParameterClass& wanted, std::vector<Word>& whole) {
    const RankProgram& p = program(r);
    for (std::size_t b = 0; b < p.buffers.size(); ++b) {
      if (p.buffers[b].kind != BufferKind::parameters) continue;
      const ParameterClass& held = p.parameter_classes[p.buffers[b].parameter_class->index()];
      if (held.parameters != wanted.parameters) continue;
      if (!is_shard(held, BufferKind::parameters)) {
        whole = ranks_[r]->memory[b].words;
        continue;
      }
      for (const Share& share : shares(r, held)) {
        for (std::int64_t e = share.chunk.begin; e < share.chunk.end; ++e)
          whole[index(e)] = word(r, b, share.offset + e - share.chunk.begin);
      }
    }
  }

  const PlanFacts& facts_;
  const Plan& plan_;
  Random& random_;
  const bool eager_, by_priority_;
  const std::vector<std::int64_t> deal_;
  std::vector<std::unique_ptr<RankState>> ranks_;
  std::vector<std::vector<double>> priorities_;  // by rank: of the ends and beginnings of lanes
  std::map<std::pair<Word, std::int64_t>, Word> whole_of_;  // by share of a value, and slice
  std::map<MessageKey, Message> messages_;
  std::map<MeetingKey, Meeting> meetings_;
  std::map<std::pair<std::size_t, std::size_t>, MeetingKey> joined_;
};

// How a plan deals the batch to the ranks of another: by the other's number of a micro-batch its
// own. Empty if it deals to no two ranks of a replica alike, or leaves out samples.
std::vector<std::int64_t> deal_of(const Plan& plan, const Plan& other) {
  std::map<std::int64_t, std::int64_t> deal;
  std::set<std::int64_t> dealt;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const std::int64_t from = other.ranks[r].first_micro_batch;
    for (std::int64_t m = 0; m < program_of(other, RankId(r)).micro_batches; ++m) {
      const std::int64_t to = plan.ranks[r].first_micro_batch + m;
      if (deal.try_emplace(from + m, to).first->second != to) return {};
      dealt.insert(to);
    }
  }
  const auto batches = static_cast<std::int64_t>(deal.size());
  if (dealt.size() != deal.size() || *dealt.begin() != 0 || *dealt.rbegin() != batches - 1)
    return {};
  std::vector<std::int64_t> list;
  for (const auto& [from, to] : deal)
    list.push_back(to);
  return list;
}

}  // namespace

Played play(const Plan& plan, Random& random) {
  const PlanFacts facts(plan);
  return Machine(facts, random).run();
}

std::string what_goes_wrong(const Plan& mutant, const Plan& good, int schedules,
                            std::uint64_t seed) {
  const PlanFacts facts(mutant), good_facts(good);
  const std::vector<std::int64_t> deal = deal_of(mutant, good);
  if (deal.empty()) return "its ranks do not train on the batch";
  Random first(seed);
  const Played expected = Machine(good_facts, first, deal).run();
  for (int schedule = 0; schedule < schedules; ++schedule) {
    Random random(seed, static_cast<std::uint64_t>(schedule));
    const Played played = Machine(facts, random).run();
    if (!played.problem.empty()) return played.problem;
    if (played.weights != expected.weights) return "the weights are others";
  }
  return "";
}

}  // namespace rehearse::testing
