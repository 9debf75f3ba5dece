#include "cost/closed_form/sharded_step.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <optional>
#include <tuple>

#include "cost/cost_model.h"
#include "model/base/check.h"
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
  double step = 0, span = 0, busy = 0, optimizer = 0, shared = 0;
  static constexpr std::array<double Times::*, 5> kAll = {&Times::step, &Times::span, &Times::busy,
                                                          &Times::optimizer, &Times::shared};
};

Times onward(const Times& few, const Times& more, double further) {
  Times made;
  for (const auto figure : Times::kAll)
    made.*figure = more.*figure + further * (more.*figure - few.*figure);
  return made;
}

// Plays a program's lanes. Ops begin in list order on their lanes; of those that are under way
// beside each other on a link each has a share of it.
class Player {
 public:
  Player(const Net& net, const Program& program, const ShardedSettings& settings,
         const Training& training, const Device& device)
      : net_(net),
        program_(program),
        ops_(program.ops()),
        settings_(settings),
        training_(training),
        sizes_(element_sizes(training)),
        device_(device),
        lanes_(ops_.lanes.size()),
        done_(ops_.ops.size(), false) {
    for (std::size_t id = 0; id < ops_.ops.size(); ++id)
      lanes_[ops_.ops[id].lane.index()].ops.push_back(id);
  }

