#include "exec/run/train.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::difference;
using testing::executable;
using testing::small_resnet;
using testing::train_locally;
using testing::with_bucket;

// The mathematics of one step is the same for all of these: the mean gradient over four
// micro-batches of four samples, with batch norm's statistics per micro-batch. Only the order of
// sums differs: a few hundred roundings of 1e-16, amplified by three steps.
TEST(Train, EveryStrategyOfTheSameMathematicsGivesTheSameModel) {
  constexpr std::int64_t kSteps = 3;
  const auto reference = train_locally(executable(testing::accumulation(4), 1), kSteps);
  const std::vector<std::pair<std::string, Plan>> plans = {
      {"data parallel", executable(with_bucket(testing::data_parallel(), Bytes::kib(64)), 4)},
      {"gpipe", executable(testing::pipeline("gpipe", 4, 4), 4)},
      {"1f1b", executable(testing::pipeline("1f1b", 4, 4), 4)},
      {"two pipelines", executable(testing::pipeline("1f1b", 2, 2), 4)},
      {"subnetwork of coverage 1", executable(testing::subnetwork({1, 1}), 4)},
  };
  for (const auto& [name, plan] : plans) {
    const auto run = train_locally(plan, kSteps);
    EXPECT_LT(difference(run.weights, reference.weights), 1e-11) << name;
    ASSERT_EQ(run.losses.size(), reference.losses.size());
    for (std::size_t step = 0; step < run.losses.size(); ++step) {
      EXPECT_NEAR(run.losses[step], reference.losses[step], 1e-10) << name << ", step " << step;
    }
  }
}

// A tied embedding lives on the first and the last stage; its gradient is the sum over both.
TEST(Train, TiedParametersAcrossStages) {
  const ModelSpec gpt = {"gpt",
                         {{"layers", {2}},
                          {"width", {16}},
                          {"heads", {2}},
                          {"vocabulary", {20}},
                          {"sequence", {6}},
                          {"positions", {6}}}};
  const auto reference = train_locally(executable(testing::accumulation(4), 1, gpt), 3);
  const auto pipe = train_locally(executable(testing::pipeline("gpipe", 3, 4), 3, gpt), 3);
  EXPECT_LT(difference(pipe.weights, reference.weights), 1e-11);
  const auto pipes = train_locally(executable(testing::pipeline("1f1b", 2, 2), 4, gpt), 3);
  EXPECT_LT(difference(pipes.weights, reference.weights), 1e-11);
  EXPECT_EQ(exec::differing_copies(pipes.ranks), "");
}

// subnetwork.md, section 3, oracle 3: c = N is data parallelism bit for bit.
TEST(Train, CoverageOneIsDataParallelBitForBit) {
  const auto bucket = Bytes::kib(256);
  const auto whole =
      train_locally(executable(with_bucket(testing::subnetwork({1, 1}), bucket), 4), 3);
  const auto ddp = train_locally(executable(with_bucket(testing::data_parallel(), bucket), 4), 3);
  EXPECT_EQ(whole.weights, ddp.weights);
  EXPECT_EQ(whole.losses, ddp.losses);
}

// Oracle 5: copies of a parameter are identical on all its holders.
TEST(Train, CopiesStayIdentical) {
  for (const Plan& plan :
       {executable(testing::subnetwork({1, 2}), 4),
        executable(testing::by_width(testing::subnetwork({1, 2})), 4),
        executable(testing::data_parallel(), 4), executable(testing::pipeline("1f1b", 2, 2), 4)}) {
    const auto run = train_locally(plan, 3);
    EXPECT_EQ(exec::differing_copies(run.ranks), "");
  }
}

TEST(Train, DifferingCopiesAreNamed) {
  std::vector<exec::RankMeasurement> ranks(2);
  ranks[0].class_hashes = "3 aa\n5 bb\n";
  ranks[1].class_hashes = "3 aa\n5 bc\n";
  EXPECT_EQ(exec::differing_copies(ranks),
            "the copies of the parameters from 5 on differ between ranks 0 and 1");
}

// Bytes that a plan says a rank sends per step: its transfers, and of its all-reduces what the step
// lists say.
Bytes planned_bytes(const Plan& plan, RankId rank) {
  Bytes sent;
  for (const Op& op : program_of(plan, rank).ops) {
    if (op.kind == OpKind::send) sent += transfer_of(op).bytes;
    if (!is_collective(op.kind)) continue;
    const auto& members = group_of(plan, rank, op).members;
    const auto number = std::find(members.begin(), members.end(), rank) - members.begin();
    const Collective& detail = collective_of(op);
    const std::int64_t elements = elements_sent(
        shape_of(op, members.size()), static_cast<std::size_t>(number), detail.end - detail.begin);
    sent += Bytes::bytes(elements * detail.element_bytes);
  }
  return sent;
}

