#include "cost/closed_form/sharded_step.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>

#include "cost/closed_form/played_ops.h"
#include "model/plan/op_work.h"
#include "model/schedule/buckets.h"

namespace rehearse {
namespace {

// Micro-batches that are read: what more of them add shows in the third one's time, and nothing in
// memory that the second has not shown.
constexpr std::int64_t kMicroBatches = 3, kWeighed = 2;

// The classes of a network that one rank runs whole, and their buckets.
struct Held {
  std::vector<HolderClass> classes;
  std::vector<Bucket> buckets;
};
Held held_of(const Net& net, const StrategySpec& strategy, const Training& training) {
  Held held;
  held.classes = holder_classes(net, {full_subnetwork(net)}, {SegmentId(0), end_segment(net)}, {0});
  held.buckets = cut_buckets(
      net, held.classes,
      {strategy.bucket, state_sizes(training).gradient, strategy.sharding == Sharding::parameters});
  return held;
}

// Whether buckets begin in every one of the alike blocks, and in all at the same parameters.
bool is_regular(const NetVariants& nets, const Held& held) {
  std::map<std::size_t, std::vector<std::size_t>> begins;  // by block: places among its parameters
  for (const HolderClass& own : held.classes) {
    std::map<std::size_t, std::size_t> seen;  // by block
    for (const ParameterId parameter : own.parameters) {
      const auto segment = nets.whole.parameters[parameter.index()].segment;
      const std::size_t block = nets.whole.segments[segment.index()].block.index();
      const std::size_t place = seen[block]++;
      const bool is_first =
          std::any_of(held.buckets.begin(), held.buckets.end(),
                      [&](const Bucket& b) { return b.parameters.front() == parameter; });
      if (is_first) begins[block].push_back(place);
    }
  }
  const auto& first = begins[nets.run.begin];
  for (std::size_t block = nets.run.begin; block < nets.run.end; ++block) {
    if (begins[block].empty() || begins[block] != first) return false;
  }
  return true;
}

class Program {
 public:
  Program(const Net& net, std::int64_t tensor, std::int64_t micro_batches,
          const ShardedSettings& settings, const Training& training)
      : held_(held_of(net, settings.strategy, training)) {
    const StrategySpec& strategy = settings.strategy;
    RankFrame frame;
    frame.stages = {{StageId(0), SegmentId(0), end_segment(net)}};
    frame.starts = {SegmentId(0), end_segment(net)};
    frame.peers = {std::nullopt};
    for (std::int64_t m = 0; m < micro_batches; ++m) {
      frame.actions.push_back({ActionKind::forward, StageId(0), MicroBatchId(m)});
      frame.actions.push_back({ActionKind::backward, StageId(0), MicroBatchId(m)});
    }
    frame.micro_batches = micro_batches;
    frame.samples = settings.samples;
    frame.recomputation = strategy.recomputation;
    frame.prefetch = strategy.prefetch;
    frame.overlaps_tensor = strategy.tensor && strategy.tensor->overlap;
    std::size_t slots = 0;
    std::vector<OwnClass> classes;
    std::vector<std::optional<std::size_t>> places;
    for (const HolderClass& own : held_.classes) {
      const std::int64_t members = settings.data * (own.partial ? tensor : 1);
      OwnClass entry{&own, std::nullopt, static_cast<std::size_t>(members), settings.data};
      if (members > 1) entry.group = slots++, entry.sharding = strategy.sharding;
      places.push_back(classes.size());
      classes.push_back(entry);
    }
    if (tensor > 1) frame.tensor_group = slots++;
    frame.tensor_layout = {static_cast<std::size_t>(tensor), std::nullopt};
    frame.norm_ranks = static_cast<std::size_t>(settings.norm_ranks);
    if (settings.norm_ranks > 1) frame.norm_group = slots++;
    const CollectiveCosts none;
    frame.collective_costs = &none;
    frame.bounds_reductions = true;
    made_ = action_program(net, frame, training, classes, held_.buckets, places);
  }

  const RankProgram& ops() const { return made_.program; }
  const std::vector<OpId>& begins() const { return made_.begins; }
  bool is_partial(std::size_t of_class) const { return held_.classes[of_class].partial; }

