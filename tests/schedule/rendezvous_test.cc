// Exchanges that computing waits for.
#include "model/schedule/rendezvous.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/plan/happens_before.h"
#include "model/plan/verify.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

using ActionsOfRanks = std::vector<std::vector<Action>>;

ActionsOfRanks blocking(const std::string& name, const PipelineShape& shape) {
  PipelineRequest request;
  request.shape = shape;
  request.live_limit = static_cast<double>(shape.ranks);
  const auto stages = static_cast<std::size_t>(shape.stages());
  request.costs = {std::vector<double>(stages, 1), std::vector<double>(stages, 1),
                   std::vector<double>(stages, 1), 0};
  return add_awaited_messages(shape, find_pipeline_schedule(name)->order(request));
}

// Megatron-LM's forward_backward_pipelining_without_interleaving()
// (megatron/core/pipeline_parallel/schedules.py), as it is written.
class Megatron {
 public:
  Megatron(std::int64_t rank, std::int64_t ranks, std::int64_t micro_batches)
      : rank_(rank), is_first_(rank == 0), is_last_(rank + 1 == ranks) {
    const std::int64_t warm_up = std::min(ranks - rank - 1, micro_batches);
    const std::int64_t steady = micro_batches - warm_up;
    for (std::int64_t i = 0; i < warm_up; ++i) {
      receive_forward(i);
      add(ActionKind::forward, i);
      send_forward(i);
    }
    if (steady > 0) receive_forward(warm_up);
    for (std::int64_t i = 0; i < steady; ++i) {
      add(ActionKind::forward, warm_up + i);
      send_forward(warm_up + i);
      receive_backward(i);
      add(ActionKind::backward, i);
      send_backward(i);
      if (i + 1 < steady) receive_forward(warm_up + i + 1);
    }
    for (std::int64_t i = steady; i < micro_batches; ++i) {
      receive_backward(i);
      add(ActionKind::backward, i);
      send_backward(i);
    }
  }
  std::vector<Action> actions;

 private:
  void add(ActionKind kind, std::int64_t m) {
    actions.push_back({kind, StageId(rank_), MicroBatchId(m)});
  }
  void receive_forward(std::int64_t m) {
    if (!is_first_) add(ActionKind::receive_forward, m);
  }
  void send_forward(std::int64_t m) {
    if (!is_last_) add(ActionKind::send_forward, m);
  }
  void receive_backward(std::int64_t m) {
    if (!is_last_) add(ActionKind::receive_backward, m);
  }
  void send_backward(std::int64_t m) {
    if (!is_first_) add(ActionKind::send_backward, m);
  }

  const std::int64_t rank_;
  const bool is_first_, is_last_;
};

// Messages between two passes in any order.
std::vector<Action> sorted_between_passes(std::vector<Action> actions) {
  auto begin = actions.begin();
  const auto sort_until = [&](std::vector<Action>::iterator end) {
    std::sort(begin, end, [](const Action& a, const Action& b) { return a.kind < b.kind; });
  };
  for (auto at = actions.begin(); at != actions.end(); ++at) {
    if (at->kind != ActionKind::forward && at->kind != ActionKind::backward) continue;
    sort_until(at);
    begin = at + 1;
  }
  sort_until(actions.end());
  return actions;
}

TEST(Rendezvous, Of1f1bAreMegatrons) {
  for (std::int64_t p = 1; p <= 6; ++p) {
    for (std::int64_t m = 1; m <= 3 * p; ++m) {
      const ActionsOfRanks ours = blocking("1f1b", {p, 1, m, Placement::loop});
      for (std::int64_t r = 0; r < p; ++r) {
        EXPECT_EQ(sorted_between_passes(ours[static_cast<std::size_t>(r)]),
                  sorted_between_passes(Megatron(r, p, m).actions))
            << "rank " << r << " of " << p << ", " << m << " micro-batches";
      }
    }
  }
}

// Megatron-LM's forward_backward_pipelining_with_interleaving() exchanges, from the first backward
// pass on, once for a forward and a backward pass together; with p micro-batches it runs all
// forward passes first.
TEST(Rendezvous, OfInterleavedOnesAreOfTwoPasses) {
  for (const std::int64_t p : {2, 4, 5}) {
    for (const std::int64_t v : {2, 3}) {
      for (const std::int64_t m : {2 * p, 3 * p}) {
        for (const auto& actions : blocking("interleaved", {p, v, m, Placement::loop})) {
          for (std::size_t a = 1; a + 1 < actions.size(); ++a) {
            const bool between = actions[a].kind != ActionKind::forward &&
                                 actions[a].kind != ActionKind::backward &&
                                 actions[a - 1].kind == ActionKind::forward;
            if (!between) continue;
            // Behind a forward pass that no backward pass follows.
            const auto next = std::find_if(actions.begin() + static_cast<std::ptrdiff_t>(a),
                                           actions.end(), [](const Action& action) {
                                             return action.kind == ActionKind::forward ||
                                                    action.kind == ActionKind::backward;
                                           });
            ASSERT_TRUE(next != actions.end());
            const bool begins = std::none_of(actions.begin(), next, [](const Action& action) {
              return action.kind == ActionKind::backward;
            });
            EXPECT_TRUE(begins) << "p " << p << " v " << v << " m " << m;
          }
        }
      }
    }
  }
}

