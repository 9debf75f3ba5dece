#include "model/schedule/pipeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "model/base/random.h"
#include "tests/schedule/replay.h"

namespace rehearse {
namespace {

using testing::bubble_rate;
using testing::even_costs;
using testing::Orders;
using testing::replay;
using testing::Replay;

std::string_view letter(Task task) {
  switch (task) {
    case Task::forward:
      return "F";
    case Task::backward:
      return "B";
    case Task::backward_input:
      return "I";
    case Task::backward_weight:
      return "W";
  }
  return "?";
}

// Passes of later chunks carry a prime each.
std::string letters(const PipelineShape& shape, const std::vector<Slot>& order) {
  std::string text;
  for (const Slot& slot : order) {
    const std::size_t chunk = slot.stage.index() / static_cast<std::size_t>(shape.ranks);
    text += fmt::format("{}{}{} ", letter(slot.task), std::string(chunk, '\''),
                        slot.micro_batch.value());
  }
  return text;
}

PipelineRequest request_for(const PipelineSchedule& schedule, std::int64_t ranks,
                            std::int64_t chunks, std::int64_t micro_batches) {
  PipelineRequest request;
  request.shape = {ranks, chunks, micro_batches, schedule.placement};
  request.costs = even_costs(request.shape, 1, 1, 1);
  request.live_limit = static_cast<double>(ranks);
  return request;
}

Orders orders_of(std::string_view name, std::int64_t ranks, std::int64_t chunks,
                 std::int64_t micro_batches) {
  const PipelineSchedule& schedule = *find_pipeline_schedule(name);
  return schedule.order(request_for(schedule, ranks, chunks, micro_batches));
}

std::string order_of(std::string_view name, std::size_t rank, std::int64_t ranks,
                     std::int64_t chunks, std::int64_t micro_batches) {
  return letters({ranks, chunks, micro_batches, find_pipeline_schedule(name)->placement},
                 orders_of(name, ranks, chunks, micro_batches)[rank]);
}

// Figure 2 of Huang et al. (with micro-batches in one order) and figure 4 of Narayanan et al. 2021,
// above and below; figures 2 and 3 of Qi et al. (arXiv 2401.10241).
TEST(Pipeline, OrdersOfThePapers) {
  EXPECT_EQ(order_of("gpipe", 1, 3, 1, 3), "F0 F1 F2 B0 B1 B2 ");
  EXPECT_EQ(order_of("1f1b", 0, 3, 1, 4), "F0 F1 F2 B0 F3 B1 B2 B3 ");
  EXPECT_EQ(order_of("1f1b", 1, 3, 1, 4), "F0 F1 B0 F2 B1 F3 B2 B3 ");
  EXPECT_EQ(order_of("1f1b", 2, 3, 1, 4), "F0 B0 F1 B1 F2 B2 F3 B3 ");
  EXPECT_EQ(order_of("interleaved", 3, 4, 2, 4),
            "F0 F1 F2 F3 F'0 B'0 F'1 B'1 F'2 B'2 F'3 B'3 B0 B1 B2 B3 ");
  EXPECT_EQ(order_of("zb-h1", 1, 2, 1, 3), "F0 I0 F1 I1 W0 F2 I2 W1 W2 ");
  EXPECT_EQ(order_of("zb-h2", 0, 2, 1, 4), "F0 F1 F2 I0 F3 I1 W0 I2 W1 I3 W2 W3 ");
}

// ---- every schedule
// ------------------------------------------------------------------------------

double at_least_a_tenth(Random& random) {
  return 0.1 + random.uniform();
}

PipelineCosts random_costs(const PipelineShape& shape, Random& random) {
  PipelineCosts costs = even_costs(shape, 0, 0, 0, random.uniform());
  for (auto* of_task : {&costs.forward, &costs.backward_input, &costs.backward_weight}) {
    for (double& cost : *of_task)
      cost = at_least_a_tenth(random);
  }
  return costs;
}

PipelineRequest random_request(const PipelineSchedule& schedule, Random& random) {
  constexpr std::int64_t kMostRanks = 6, kMostChunks = 4, kMostMicroBatches = 20;
  const auto between = [&](std::int64_t low, std::int64_t high) {
    return low +
           static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low + 1)));
  };
  PipelineRequest request =
      request_for(schedule, between(1, kMostRanks),
                  between(schedule.fewest_chunks, std::min(schedule.most_chunks, kMostChunks)),
                  between(1, kMostMicroBatches));
  request.costs = random_costs(request.shape, random);
  request.live_limit = static_cast<double>(between(1, 2 * request.shape.ranks));
  return request;
}