 private:
  Held held_;
  ActionProgram made_;
};

// ---- time --------------------------------------------------------------------------------------

struct Times {
  double step = 0, span = 0, busy = 0, optimizer = 0;
  static constexpr std::array<double Times::*, 4> kAll = {&Times::step, &Times::span, &Times::busy,
                                                          &Times::optimizer};
};

Times onward(const Times& few, const Times& more, double further) {
  Times made;
  for (const auto figure : Times::kAll)
    made.*figure = more.*figure + further * (more.*figure - few.*figure);
  return made;
}

// One rank's program, played alone: what the others do at the same time is the same.
class Playing {
 public:
  Playing(const Net& net, const Program& program, const ShardedSettings& settings,
          const Training& training, const Device& device)
      : program_(program),
        ops_(program.ops()),
        costs_{net, settings.mesh, device, settings.norm},
        priced_(costs_, ops_, training, settings.samples),
        squared_(training.optimizer.clip ? elements_squared(Plan{}, ops_) : 0) {}

  Times run() {
    PlayedRank rank;
    rank.lanes = ops_.lanes.size();
    for (const Op& op : ops_.ops) {
      PlayedOp& made = rank.ops.emplace_back(price(op));
      made.lane = op.lane.index();
      for (const OpId before : op.after)
        made.after.push_back(before.index());
    }
    const PlayedStep step = std::move(play({rank}, {}, 1).front());
    return times_of(rank, step);
  }

 private:
  PlayedOp price(const Op& op) {
    const LaneKind lane = ops_.lanes[op.lane.index()].kind;
    PlayedOp made;
    if (lane == LaneKind::compute) {
      made.seconds = priced_.compute(op, squared_);
      return made;
    }
    if (lane == LaneKind::tensor) return priced_.ring({FlowKind::tensor}, op);
    const auto& held = collective_of(op).parameter_class;
    if (held)
      return priced_.ring(
          {program_.is_partial(held->index()) ? FlowKind::partial_holders : FlowKind::holders}, op);
    made.seconds = costs_.norm->most;
    return made;
  }

  Times times_of(const PlayedRank& rank, const PlayedStep& step) const {
    Times made;
    made.step = step.end;
    std::optional<double> first;
    double last = 0;
    for (std::size_t id = 0; id < ops_.ops.size(); ++id) {
      const LaneKind lane = ops_.lanes[ops_.ops[id].lane.index()].kind;
      const double seconds = rank.ops[id].seconds;
      if (lane != LaneKind::compute) continue;
      const bool updates = id >= program_.begins().back().index();
      (updates ? made.optimizer : made.busy) += seconds;
      if (updates || !is_pass(ops_.ops[id].kind)) continue;
      const PlayedStep::Span& span = step.spans.front()[id];
      if (!first) first = span.begin;
      last = std::max(last, span.end);
    }
    made.span = last - first.value_or(last);
    return made;
  }

  const Program& program_;
  const RankProgram& ops_;
  const PlayingCosts costs_;
  PlayedOps priced_;
  const std::int64_t squared_;
};

// ---- memory ------------------------------------------------------------------------------------

// An op: its action, the block that this has come to, and its number among that block's ops of the
// action; and the bytes alive while it runs, above those that always are.
struct Weighed {
  std::size_t action = 0, block = 0, order = 0;
  std::int64_t live = 0;
  bool is_backward = false;
};

std::vector<Weighed> weigh(const Net& net, const Program& program) {
  const RankProgram& ops = program.ops();
  std::vector<Weighed> made;
  std::int64_t live = 0;
  std::size_t action = 0;
  const auto block_at = [&](std::size_t from) {
    for (std::size_t id = from; id < ops.ops.size(); ++id) {
      if (is_pass(ops.ops[id].kind))
        return net.segments[compute_of(ops.ops[id]).begin.index()].block.index();
    }
    return std::size_t{0};
  };
  std::size_t block = block_at(0);
  for (std::size_t id = 0; id < ops.ops.size(); ++id) {
    const Op& op = ops.ops[id];
    while (action < program.begins().size() && program.begins()[action].index() <= id)
      block = block_at(program.begins()[action++].index());
    if (is_pass(op.kind)) block = net.segments[compute_of(op).begin.index()].block.index();
    for (const Operand& operand : op.operands) {
      if (operand.allocates) live += ops.buffers[operand.buffer.index()].size.bytes();
    }
    const bool allocates = std::any_of(op.operands.begin(), op.operands.end(),
                                       [](const Operand& operand) { return operand.allocates; });
    // Updates that need no room are as many as there are buckets.
    if (action == program.begins().size() && !allocates) continue;
    const bool same = !made.empty() && made.back().action == action && made.back().block == block;
    made.push_back({action, block, same ? made.back().order + 1 : 0, live, action % 2 == 0});
    for (const Operand& operand : op.operands) {
      if (operand.frees) live -= ops.buffers[operand.buffer.index()].size.bytes();
    }
  }
  return made;
}

struct Peak {
  std::int64_t live = 0;
  bool is_backward = false;
};

// Of so many blocks more than one_more has. None: they are not alike op by op.
std::optional<Peak> peak_of(const std::vector<Weighed>& few, const std::vector<Weighed>& one_more,
                            std::size_t before, std::int64_t further) {
  using Key = std::tuple<std::size_t, std::size_t, std::size_t>;
  std::map<Key, std::int64_t> known;
  for (const Weighed& op : few)
    known[{op.action, op.block, op.order}] = op.live;
  const std::size_t middle = before + kFewRepeats / 2;
  Peak peak;
  for (const Weighed& op : one_more) {
    if (op.block == middle) continue;
    const auto found =
        known.find({op.action, op.block < middle ? op.block : op.block - 1, op.order});
    if (found == known.end()) return std::nullopt;
    const std::int64_t live = op.live + further * (op.live - found->second);
    if (live > peak.live) peak = {live, op.is_backward};
  }
  return peak;
}

Peak peak_of(const std::vector<Weighed>& all) {
  Peak peak;
  for (const Weighed& op : all) {
    if (op.live > peak.live) peak = {op.live, op.is_backward};
  }
  return peak;
}

// ---- all of it ---------------------------------------------------------------------------------

class Step {
 public:
  Step(const RankNet& net, const ShardedSettings& settings, const Training& training,
       const Device& device)
      : net_(net), settings_(settings), training_(training), device_(device) {}

