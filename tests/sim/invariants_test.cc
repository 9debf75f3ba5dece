// What holds for every plan on every machine.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "cost/cost_model.h"
#include "model/plan/critical_path.h"
#include "tests/cost/devices.h"
#include "tests/sim/simulations.h"

namespace rehearse {
namespace {

using testing::PlanCase;

constexpr std::int64_t kSteps = 3;

class Simulation : public ::testing::TestWithParam<PlanCase> {
 protected:
  void SetUp() override { build(std::nullopt); }

  void build(std::optional<double> clip) {
    Result<Plan> plan = testing::plan_of(GetParam(), 256, Reduction::fast, clip);
    ASSERT_TRUE(plan.ok()) << format(plan.errors());
    plan_ = *std::move(plan);
  }

  // Priced by the cost model, on CPUs that share two cores, or on GPUs under a switch.
  sim::Outcome play(DeviceKind kind) const {
    const auto ranks = static_cast<std::int64_t>(plan_.ranks.size());
    ClusterSpec spec = kind == DeviceKind::cpu ? testing::cpu_node(ranks, {1, 2})
                                               : testing::gpus(ranks, 1e9, 1e-6);
    Device device = testing::simple_device();
    device.kind = kind;
    device.capacity = spec.device.capacity;
    device.memory_bandwidth = BytesPerSecond::gigabytes_per_second(10);
    if (kind == DeviceKind::cpu) {
      device.messaging = {Seconds::microseconds(1), Seconds::microseconds(1),
                          testing::seconds(1e-10), testing::seconds(1e-10),
                          testing::seconds(1e-10)};
    }
    spec.device = device;
    return testing::played(plan_, spec, make_prices(plan_, *whole_net(plan_), device), kSteps);
  }

  // One name for all who take part: sender, receiver and tag, or a group's range of gradients.
  std::string meeting_of(const Span& span, const Op& op) const {
    const RankBinding& rank = plan_.ranks[span.rank.index()];
    if (is_collective(op.kind)) {
      const Collective& detail = collective_of(op);
      // A range is gathered and reduced for every micro-batch: they are told apart by their order.
      const RankProgram& program = program_of(plan_, span.rank);
      std::size_t number = 0;
      for (std::size_t before = 0; before < span.op.index(); ++before) {
        const Op& other = program.ops[before];
        number += other.kind == op.kind && collective_of(other).begin == detail.begin &&
                  collective_of(other).group == detail.group;
      }
      return fmt::format("step {}, group {}, {} [{}, {}) number {}", span.step,
                         rank.groups[detail.group].value(), to_string(op.kind), detail.begin,
                         detail.end, number);
    }
    RankId from = span.rank, to = rank.peers[transfer_of(op).peer];
    if (op.kind == OpKind::receive) std::swap(from, to);
    return fmt::format("step {}, {} to {}, tag {}", span.step, from.value(), to.value(),
                       transfer_of(op).tag);
  }

  double median_step_time(const sim::Outcome& outcome) const {
    return break_down(plan_, outcome.timeline, 1).step_time.seconds();
  }

  Plan plan_;
};

// Payload bytes that a rank's program hands to the network in one step.
Bytes bytes_of(const Plan& plan, RankId rank, const Op& collective) {
  const Collective& detail = collective_of(collective);
  const Group& group = group_of(plan, rank, collective);
  return Bytes::bytes(elements_sent(shape_of(collective, group.members.size()),
                                    member_number(group, rank), detail.end - detail.begin) *
                      detail.element_bytes);
}

Bytes bytes_of(const Plan& plan, RankId rank) {
  Bytes sum;
  for (const Op& op : program_of(plan, rank).ops) {
    if (op.kind == OpKind::send) sum += transfer_of(op).bytes;
    if (is_collective(op.kind)) sum += bytes_of(plan, rank, op);
  }
  return sum;
}

// A source of a broadcast that others send to all its readers.
bool sends_nothing(const Plan& plan, RankId rank, const Op& op) {
  if (op.kind != OpKind::broadcast) return false;
  const std::size_t member = member_number(group_of(plan, rank, op), rank);
  return static_cast<std::int64_t>(member) < collective_of(op).sources &&
         bytes_of(plan, rank, op) == Bytes{};
}

TEST_P(Simulation, HasEveryOpOncePerStepAndInOrder) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::gpu}) {
    const Timeline timeline = play(kind).timeline;
    std::set<std::tuple<RankId, std::int64_t, OpId>> seen;
    std::size_t expected = 0;
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r) {
      expected += static_cast<std::size_t>(kSteps) * program_of(plan_, RankId(r)).ops.size();
    }
    for (const Span& span : timeline.spans) {
      EXPECT_LE(span.issue, span.start);
      EXPECT_LE(span.start, span.end);
      seen.insert({span.rank, span.step, span.op});
    }
    EXPECT_EQ(timeline.spans.size(), expected);
    EXPECT_EQ(seen.size(), expected);
  }
}

