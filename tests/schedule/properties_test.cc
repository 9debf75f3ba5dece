// What holds of every plan, whatever the strategy: random strategies over all that StrategySpec can
// say, on small random networks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "model/base/random.h"
#include "model/net/tensor.h"
#include "model/plan/plan_text.h"
#include "model/plan/verify.h"
#include "tests/schedule/random_strategy.h"

namespace rehearse {
namespace {

using testing::RandomCase;

// ---- what a plan sends -------------------------------------------------------------------------

struct Traffic {
  std::int64_t reduced = 0, gathered = 0;  // of classes: gradients, parameters
  std::int64_t broadcast = 0;              // of parameters, to those who only read them
  std::int64_t exchanged = 0;              // of values, between tensor-parallel ranks
  std::int64_t messages = 0;               // between stages
};

std::int64_t bytes_sent(const Plan& plan, RankId rank, const Op& op) {
  const Group& group = group_of(plan, rank, op);
  const Collective& detail = collective_of(op);
  return elements_sent(shape_of(op, group.members.size()), member_number(group, rank),
                       detail.end - detail.begin) *
         detail.element_bytes;
}

Traffic traffic_of(const Plan& plan) {
  Traffic traffic;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    for (const Op& op : program_of(plan, RankId(r)).ops) {
      if (op.kind == OpKind::send) traffic.messages += transfer_of(op).bytes.bytes();
      if (!is_collective(op.kind)) continue;
      const std::int64_t bytes = bytes_sent(plan, RankId(r), op);
      if (!collective_of(op).parameter_class) {
        traffic.exchanged += bytes;
      } else if (op.kind == OpKind::all_gather) {
        traffic.gathered += bytes;
      } else if (op.kind == OpKind::broadcast) {
        traffic.broadcast += bytes;
      } else {
        traffic.reduced += bytes;
      }
    }
  }
  return traffic;
}

// ---- what it should send -----------------------------------------------------------------------

// The facts about a case that closed forms are written in.
class Facts {
 public:
  Facts(const RandomCase& c, const Plan& plan)
      : strategy(c.strategy), plan(plan), net(*whole_net(plan)), mesh(plan.mesh) {
    if (strategy.subnetwork && strategy.subnetwork->assignment == AssignmentKind::balanced)
      holders = *holders_of(*strategy.subnetwork, mesh.workers);
    shape = pipeline_shape(strategy, mesh);
    const StateSizes sizes = state_sizes(plan.training);
    g = sizes.gradient;
    w = sizes.parameter;
    m = micro_batches_of(strategy);
  }

  // Ranks that a parameter's gradients are summed over, and how many such groups there are. Holders
  // of a unit are `holders` workers, of all else all of them; each is repeated for every data
  // replica. Slices are summed each for themselves, terms over the slices, too.
  std::int64_t members(const Parameter& p) const {
    const std::int64_t workers = p.unit ? holders_of_unit(*p.unit) : mesh.workers;
    return mesh.data * workers * (p.spread == Spread::partial ? mesh.tensor : 1);
  }
  // Where units are dealt by coverage: replicas whose programs hold it, of each worker's `data`.
  std::int64_t holders_of_unit(UnitId unit) const {
    if (!strategy.subnetwork || strategy.subnetwork->assignment == AssignmentKind::balanced)
      return holders;
    std::set<std::int64_t> replicas;
    for (const RankBinding& rank : plan.ranks) {
      if (plan.programs[rank.program.index()].subnetwork.holds[unit.index()])
        replicas.insert(rank.first_micro_batch);
    }
    return std::ssize(replicas) / mesh.data;
  }
  std::int64_t groups(const Parameter& p) const {
    return p.spread == Spread::partial ? 1 : mesh.tensor;
  }
  // Members that read it, but are none of those.
  std::int64_t only_readers(const Parameter& p) const {
    if (plan.masking == Masking::forward || !p.unit) return 0;
    return mesh.data * (mesh.workers - holders_of_unit(*p.unit)) *
           (p.spread == Spread::partial ? mesh.tensor : 1);
  }
  Sharding sharding(const Parameter& p) const {
    return members(p) > 1 ? strategy.sharding : Sharding::none;
  }

  // Whether a parameter stands on several ranks of one pipeline: these have a copy each.
  bool shares_parameters() const {
    if (mesh.pipeline == 1) return false;
    std::map<ParameterId, std::set<StageId>> stages;
    for (const RankProgram& program : plan.programs) {
      for (const Stage& stage : program.stages) {
        for (const ParameterId p : parameters_of(net, stage.begin, stage.end))
          stages[p].insert(StageId(rank_of(shape, stage.number)));
      }
    }
    return std::any_of(stages.begin(), stages.end(),
                       [](const auto& entry) { return entry.second.size() > 1; });
  }
  bool scatters() const { return strategy.pipeline && strategy.pipeline->scatter_gather; }
  bool splits_backward() const {
    return strategy.pipeline &&
           find_pipeline_schedule(strategy.pipeline->schedule)->splits_backward;
  }