  ShardedStep run() {
    const NetVariants& nets = net_.nets();
    const Held held = held_of(nets.whole, settings_.strategy, training_);
    const bool is_alone = nets.run.size() <= kFewRepeats + 1 || settings_.strategy.prefetch > 1 ||
                          !is_regular(nets, held);
    const auto further = static_cast<std::int64_t>(nets.run.size() - kFewRepeats) - 1;
    std::optional<Peak> peak;
    if (!is_alone)
      peak = peak_of(weighed(nets.few), weighed(nets.one_more), nets.run.begin, further);
    // What is reduced and gathered lies beside one block differently than beside the next.
    const Times times = played(nets.whole);
    if (!peak) peak = peak_of(weighed(nets.whole));
    return {times.step,       times.span, times.busy, times.optimizer, peak->live + state(held),
            peak->is_backward};
  }

 private:
  Program program(const Net& net, std::int64_t micro_batches) const {
    return {net, net_.tensor(), micro_batches, settings_, training_};
  }

  std::vector<Weighed> weighed(const Net& net) const {
    return weigh(net, program(net, std::min(settings_.micro_batches, kWeighed)));
  }

  Times played(const Net& net) const {
    const auto of = [&](std::int64_t micro_batches) {
      const Program made = program(net, micro_batches);
      return Playing(net, made, settings_, training_, device_).run();
    };
    const Times most = of(std::min(settings_.micro_batches, kMicroBatches));
    const std::int64_t further = settings_.micro_batches - kMicroBatches;
    return further <= 0 ? most : onward(of(kMicroBatches - 1), most, static_cast<double>(further));
  }

  // Bytes of weights, gradients and the optimizer's state.
  std::int64_t state(const Held& held) const {
    const StateSizes sizes = state_sizes(training_);
    const Sharding sharding = settings_.strategy.sharding;
    std::int64_t sum = 0;
    for (std::size_t c = 0; c < held.classes.size(); ++c) {
      const HolderClass& own = held.classes[c];
      const std::int64_t members = settings_.data * (own.partial ? net_.tensor() : 1);
      std::int64_t shard = 0;
      for (const Bucket& bucket : held.buckets) {
        if (bucket.holder_class == c) shard += (bucket.end - bucket.begin + members - 1) / members;
      }
      const auto elements = [&](Sharding level) {
        return members > 1 && sharding >= level ? shard : own.elements;
      };
      sum += elements(Sharding::parameters) * sizes.parameter +
             elements(Sharding::gradients) * sizes.gradient +
             elements(Sharding::optimizer_state) * sizes.optimizer;
    }
    return sum;
  }

  const RankNet& net_;
  const ShardedSettings& settings_;
  const Training& training_;
  const Device& device_;
};

}  // namespace

ShardedStep sharded_step(const RankNet& net, const ShardedSettings& settings,
                         const Training& training, const Device& device) {
  return Step(net, settings, training, device).run();
}

}  // namespace rehearse
