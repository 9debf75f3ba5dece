// What is predicted of strategies whose plan changes between steps, and what their runs do.
#include <algorithm>
#include <cmath>

#include "tests/end_to_end/programs.h"

namespace rehearse {
namespace {

using testing::Folder;
using testing::kSource;
using testing::Outcome;
using testing::run;
using testing::summary_in;

struct Case {
  std::string strategy;
  std::int64_t redraws = 0;   // in 12 steps
  bool same_on_ranks = true;  // whether a rank sends the same under every draw
  bool same_arena = true;     // whether the largest arena is the same under every draw
  bool same_bytes = true;     // ... and what all ranks send
};

const std::vector<Case> kCases = {
    {"redrawn", 2, false},
    {"redrawn_backward", 2, false},
    {"diloco"},
    {"ist", 2, false},
    {"hetero"},
    {"dropout", 2, false, false, false},
    {"rolling", 2, false, false, false},
    {"depth", 0, true, false},
};

class ChangingPlans : public ::testing::TestWithParam<Case> {};

TEST_P(ChangingPlans, ArePredictedAndTrained) {
  const Case& c = GetParam();
  const Folder folder;
  const std::string scenario = kSource / "tests/end_to_end/changing.yaml";
  const Outcome simulated = run(REHEARSE " simulate " + scenario + " --strategy " + c.strategy +
                                " --out " + (folder / "predicted.json"));
  ASSERT_EQ(simulated.exit_code, 0) << simulated.output;
  const std::string program = REHEARSE_HAVE_MPI != 0
                                  ? (kSource / "tools/mpirun").string() + " -np 4 " REHEARSE_EXEC
                                  : REHEARSE_EXEC;
  const Outcome trained = run(program + " train " + scenario + " --strategy " + c.strategy +
                              " --evaluate-at 12 --out " + (folder / "run") +
                              (REHEARSE_HAVE_MPI != 0 ? "" : " --local 4"));
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const Outcome compared =
      run(REHEARSE " diff " + (folder / "predicted.json") + " " + (folder / "run/measured.json"));
  EXPECT_EQ(compared.exit_code, 0) << compared.output;

  const StrategySummary predicted = summary_in(folder / "predicted.json").strategies.at(0);
  const StrategySummary measured = summary_in(folder / "run/measured.json").strategies.at(0);
  EXPECT_EQ(predicted.plan_hash, measured.plan_hash);
  EXPECT_GT(measured.step_time, Seconds{});
  EXPECT_EQ(measured.transitions ? measured.transitions->count : 0, c.redraws);
  if (c.same_bytes) {
    // Means over steps are whole bytes on each rank.
    EXPECT_NEAR(static_cast<double>(total_sent(predicted)->bytes()),
                static_cast<double>(total_sent(measured)->bytes()), 4);
  }
  for (std::size_t r = 0; r < measured.ranks.size() && c.same_on_ranks; ++r)
    EXPECT_EQ(predicted.ranks[r].traffic->sent, measured.ranks[r].traffic->sent) << "rank " << r;
  if (c.same_arena) {
    EXPECT_EQ(predicted.memory->arena, measured.memory->arena);
  } else {
    EXPECT_LE(measured.memory->arena / predicted.memory->arena, 1.1);
    EXPECT_GE(measured.memory->arena / predicted.memory->arena, 0.7);
  }
  ASSERT_EQ(measured.losses.size(), 12u);
  for (const double loss : measured.losses)
    EXPECT_TRUE(std::isfinite(loss));
  ASSERT_EQ(measured.evaluations.size(), 1u);
  EXPECT_TRUE(std::isfinite(measured.evaluations[0].loss));
}

INSTANTIATE_TEST_SUITE_P(Strategies, ChangingPlans, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.strategy; });

}  // namespace
}  // namespace rehearse