TEST_P(Simulation, ObeysLanesAndDependencies) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::gpu}) {
    const Timeline timeline = play(kind).timeline;
    std::map<std::tuple<RankId, std::int64_t, OpId>, Span> spans;
    for (const Span& span : timeline.spans)
      spans[{span.rank, span.step, span.op}] = span;
    for (const Span& span : timeline.spans) {
      const RankProgram& program = program_of(plan_, span.rank);
      const Op& op = program.ops[span.op.index()];
      for (const OpId before : op.after) {
        EXPECT_LE((spans[{span.rank, span.step, before}].end), span.issue);
      }
      for (std::size_t other = 0; other < span.op.index(); ++other) {
        if (program.ops[other].lane != op.lane) continue;
        EXPECT_LE((spans[{span.rank, span.step, OpId(other)}].end), span.issue);
      }
    }
  }
}

// An op is issued the moment its turn has come: its lane is free, what it waits for has ended, and
// so has the rank's step before. Ops that compute begin at once.
TEST_P(Simulation, IssuesOpsWhenTheirTurnHasCome) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::gpu}) {
    const Timeline timeline = play(kind).timeline;
    std::map<RankId, std::array<Time, kSteps + 1>> step_end;
    std::map<std::pair<RankId, std::int64_t>, std::vector<Time>> ends;  // by op
    std::map<std::tuple<RankId, std::int64_t, LaneId>, Time> lane_free;
    for (const Span& span : timeline.spans) {  // by rank, step and op
      const Op& op = program_of(plan_, span.rank).ops[span.op.index()];
      const auto step = static_cast<std::size_t>(span.step);
      std::vector<Time>& ended = ends[{span.rank, span.step}];
      Time& free = lane_free[{span.rank, span.step, op.lane}];
      Time turn = std::max(free, step_end[span.rank][step]);
      for (const OpId before : op.after)
        turn = std::max(turn, ended[before.index()]);
      EXPECT_EQ(span.issue, turn) << "rank " << span.rank.value() << ", op " << span.op.value();
      if (!is_communication(op.kind)) {
        EXPECT_EQ(span.start, span.issue);
      }
      ended.push_back(span.end);
      free = span.end;
      step_end[span.rank][step + 1] = std::max(step_end[span.rank][step + 1], span.end);
    }
  }
}

// A message or a collective begins for all when the last of them is there; but a source of a
// broadcast does not wait for those that others send to.
TEST_P(Simulation, BeginsCommunicationWhenAllAreThere) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::gpu}) {
    std::map<std::string, std::vector<Span>> meetings;
    for (const Span& span : play(kind).timeline.spans) {
      const Op& op = program_of(plan_, span.rank).ops[span.op.index()];
      if (!is_communication(op.kind)) continue;
      meetings[meeting_of(span, op)].push_back(span);
    }
    for (const auto& [name, spans] : meetings) {
      EXPECT_GE(spans.size(), 2u) << name;
      Time last;
      for (const Span& span : spans)
        last = std::max(last, span.issue);
      for (const Span& span : spans) {
        const Op& op = program_of(plan_, span.rank).ops[span.op.index()];
        const bool is_early = op.kind == OpKind::broadcast && span.end < last;
        if (is_early || sends_nothing(plan_, span.rank, op)) {
          EXPECT_EQ(span.start, span.end) << name;
          continue;
        }
        EXPECT_EQ(span.start, last) << name;
        EXPECT_LT(span.start, span.end) << name;
      }
    }
  }
}

// Played on a machine of that kind.
void expect_bytes_of(const Plan& plan, const sim::Outcome& outcome, DeviceKind kind) {
  Bytes sent, received, crossing;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    EXPECT_EQ(outcome.sent[r], bytes_of(plan, RankId(r)) * kSteps) << "rank " << r;
    sent += outcome.sent[r], received += outcome.received[r];
  }
  EXPECT_EQ(sent, received);
  for (const Bytes bytes : outcome.link_bytes)
    crossing += bytes;
  EXPECT_EQ(crossing, kind == DeviceKind::gpu ? sent * 2 : Bytes{}) << "up to the switch and down";
}

TEST_P(Simulation, MovesTheBytesOfThePlan) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::gpu})
    expect_bytes_of(plan_, play(kind), kind);
}