  const StrategySpec& strategy;
  const Plan& plan;
  const Net net;
  const Mesh mesh;
  PipelineShape shape;
  std::int64_t holders = 1, g = 4, w = 4, m = 1;
};

// Of a ring of N over n values, all members together send (N - 1) n values in a reduce-scatter and
// as many in an all-gather: in each of the N - 1 steps the N chunks, once. An all-reduce is both.
// Gradients are reduced once per step, or once per micro-batch where they are sharded (ZeRO-2, 3):
// Rajbhandari et al., section 7. From ZeRO-1 on they are not gathered: the weights are.
std::int64_t expected_reduced(const Facts& facts) {
  std::int64_t bytes = 0;
  // What holders exchange when they come together is as long.
  if (!copies_agree(facts.plan)) return bytes;
  for (const Parameter& p : facts.net.parameters) {
    if (facts.members(p) == 0) continue;  // nobody trains it
    const std::int64_t once =
        facts.groups(p) * (facts.members(p) - 1) * p.shape.elements() * facts.g;
    switch (facts.sharding(p)) {
      case Sharding::none:
        bytes += 2 * once;
        break;
      case Sharding::optimizer_state:
        bytes += once;
        break;
      case Sharding::gradients:
      case Sharding::parameters:
        bytes += facts.m * once;
        break;
    }
  }
  return bytes;
}

// Whether the backward pass of the block of this segment reads its weights. That of the first one
// does not where it is a product (an embedding, a linear layer): nobody wants the gradient of the
// data. In a residual network it has a batch norm, in GPT and ViT positions, whose backward is one
// kernel that is given the weights.
bool backward_reads(const Facts& facts, SegmentId segment) {
  if (facts.net.segments[segment.index()].block != BlockId(0)) return true;
  return facts.net.name == "resnet20" || facts.net.name == "gpt" || facts.net.name == "vit";
}

// ZeRO-1 and 2 gather the new weights once a step; ZeRO-3 gathers them for every micro-batch's
// forward and once more for its backward, since they are freed after each.
std::int64_t expected_gathered(const Facts& facts) {
  std::int64_t bytes = 0;
  for (const Parameter& p : facts.net.parameters) {
    if (facts.members(p) == 0) continue;
    const std::int64_t once =
        facts.groups(p) * (facts.members(p) - 1) * p.shape.elements() * facts.w;
    switch (facts.sharding(p)) {
      case Sharding::none:
        break;
      case Sharding::optimizer_state:
      case Sharding::gradients:
        bytes += once;
        break;
      case Sharding::parameters:
        bytes += facts.m * once * (backward_reads(facts, p.segment) ? 2 : 1);
        break;
    }
  }
  return bytes;
}

// Everybody who trains without holding a parameter receives it once a step (with the holders'
// reduction that is (c - 1) + (N - 1) times its bytes in all, where it is one of gradients).
std::int64_t expected_broadcast(const Facts& facts) {
  std::int64_t bytes = 0;
  for (const Parameter& p : facts.net.parameters)
    bytes += facts.groups(p) * facts.only_readers(p) * p.shape.elements() * facts.w;
  return bytes;
}

// Where ZeRO-3's gathers are as simple as that: one forward and one backward run per block and
// micro-batch. A tied parameter is used at both ends of the network, a split backward may gather
// for both its halves, and where a block is cut (by exchanges, by buckets of several classes) the
// runs are, too.
bool gathers_by_block(const Facts& facts) {
  if (facts.strategy.sharding != Sharding::parameters) return true;
  const bool tied = facts.plan.model.kind == "gpt" && facts.plan.model.is("tied");
  return !tied && !facts.splits_backward() && facts.mesh.tensor == 1 && !facts.strategy.subnetwork;
}

// Every value that crosses a cut between stages on different ranks goes over it once forward, its
// gradient once backward: per micro-batch, replica, worker and slice.
std::int64_t expected_messages(const Facts& facts) {
  std::int64_t bytes = 0;
  const ElementSizes sizes = element_sizes(facts.plan.training);
  for (const RankBinding& rank : facts.plan.ranks) {
    const RankProgram& program = facts.plan.programs[rank.program.index()];
    const Net own = net_of(facts.plan, facts.net, program);
    for (const Stage& stage : program.stages) {
      if (stage.end == end_segment(own)) continue;
      const StageId next(stage.number.value() + 1);
      if (rank_of(facts.shape, stage.number) == rank_of(facts.shape, next)) continue;
      for (const ValueId value : values_across(own, stage.end)) {
        const std::int64_t ways = own.values[value.index()].needs_gradient ? 2 : 1;
        const Bytes whole = size_of(own, value, facts.plan.micro_batch_samples, sizes);
        // What all slices have alike they share out.
        const std::int64_t senders = facts.scatters() ? facts.mesh.tensor : 1;
        bytes += ways * facts.m * whole.bytes() / senders;
      }
    }
  }
  return bytes;
}

// Per micro-batch Megatron's two sums forward and two backward per layer, one of the embedding
// forward and one of the head's input backward, all of b s h values, and one of the loss's T + 1
// terms of each of b s labels; an all-reduce sends 2 (T - 1) times its values. Under sequence
// parallelism each is an all-gather and a reduce-scatter of as many bytes together; each of the 2 L
// + 1 gathers of the forward pass is repeated for the backward pass (Korthikanti et al.,
// section 4.2.2).
std::int64_t expected_exchanged(const Facts& facts) {
  const Plan& plan = facts.plan;
  const ElementSizes sizes = element_sizes(plan.training);
  const std::int64_t labels = plan.micro_batch_samples * plan.model.at("sequence");
  const std::int64_t activation = labels * plan.model.at("width") * sizes.activation_bytes;
  const std::int64_t layers = plan.model.at("layers");
  const std::int64_t halves = 2 * (4 * layers + 2) + (plan.sequence_parallel ? 2 * layers + 1 : 0);
  const std::int64_t loss = labels * (facts.mesh.tensor + 1) * sizes.statistic_bytes;
  const std::int64_t of_a_group = (facts.mesh.tensor - 1) * (halves * activation + 2 * loss);
  return facts.mesh.data * facts.m * of_a_group;
}
bool exchanges_plainly(const Facts& facts) {
  return facts.mesh.tensor > 1 && !facts.strategy.subnetwork && facts.mesh.pipeline == 1 &&
         facts.strategy.recomputation != Recomputation::full && !facts.splits_backward();
}

void check_traffic(const Facts& facts) {
  const Traffic traffic = traffic_of(facts.plan);
  EXPECT_EQ(traffic.messages, expected_messages(facts));
  if (exchanges_plainly(facts)) {
    EXPECT_EQ(traffic.exchanged, expected_exchanged(facts));
  }
  if (facts.mesh.tensor == 1) {
    EXPECT_EQ(traffic.exchanged, 0);
  }
  if (facts.shares_parameters()) return;
  EXPECT_EQ(traffic.reduced, expected_reduced(facts));
  EXPECT_EQ(traffic.broadcast, expected_broadcast(facts));
  if (gathers_by_block(facts)) {
    EXPECT_EQ(traffic.gathered, expected_gathered(facts));
  }
}

// ---- memory ------------------------------------------------------------------------------------

// What nobody holds is parked once, slice by slice: by one replica.
void check_parked(const Facts& facts, std::int64_t in_programs) {
  std::int64_t expected = 0, on_ranks = 0;
  for (const Parameter& p : facts.net.parameters) {
    if (facts.plan.masking == Masking::forward && p.unit && facts.members(p) == 0)
      expected += facts.mesh.tensor * p.shape.elements();
  }
  for (std::size_t r = 0; r < facts.plan.ranks.size(); ++r) {
    for (const ParameterClass& c : program_of(facts.plan, RankId(r)).parameter_classes)
      on_ranks += is_parked(c) ? c.elements : 0;
  }
  EXPECT_EQ(on_ranks, expected);
  EXPECT_LE(in_programs, expected);
}

// A rank has its stages' parameters in full or, at and above the level that shards them, a share of
// every bucket, rounded up (Rajbhandari et al., figure 1).
void check_state(const Facts& facts) {
  const bool redraws = facts.strategy.subnetwork && facts.strategy.subnetwork->redraw;
  std::int64_t parked = 0;
  const StateSizes sizes = state_sizes(facts.plan.training);
  for (const RankProgram& program : facts.plan.programs) {
    std::map<BufferKind, std::int64_t> have, expected;
    for (const Buffer& buffer : program.buffers) {
      if (is_persistent(buffer.kind)) have[buffer.kind] += buffer.size.bytes();
    }
    const Net own = net_of(facts.plan, facts.net, program);
    std::set<ParameterId> used;
    for (const Stage& stage : program.stages) {
      for (const ParameterId p : parameters_of(own, stage.begin, stage.end))
        used.insert(p);
    }
    std::int64_t held = 0, shares = 0, in_classes = 0;
    for (const ParameterId p : used)
      held += own.parameters[p.index()].shape.elements();
    std::map<Sharding, std::int64_t> elements;  // kept by a rank where this level is sharded
    for (const ParameterClass& c : program.parameter_classes) {
      // What is only read has neither gradients nor state; what is parked has the state if somebody
      // may go on with it.
      if (!c.is_held) {
        elements[Sharding::parameters] += c.elements;
        if (is_parked(c)) {
          elements[Sharding::optimizer_state] += redraws ? c.elements : 0;
          parked += c.elements;
        } else {
          in_classes += c.elements;
        }
        continue;
      }
      in_classes += c.elements;
      std::int64_t begin = 0;
      shares = 0;
      for (const std::int64_t end : c.buckets) {
        shares += (end - begin + c.holders - 1) / c.holders;
        begin = end;
      }
      for (const Sharding level :
           {Sharding::optimizer_state, Sharding::gradients, Sharding::parameters})
        elements[level] += c.sharding >= level ? shares : c.elements;
    }
    EXPECT_EQ(in_classes, held) << program.name;
    const auto expect = [&](BufferKind kind, Sharding level, std::int64_t bytes) {
      if (bytes * elements[level] > 0) expected[kind] = bytes * elements[level];
    };
    expect(BufferKind::parameters, Sharding::parameters, sizes.parameter);
    expect(BufferKind::gradients, Sharding::gradients, sizes.gradient);
    expect(BufferKind::optimizer_state, Sharding::optimizer_state, sizes.optimizer);
    if (facts.plan.outer) {
      const std::int64_t arrays = facts.plan.outer->momentum > 0 ? 2 : 1;
      expect(BufferKind::outer_state, Sharding::optimizer_state, arrays * sizes.moment);
    }
    EXPECT_EQ(have, expected) << program.name;
  }
  check_parked(facts, parked);
}

// Most micro-batches between their first forward and their last backward op at one time.
std::int64_t most_live(const RankProgram& program) {
  std::map<MicroBatchId, std::size_t> last;
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (is_pass(program.ops[op].kind)) last[compute_of(program.ops[op]).micro_batch] = op;
  }
  std::set<MicroBatchId> live;
  std::size_t most = 0;
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (!is_pass(program.ops[op].kind)) continue;
    const MicroBatchId m = compute_of(program.ops[op]).micro_batch;
    live.insert(m);
    most = std::max(most, live.size());
    if (last[m] == op) live.erase(m);
  }
  return static_cast<std::int64_t>(most);
}