std::vector<PipelineShape> shapes_of(const PipelineSchedule& schedule) {
  std::vector<PipelineShape> shapes;
  for (std::int64_t p = 1; p <= 5; ++p) {
    for (const std::int64_t m : {p, 2 * p, 3 * p, 2 * p + 1}) {
      const PipelineShape shape{p, schedule.fewest_chunks, m, schedule.placement};
      if (schedule.check(shape)) shapes.push_back(shape);
    }
  }
  return shapes;
}

void expect_right(const PipelineSchedule& schedule, const PipelineShape& shape,
                  StageExchange exchange) {
  StrategySpec strategy =
      testing::pipeline(std::string(schedule.name), shape.ranks, shape.micro_batches);
  strategy.pipeline->exchange = exchange;
  strategy.data = 1;
  const Result<Plan> plan = testing::plan_of(
      {"waits", strategy, testing::small_gpt(10), shape.ranks}, shape.micro_batches);
  ASSERT_TRUE(plan) << format(plan.errors());
  const Status verified = verify(*plan);
  EXPECT_TRUE(verified) << schedule.name << " p " << shape.ranks << " m " << shape.micro_batches
                        << " " << to_string(exchange) << "\n"
                        << format(verified.errors());
}

// Of every schedule, to the verifier's dry run: nobody waits for ever.
TEST(Rendezvous, OfEverySchedulePassVerification) {
  for (const PipelineSchedule& schedule : pipeline_schedules()) {
    for (const PipelineShape& shape : shapes_of(schedule)) {
      for (const StageExchange exchange : {StageExchange::batched, StageExchange::serial})
        expect_right(schedule, shape, exchange);
    }
  }
}

// Passes that begin before a message above them in the list has ended.
std::int64_t passes_beside_messages(const RankProgram& program) {
  const HappensBefore before(program);
  std::int64_t count = 0;
  for (std::size_t pass = 0; pass < program.ops.size(); ++pass) {
    if (!is_pass(program.ops[pass].kind)) continue;
    for (std::size_t message = 0; message < pass; ++message) {
      const OpKind kind = program.ops[message].kind;
      const bool is_message = kind == OpKind::send || kind == OpKind::receive;
      count += is_message && !before(OpId(message), OpId(pass)) ? 1 : 0;
    }
  }
  return count;
}

// ... and messages that begin before one above them has.
std::int64_t messages_beside_messages(const RankProgram& program) {
  const HappensBefore before(program);
  const auto is_message = [&](std::size_t op) {
    return program.ops[op].kind == OpKind::send || program.ops[op].kind == OpKind::receive;
  };
  std::int64_t count = 0;
  for (std::size_t b = 0; b < program.ops.size(); ++b) {
    for (std::size_t a = 0; a < b; ++a)
      count += is_message(a) && is_message(b) && !before(OpId(a), OpId(b)) ? 1 : 0;
  }
  return count;
}

TEST(Rendezvous, ComputingWaits) {
  for (const PipelineSchedule& schedule : pipeline_schedules()) {
    StrategySpec strategy = testing::pipeline(std::string(schedule.name), 4, 8);
    const auto plan = [&] {
      return testing::plan_of({"waits", strategy, testing::small_gpt(10), 4}, 8).value();
    };
    strategy.pipeline->exchange = StageExchange::batched;
    for (const RankProgram& program : plan().programs)
      EXPECT_EQ(passes_beside_messages(program), 0) << schedule.name << " " << program.name;
    EXPECT_GT(messages_beside_messages(plan().programs[1]), 0) << schedule.name;
    strategy.pipeline->exchange = StageExchange::serial;
    for (const RankProgram& program : plan().programs) {
      EXPECT_EQ(passes_beside_messages(program), 0) << schedule.name << " " << program.name;
      EXPECT_EQ(messages_beside_messages(program), 0) << schedule.name << " " << program.name;
    }
    strategy.pipeline->exchange = StageExchange::overlapped;
    EXPECT_GT(passes_beside_messages(plan().programs[1]), 0) << schedule.name;
  }
}

// Whatever waits: the same passes in the same order, the same messages.
TEST(Rendezvous, ExchangeWhatOverlappedPlansDo) {
  for (const PipelineSchedule& schedule : pipeline_schedules()) {
    for (const PipelineShape& shape : shapes_of(schedule)) {
      ActionsOfRanks waiting = blocking(std::string(schedule.name), shape);
      ActionsOfRanks beside = add_messages(shape, slots_of(waiting));
      EXPECT_EQ(slots_of(beside), slots_of(waiting));
      const auto key = [](const Action& a) { return std::tuple(a.kind, a.stage, *a.micro_batch); };
      for (std::size_t r = 0; r < waiting.size(); ++r) {
        for (auto* actions : {&waiting[r], &beside[r]})
          std::sort(actions->begin(), actions->end(),
                    [&](const Action& a, const Action& b) { return key(a) < key(b); });
        EXPECT_EQ(waiting[r], beside[r]) << schedule.name << " rank " << r;
      }
    }
  }
}

}  // namespace
}  // namespace rehearse