// The critical path is the step, part by part, each of them within its op; nothing is waited for
// but ops, which is what makes a simulation.
TEST_P(Simulation, HasACriticalPathThatIsTheStep) {
  for (const DeviceKind kind : {DeviceKind::gpu, DeviceKind::cpu}) {
    const sim::Outcome outcome = play(kind);
    const StepWindow step = median_step(outcome.timeline, 1);
    const std::vector<PathPart> path = critical_path(plan_, outcome.timeline, 1);
    ASSERT_FALSE(path.empty());
    EXPECT_EQ(path.front().begin, step.begin);
    EXPECT_EQ(path.back().end, step.end);
    std::map<std::tuple<RankId, std::int64_t, OpId>, const Span*> spans;
    for (const Span& span : outcome.timeline.spans)
      spans[{span.rank, span.step, span.op}] = &span;
    for (std::size_t p = 0; p < path.size(); ++p) {
      const PathPart& part = path[p];
      if (p > 0) {
        EXPECT_EQ(part.begin, path[p - 1].end);
      }
      EXPECT_LT(part.begin, part.end);
      ASSERT_TRUE(part.op) << "rank " << part.rank.value() << " waits";
      const auto holds = [&](std::int64_t number) {
        const auto span = spans.find({part.rank, number, *part.op});
        return span != spans.end() && span->second->start <= part.begin &&
               part.end <= span->second->end;
      };
      EXPECT_TRUE(holds(step.step) || holds(step.step - 1)) << "part " << p;
    }
  }
}

// Twice the bandwidth, half the latency or twice the speed never take longer than a thousandth
// more: where ranks share links, what ends earlier may get into the way of something else.
TEST_P(Simulation, IsMonotoneInTheMachine) {
  const auto ranks = static_cast<std::int64_t>(plan_.ranks.size());
  ClusterSpec spec = testing::gpus(ranks, 1e9, 1e-6);
  spec.device = testing::simple_device();
  spec.device.kind = DeviceKind::gpu;
  const auto step_time = [&](const ClusterSpec& on) {
    const Prices prices = make_prices(plan_, *whole_net(plan_), on.device);
    return median_step_time(testing::played(plan_, on, prices, kSteps));
  };
  const double usual = step_time(spec), slack = 1.001;
  ClusterSpec wide = spec, near = spec, quick = spec;
  wide.network.link.bandwidth = spec.network.link.bandwidth * 2;
  near.network.link.latency = spec.network.link.latency / 2;
  for (std::int64_t rank = 0; rank < ranks; ++rank)
    quick.ranks.push_back({{RankId(rank)}, {}, 2});
  for (const ClusterSpec& better : {wide, near, quick})
    EXPECT_LE(step_time(better), usual * slack);
}

// Links of a star carry what their ranks send and receive, and a switch sends on what it receives.
TEST_P(Simulation, ConservesBytes) {
  const sim::Outcome outcome = play(DeviceKind::gpu);
  const auto ranks = static_cast<std::int64_t>(plan_.ranks.size());
  const Cluster cluster = testing::built(testing::gpus(ranks, 1e9, 1e-6));
  std::map<VertexId, std::int64_t> balance;
  for (std::size_t l = 0; l < cluster.links().size(); ++l) {
    balance[cluster.links()[l].from] -= outcome.link_bytes[l].bytes();
    balance[cluster.links()[l].to] += outcome.link_bytes[l].bytes();
  }
  for (std::size_t v = 0; v < cluster.vertices().size(); ++v) {
    Bytes expected;
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r) {
      if (cluster.vertex_of(RankId(r)) == VertexId(v))
        expected += outcome.received[r] - outcome.sent[r];
    }
    EXPECT_EQ(balance[VertexId(v)], expected.bytes()) << cluster.vertices()[v].name;
  }
}

TEST_P(Simulation, RepeatsItselfExactly) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::gpu}) {
    const Timeline first = play(kind).timeline, second = play(kind).timeline;
    ASSERT_EQ(first.spans.size(), second.spans.size());
    for (std::size_t s = 0; s < first.spans.size(); ++s) {
      EXPECT_EQ(first.spans[s].start, second.spans[s].start);
      EXPECT_EQ(first.spans[s].end, second.spans[s].end);
    }
  }
}

TEST_P(Simulation, SharesAddUpToTheStep) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::gpu}) {
    const Breakdown breakdown = break_down(plan_, play(kind).timeline, 1);
    for (const RankTime& rank : breakdown.ranks) {
      const double sum = (rank.compute + rank.exposed_communication + rank.idle).seconds();
      EXPECT_NEAR(sum, breakdown.step_time.seconds(), 1e-11);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Plans, Simulation, ::testing::ValuesIn(testing::all_cases()),
                         [](const auto& c) { return c.param.name; });

// Gradients are clipped: the norm goes around between the reductions and the updates.
class ClippedSimulation : public Simulation {
 protected:
  void SetUp() override { build(1.0); }
};

TEST_P(ClippedSimulation, ComesToItsEndAndMovesTheBytesOfThePlan) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::gpu})
    expect_bytes_of(plan_, play(kind), kind);
}

INSTANTIATE_TEST_SUITE_P(Plans, ClippedSimulation, ::testing::ValuesIn(testing::all_cases()),
                         [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace rehearse