class EverySchedule : public ::testing::TestWithParam<PipelineSchedule> {};

// Each (task, stage, micro-batch) once and on its own rank, after what it needs; nobody waits for
// ever, also when messages wait for their receivers; and within the memory asked for.
TEST_P(EverySchedule, IsComplete) {
  const PipelineSchedule& schedule = GetParam();
  constexpr int kShapes = 400;
  constexpr std::uint64_t kSeed = 3;
  Random random(kSeed);
  int possible = 0;
  for (int trial = 0; trial < kShapes; ++trial) {
    const PipelineRequest request = random_request(schedule, random);
    const PipelineShape& shape = request.shape;
    if (!schedule.check(shape)) continue;
    ++possible;
    SCOPED_TRACE(
        fmt::format("p = {}, v = {}, m = {}", shape.ranks, shape.chunks, shape.micro_batches));
    const Orders orders = schedule.order(request);
    ASSERT_EQ(static_cast<std::int64_t>(orders.size()), shape.ranks);
    ASSERT_EQ(testing::fault(shape, orders), "");
    const Replay played = replay(shape, request.costs, orders);
    ASSERT_TRUE(played.finished);
    ASSERT_EQ(testing::stuck_with_rendezvous(shape, orders), "");
    for (const double live : played.live) {
      EXPECT_TRUE(!schedule.takes_live_limit || live <= request.live_limit) << live;
    }
  }
  EXPECT_GT(possible, kShapes / 10) << "too few shapes to mean anything";
}

// The flag tells readers of a row what the lists may hold.
TEST_P(EverySchedule, SplitsBackwardAsItSays) {
  const PipelineSchedule& schedule = GetParam();
  std::set<Task> tasks;
  // p = 2 and m = 4 are possible for every row.
  for (const auto& order : schedule.order(request_for(schedule, 2, schedule.fewest_chunks, 4))) {
    for (const Slot& slot : order)
      tasks.insert(slot.task);
  }
  EXPECT_EQ(tasks.count(Task::backward_input) > 0, schedule.splits_backward);
  EXPECT_EQ(tasks.count(Task::backward_weight) > 0, schedule.splits_backward);
}