  Times run() {
    double now = 0;
    std::size_t left = ops_.ops.size();
    while (left > 0) {
      for (LaneState& lane : lanes_)
        begin(lane, now);
      share_link();
      double step = kNever;
      for (const LaneState& lane : lanes_) {
        if (lane.runs) step = std::min(step, lane.left * lane.slowed);
      }
      REHEARSE_CHECK(step < kNever, "{} ops wait for ever", left);
      now += step;
      for (LaneState& lane : lanes_) {
        if (!lane.runs) continue;
        lane.left -= step / lane.slowed;
        if (lane.left > kEnd) continue;
        done_[lane.ops[lane.next++]] = true;
        lane.runs = false;
        --left;
      }
    }
    times_.step = now;
    times_.span = last_pass_ - first_pass_;
    return times_;
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity(), kEnd = 1e-13;
  static constexpr int kRounds = 8;  // until shares of a link agree
  struct LaneState {
    std::vector<std::size_t> ops;
    std::size_t next = 0;
    bool runs = false;
    double left = 0;     // seconds of the op that runs, alone
    double on_link = 0;  // the share of them in which its bytes flow
    double slowed = 1;
  };

  void begin(LaneState& lane, double now) {
    if (lane.runs || lane.next == lane.ops.size()) return;
    const std::size_t id = lane.ops[lane.next];
    const Op& op = ops_.ops[id];
    if (!std::all_of(op.after.begin(), op.after.end(), [&](OpId o) { return done_[o.index()]; }))
      return;
    const LaneKind kind = ops_.lanes[op.lane.index()].kind;
    lane.runs = true;
    lane.on_link = 0;
    if (kind != LaneKind::compute) {
      const Exchange it = exchange(op, kind);
      lane.left = it.seconds;
      if (kind == LaneKind::tensor) return;
      lane.on_link = it.on_link;
      times_.shared += it.seconds;
      return;
    }
    lane.left = price(op);
    const bool updates = id >= program_.begins().back().index();
    (updates ? times_.optimizer : times_.busy) += lane.left;
    if (updates || !is_pass(op.kind)) return;
    if (first_pass_ == kNever) first_pass_ = now;
    last_pass_ = now + lane.left;
  }

  // Bytes flow at half the rate while the other's do, and so for a longer share of the time.
  void share_link() {
    std::vector<LaneState*> sharing;
    for (LaneState& lane : lanes_) {
      lane.slowed = 1;
      if (lane.runs && lane.on_link > 0) sharing.push_back(&lane);
    }
    if (sharing.size() < 2) return;
    REHEARSE_CHECK(sharing.size() == 2, "{} lanes on one link", sharing.size());
    const double a = sharing[0]->on_link, b = sharing[1]->on_link;
    double longer_a = 1, longer_b = 1;  // bytes flow for
    for (int round = 0; round < kRounds; ++round) {
      longer_a = 1 + b * longer_b / (1 - b + b * longer_b);
      longer_b = 1 + a * longer_a / (1 - a + a * longer_a);
    }
    sharing[0]->slowed = 1 - a + a * longer_a;
    sharing[1]->slowed = 1 - b + b * longer_b;
  }

  double price(const Op& op) {
    if (op.kind == OpKind::load_batch)
      return price_work(load_work(ops_, op), device_).seconds.seconds();
    if (op.kind == OpKind::optimizer_step)
      return price_work(optimizer_work(training_, elements_updated(ops_, op)), device_)
          .seconds.seconds();
    if (op.kind == OpKind::sum_squares)
      return price_work(squares_work(training_, elements_squared(Plan{}, ops_)), device_)
          .seconds.seconds();
    REHEARSE_CHECK(is_pass(op.kind), "an op that the program of a sharded step does not have");
    const Compute& it = compute_of(op);
    const Pass pass = pass_of(ops_, op);
    const auto [known, is_new] = passes_.try_emplace({it.begin, it.end, pass});
    if (is_new)
      known->second = price_pass(net_, it.begin, it.end, pass, settings_.samples, sizes_, device_)
                          .seconds.seconds();
    return known->second;
  }

  struct Exchange {
    double seconds = 0, on_link = 0;
  };
  Exchange exchange(const Op& op, LaneKind kind) {
    const Collective& it = collective_of(op);
    const MeshCosts& mesh = settings_.mesh;
    if (kind == LaneKind::collective && !it.parameter_class) return {settings_.norm, 0};
    const RingGroup* group = &mesh.tensor;
    if (kind != LaneKind::tensor)
      group = program_.is_partial(it.parameter_class->index()) ? &mesh.partial_holders.front()
                                                               : &mesh.holders.front();
    const std::int64_t elements = it.end - it.begin;
    const auto [known, is_new] =
        exchanges_.try_emplace({group, op.kind, elements, it.element_bytes});
    if (!is_new) return known->second;
    const auto members = static_cast<std::int64_t>(group->members);
    const Bytes chunk = Bytes::bytes((elements + members - 1) / members * it.element_bytes);
    const RingCost ring =
        ring_cost(*group, collective_kind(op.kind), device_, elements, it.element_bytes);
    const double seconds = ring.seconds.seconds();
    // Members with faster links wait for the others, and meet nobody then.
    const bool shares = group->paths.are_alike();
    const double starts = ring.start.seconds();
    const Seconds message = send_seconds(ring.message, chunk);
    const double waits = seconds > 0 ? ring.message.alpha.seconds() / message.seconds() : 0;
    const double moves = seconds > 0 ? (1 - starts / seconds) * (1 - waits) : 0;
    return known->second = {seconds, shares ? moves : 0};
  }

  const Net& net_;
  const Program& program_;
  const RankProgram& ops_;
  const ShardedSettings& settings_;
  const Training& training_;
  const ElementSizes sizes_;
  const Device& device_;
  std::vector<LaneState> lanes_;
  std::vector<bool> done_;
  std::map<std::tuple<SegmentId, SegmentId, Pass>, double> passes_;
  std::map<std::tuple<const RingGroup*, OpKind, std::int64_t, std::int64_t>, Exchange> exchanges_;
  double first_pass_ = kNever, last_pass_ = 0;
  Times times_;
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
    Times times;
    if (!is_alone) {
      peak = peak_of(weighed(nets.few), weighed(nets.one_more), nets.run.begin, further);
      times = onward(played(nets.few), played(nets.one_more), static_cast<double>(further));
    }
    if (!peak) peak = peak_of(weighed(nets.whole)), times = played(nets.whole);
    return {times.step,       times.span,   times.busy,
            times.optimizer,  times.shared, peak->live + state(held),
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
      return Player(net, made, settings_, training_, device_).run();
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