// GPipe runs all forwards first and keeps m; 1F1B keeps on stage s of p as many as there are stages
// from s on (Narayanan et al., PipeDream-Flush, arXiv 2006.09503, section 2.2).
void check_live(const Facts& facts) {
  if (!facts.strategy.pipeline || facts.strategy.pipeline->table) return;
  for (const RankProgram& program : facts.plan.programs) {
    const std::int64_t stage = program.stages.front().number.value();
    if (most_live(program) == 0) continue;  // a worker that holds nothing here
    if (facts.strategy.pipeline->schedule == "gpipe") {
      EXPECT_EQ(most_live(program), facts.m);
    }
    if (facts.strategy.pipeline->schedule == "1f1b") {
      EXPECT_EQ(most_live(program), std::min(facts.m, facts.shape.ranks - stage));
    }
  }
}

// ---- all together ------------------------------------------------------------------------------

// Printing loses nothing: what is parsed back prints and hashes the same.
void check_text(const Plan& plan) {
  const std::string text = print(plan);
  const Result<ParsedPlan> parsed = parse_plan(text, "plan");
  ASSERT_TRUE(parsed.ok()) << format(parsed.errors());
  EXPECT_EQ(print(parsed->plan), text);
  EXPECT_EQ(plan_hash(parsed->plan), plan_hash(plan));
}