TEST(Train, SendsTheBytesAndUsesTheMemoryThatThePlanSays) {
  constexpr std::int64_t kSteps = 2;
  for (const Plan& plan :
       {executable(testing::data_parallel(), 4), executable(testing::pipeline("1f1b", 4, 4), 4),
        executable(testing::subnetwork({1, 2}), 4)}) {
    const auto run = train_locally(plan, kSteps);
    Bytes sent, received;
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const exec::RankMeasurement& rank = run.ranks[r];
      EXPECT_EQ(rank.traffic.sent, planned_bytes(plan, RankId(r)) * kSteps)
          << plan.strategy << ", rank " << r;
      const Layout layout = lay_out(program_of(plan, RankId(r)));
      EXPECT_EQ(rank.arena_extent, layout.arena);
      EXPECT_LE(rank.arena_live, layout.arena);
      sent += rank.traffic.sent;
      received += rank.traffic.received;
    }
    EXPECT_EQ(sent, received) << plan.strategy;
  }
}

// Every op has one span per step; it is issued, starts and ends in this order, after what it waits
// for.
TEST(Train, TimelineObeysThePlan) {
  const Plan plan = executable(testing::pipeline("1f1b", 2, 2), 4);
  constexpr std::int64_t kSteps = 2;
  const auto run = train_locally(plan, kSteps);
  std::size_t at = 0;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const auto& ops = program_of(plan, RankId(r)).ops;
    for (std::int64_t step = 0; step < kSteps; ++step) {
      const Span* first = &run.stretches.front().timeline.spans.at(at);
      for (std::size_t op = 0; op < ops.size(); ++op, ++at) {
        const Span& span = run.stretches.front().timeline.spans.at(at);
        ASSERT_EQ(span.rank, RankId(r));
        ASSERT_EQ(span.step, step);
        ASSERT_EQ(span.op, OpId(op));
        EXPECT_LE(span.issue, span.start);
        EXPECT_LE(span.start, span.end);
        for (const OpId before : ops[op].after)
          EXPECT_LE(first[before.index()].end, span.issue);
      }
    }
  }
  EXPECT_EQ(at, run.stretches.front().timeline.spans.size());
}

// A plan that nobody verified: the second stage waits for messages that are never sent.
TEST(Train, AHangEndsTheJobAndNamesWhatIsWaitedFor) {
  Plan plan = executable(testing::pipeline("gpipe", 2, 2), 2);
  for (Op& op : plan.programs.back().ops) {
    if (op.kind == OpKind::receive) std::get<Transfer>(op.detail).tag += 100;
  }
  try {
    train_locally(plan, 1, 0, Seconds::seconds(0.2));
    FAIL() << "it ended";
  } catch (const std::exception& problem) {
    EXPECT_THAT(
        problem.what(),
        ::testing::MatchesRegex("rank . made no progress for 0.2 s in step 0: it waits in op .*"));
  }
}

// A rate that makes weights of 1e200: the pass after the first update overflows.
TEST(Train, StopsWhereNumbersEnd) {
  const Optimizer wild{.rule = Sgd{}, .lr = 1e300};
  for (const StrategySpec& strategy :
       {testing::data_parallel("ddp", Bytes::kib(4)), testing::pipeline("1f1b", 2, 2)}) {
    const Plan plan = executable(strategy, 2, small_resnet(), wild);
    try {
      train_locally(plan, 5);
      FAIL() << "it ended";
    } catch (const std::exception& problem) {
      EXPECT_THAT(problem.what(),
                  ::testing::MatchesRegex("step [23]: rank ., op .* \\(.*, segments .*\\) "
                                          "made .* infinite or not a number(, first in layer "
                                          "'.*')?; its weights .*"));
    }
  }
}

// At this rate weights stay what they were at first, which dropout has no part in: training sees
// another loss, evaluation the same.
TEST(Train, EvaluatesWithoutDropout) {
  const Optimizer still{.rule = Sgd{}, .lr = 1e-14};
  const ModelSpec model = testing::mlp();
  const auto run = [&](const ModelSpec& spec) {
    return train_locally(executable(testing::data_parallel(), 2, spec, still), 1, 1);
  };
  const auto plain = run(model), dropping = run(testing::with_dropout(model));
  EXPECT_GT(std::abs(plain.losses[0] - dropping.losses[0]), 1e-3);
  EXPECT_NEAR(plain.evaluations.at(0).evaluation.loss, dropping.evaluations.at(0).evaluation.loss,
              1e-10);
}

TEST(Train, LearnsAndEvaluates) {
  const Plan plan = executable(testing::subnetwork({1, 2}), 4, small_resnet());
  const auto run = train_locally(plan, 24, 12);
  ASSERT_EQ(run.evaluations.size(), 2u);
  EXPECT_EQ(run.evaluations[1].step, 24);
  EXPECT_EQ(run.evaluations[1].evaluation.samples, 130);
  EXPECT_LT(run.losses.back(), 0.7 * run.losses.front());
  EXPECT_GT(run.evaluations[1].evaluation.accuracy, 0.5);  // ten classes: chance is 0.1
}

}  // namespace
}  // namespace rehearse