INSTANTIATE_TEST_SUITE_P(Table, EverySchedule, ::testing::ValuesIn(pipeline_schedules()),
                         [](const auto& info) {
                           std::string name(info.param.name);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Pipeline, TableIsSorted) {
  const auto& table = pipeline_schedules();
  EXPECT_TRUE(
      std::is_sorted(table.begin(), table.end(), [](auto& a, auto& b) { return a.name < b.name; }));
  EXPECT_EQ(find_pipeline_schedule("zigzag"), nullptr);
}

std::string complaint(std::string_view schedule, const PipelineShape& shape) {
  const Status status = find_pipeline_schedule(schedule)->check(shape);
  return status.ok() ? "" : status.errors().front().message;
}

TEST(Pipeline, SaysWhichShapesAreImpossible) {
  EXPECT_EQ(complaint("interleaved", {4, 2, 8, Placement::loop}), "");
  EXPECT_EQ(complaint("interleaved", {4, 2, 6, Placement::loop}),
            "interleaved needs micro-batches in multiples of the 4 ranks, such as 4 or 8, not 6");
  EXPECT_EQ(complaint("dualpipev", {4, 2, 8, Placement::vee}), "");
  EXPECT_EQ(complaint("dualpipev", {4, 2, 7, Placement::vee}),
            "dualpipev needs at least 8 micro-batches (two per rank), got 7");
}

// The reference replays do find faults: a rank that waits for the gradients of a micro-batch while
// the next one waits for the activations of another; and two messages that their ends take in
// different orders, which only buffers could sort out.
TEST(Pipeline, ReplaysFindDeadlocks) {
  const PipelineShape shape{2, 1, 2, Placement::loop};
  const auto slot = [](Task task, int stage, int m) {
    return Slot{task, StageId(stage), MicroBatchId(m)};
  };
  const Task f = Task::forward, b = Task::backward;
  const Orders waiting = {{slot(f, 0, 0), slot(b, 0, 0), slot(f, 0, 1), slot(b, 0, 1)},
                          {slot(f, 1, 0), slot(f, 1, 1), slot(b, 1, 0), slot(b, 1, 1)}};
  EXPECT_FALSE(replay(shape, even_costs(shape, 1, 1, 1), waiting).finished);
  const Orders crossing = {{slot(f, 0, 0), slot(f, 0, 1), slot(b, 0, 1), slot(b, 0, 0)},
                           {slot(f, 1, 1), slot(f, 1, 0), slot(b, 1, 1), slot(b, 1, 0)}};
  EXPECT_TRUE(replay(shape, even_costs(shape, 1, 1, 1), crossing).finished);
  EXPECT_EQ(testing::fault(shape, crossing), "");
  EXPECT_EQ(testing::stuck_with_rendezvous(shape, crossing),
            "rank 0 waits before backward of stage 0, micro-batch 1");
}

// ---- closed forms
// --------------------------------------------------------------------------------

// A sum of some thousand terms of order one.
constexpr double kRounding = 1e-9;

// With free messages the last rank starts p - 1 forwards late and rank 0 gets its last gradient
// p - 1 backwards late: (m + p - 1)(F + B) in all, of which m (F + B) is work. GPipe keeps all m
// activations; stage s of 1F1B the p - s that are on their way from it and back.
TEST(PipelineClosedForms, GPipeAndOneForwardOneBackward) {
  for (const std::int64_t p : {1, 2, 5, 8}) {
    for (const std::int64_t m : {1, 3, 8, 21}) {
      const PipelineShape shape{p, 1, m, Placement::loop};
      const PipelineCosts costs = even_costs(shape, 3, 4, 2);
      for (const std::string_view name : {"gpipe", "1f1b"}) {
        const Orders orders = orders_of(name, p, 1, m);
        const double rate = static_cast<double>(p - 1) / static_cast<double>(m + p - 1);
        EXPECT_NEAR(bubble_rate(shape, costs, orders), rate, kRounding);
        const Replay played = replay(shape, costs, orders);
        for (std::int64_t s = 0; s < p; ++s) {
          EXPECT_EQ(played.live[static_cast<std::size_t>(s)],
                    static_cast<double>(name == "gpipe" ? m : std::min(p - s, m)));
        }
      }
    }
  }
}

// Filling and draining go by chunks, 1/v of a rank's pass: bubble over ideal is (p-1)/(v m). Rank 0
// keeps (v-1)p + 2(p-1) + 1 chunks, p(1 + (p-1)/(p v)) activations of a rank; if there are that
// many.
TEST(PipelineClosedForms, Interleaved) {
  for (const std::int64_t p : {2, 4}) {
    for (const std::int64_t v : {2, 3}) {
      for (const std::int64_t m : {2 * p, 4 * p}) {
        const PipelineShape shape{p, v, m, Placement::loop};
        const Replay played =
            replay(shape, even_costs(shape, 3, 4, 2), orders_of("interleaved", p, v, m));
        const double ideal = static_cast<double>(v * m) * (3 + 4 + 2);
        EXPECT_NEAR(played.cost / ideal - 1,
                    static_cast<double>(p - 1) / static_cast<double>(v * m), kRounding);
        const double growth = 1 + static_cast<double>(p - 1) / static_cast<double>(p * v);
        EXPECT_NEAR(played.live[0], static_cast<double>(p) * growth, kRounding);
      }
    }
  }
}

// Qi et al. (arXiv 2401.10241), section 2.3, table 2: bubbles of (p-1)(F+B-W) and (p-1)(F+B-2W) in
// p and 2p activations, for m >= 2p and W <= F, B.
TEST(PipelineClosedForms, ZeroBubble) {
  constexpr double kForward = 4, kInput = 4, kWeight = 3;
  for (const std::int64_t p : {1, 2, 4, 8}) {
    const std::int64_t m = 3 * p;
    const PipelineShape shape{p, 1, m, Placement::loop};
    const PipelineCosts costs = even_costs(shape, kForward, kInput, kWeight);
    const double ideal = static_cast<double>(m) * (kForward + kInput + kWeight);
    for (const int h : {1, 2}) {
      const Replay played = replay(shape, costs, orders_of(fmt::format("zb-h{}", h), p, 1, m));
      EXPECT_NEAR(played.cost - ideal,
                  static_cast<double>(p - 1) * (kForward + kInput - h * kWeight), kRounding);
      for (const double live : played.live)
        EXPECT_LE(live, static_cast<double>(h * p));
    }
  }
}

// Nobody waits once started when F = B = W and messages are free, in 2p activations of chunks.
TEST(PipelineClosedForms, ZeroBubbleV) {
  for (const std::int64_t p : {1, 2, 4, 8}) {
    for (const std::int64_t m : {2 * p, 5 * p}) {
      const PipelineShape shape{p, 2, m, Placement::vee};
      const Orders orders = orders_of("zb-v", p, 2, m);
      EXPECT_NEAR(bubble_rate(shape, even_costs(shape, 1, 1, 1), orders), 0, kRounding);
      for (const double live : replay(shape, even_costs(shape, 1, 1, 1), orders).live)
        EXPECT_LE(live, static_cast<double>(p));
    }
  }
}

// DeepSeek's README: a bubble of (PP/2 - 1)(F&B + B - 3W) with PP = 2p stages, B whole and F&B one
// op. Here F and B of a pair are two passes: the next rank has the activations when F ends and
// waits B - W, the input gradients, less in each of the p - 1 hops, if F, B - W and W are near each
// other: (p - 1)(F + B - 2W). PP + 1 activations of chunks.
TEST(PipelineClosedForms, DualPipeV) {
  constexpr double kForward = 4, kInput = 4, kWeight = 3, kWhole = kInput + kWeight;
  for (const std::int64_t p : {1, 2, 4, 8}) {
    for (const std::int64_t m : {2 * p, 5 * p}) {
      const PipelineShape shape{p, 2, m, Placement::vee};
      const Replay played = replay(shape, even_costs(shape, kForward, kInput, kWeight),
                                   orders_of("dualpipev", p, 2, m));
      const double ideal = 2 * static_cast<double>(m) * (kForward + kWhole);
      EXPECT_NEAR(played.cost - ideal,
                  static_cast<double>(p - 1) * (kForward + kWhole - 2 * kWeight), kRounding);
      for (const double live : played.live)
        EXPECT_LE(live, static_cast<double>(p) + 0.5);
    }
  }
}

// The two chunks of a micro-batch together live as long on every rank of a V: from the headers of
// v_half.cc and v_min.cc at most p + 2 and (2p + 8)/3 chunks are alive at a time. When F = B = W
// and messages are free, rank 0 of V-Min runs its last input gradient 4p - 1 units and a pause (2
// if 3 divides p) after the last block begins, 6(m - 1), and then its weight gradient: 6m + 4p - 5
// in all. Both leave less of a bubble than 1F1B's (p - 1)(F + B + W) of two chunks.
TEST(PipelineClosedForms, ControllableMemory) {
  for (const std::int64_t p : {2, 3, 4, 5, 6, 8, 12, 16}) {
    for (const std::int64_t m : {3 * p, 6 * p}) {
      const PipelineShape shape{p, 2, m, Placement::vee};
      const PipelineCosts costs = even_costs(shape, 1, 1, 1);
      const auto ideal = static_cast<double>(6 * m), ranks = static_cast<double>(p);
      const Replay half = replay(shape, costs, orders_of("v-half", p, 2, m));
      for (const double live : half.live)
        EXPECT_LE(live, ranks / 2 + 1);
      EXPECT_LT(half.cost - ideal, 6 * (ranks - 1));
      const Replay least = replay(shape, costs, orders_of("v-min", p, 2, m));
      for (const double live : least.live)
        EXPECT_LE(live, (ranks + 4) / 3);
      EXPECT_EQ(least.cost - ideal, 4 * ranks - 5 + (p % 3 == 0 ? 2 : 0));
    }
  }
}

// Automatic placement also tries the handcrafted orders, with weight gradients pulled into gaps
// that are long enough, which delays nothing.
TEST(Pipeline, AutomaticPlacementIsNoWorseThanHandcrafted) {
  constexpr std::uint64_t kSeed = 4;
  Random random(kSeed);
  for (int trial = 0; trial < 50; ++trial) {
    const PipelineSchedule& automatic = *find_pipeline_schedule("zb-auto");
    PipelineRequest request = random_request(automatic, random);
    for (const int h : {1, 2}) {
      request.live_limit = static_cast<double>(h * request.shape.ranks);
      const auto cost = [&](const PipelineSchedule& schedule) {
        return replay(request.shape, request.costs, schedule.order(request)).cost;
      };
      EXPECT_LE(cost(automatic),
                cost(*find_pipeline_schedule(fmt::format("zb-h{}", h))) + kRounding);
    }
  }
}

}  // namespace
}  // namespace rehearse