class RandomStrategies : public ::testing::TestWithParam<int> {};

// The verifier accepts what is built, or the strategy is impossible and the error says so.
TEST_P(RandomStrategies, BuildWhatTheySay) {
  constexpr std::uint64_t kSeeds = 150;
  int possible = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed, static_cast<std::uint64_t>(GetParam()));
    const RandomCase c = testing::random_case(random);
    SCOPED_TRACE(fmt::format("stream {}, seed {}: {}", GetParam(), seed, testing::describe(c)));
    const Result<Plan> plan =
        build_plan(c.strategy, c.model, c.training, c.devices, c.costs, std::nullopt);
    if (!plan) {
      ASSERT_FALSE(plan.errors().empty());
      EXPECT_FALSE(plan.errors().front().message.empty());
      continue;
    }
    ++possible;
    const Status status = verify(*plan);
    if (!status) {
      ADD_FAILURE() << format(status.errors());
      continue;
    }
    check_text(*plan);
    const Facts facts(c, *plan);
    check_traffic(facts);
    check_state(facts);
    check_live(facts);
  }
  EXPECT_GT(possible, static_cast<int>(kSeeds) / 3) << "too few plans to mean anything";
}

// Streams of seeds, so that they can run side by side.
INSTANTIATE_TEST_SUITE_P(Streams, RandomStrategies, ::testing::Range(0, 8));

}  // namespace
}  // namespace rehearse
