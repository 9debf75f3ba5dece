// The claim of the whole: what is predicted is what is trained.
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
  std::string strategy, ranks;  // ranks: "mpi" or "local"
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* strategy : {"ddp", "gpipe", "1f1b", "subnet"}) {
    if (REHEARSE_HAVE_MPI != 0) all.push_back({strategy, "mpi"});
    all.push_back({strategy, "local"});
  }
  return all;
}

class PredictedAndMeasured : public ::testing::TestWithParam<Case> {};

TEST_P(PredictedAndMeasured, AgreeInEverythingThatIsNotTime) {
  const auto& [strategy, ranks] = GetParam();
  const Folder folder;
  const std::string scenario = kSource / "scenarios/resnet20_fashion_mnist.yaml";
  const Outcome simulated =
      run(REHEARSE " simulate " + scenario + " --out " + (folder / "predicted.json"));
  ASSERT_EQ(simulated.exit_code, 0) << simulated.output;
  const std::string program = ranks == "mpi"
                                  ? (kSource / "tools/mpirun").string() + " -np 4 " REHEARSE_EXEC
                                  : REHEARSE_EXEC;
  const Outcome trained =
      run(program + " train " + scenario + " --strategy " + strategy + " --steps 3 --out " +
          (folder / "run") + (ranks == "local" ? " --local 4" : ""));
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const Outcome compared =
      run(REHEARSE " diff " + (folder / "predicted.json") + " " + (folder / "run/measured.json"));
  EXPECT_EQ(compared.exit_code, 0) << compared.output;
  EXPECT_NE(compared.output.find("bytes of every rank: equal"), std::string::npos)
      << compared.output;

  const Summary predictions = summary_in(folder / "predicted.json");
  const StrategySummary measured = summary_in(folder / "run/measured.json").strategies.at(0);
  const auto predicted =
      std::find_if(predictions.strategies.begin(), predictions.strategies.end(),
                   [&](const StrategySummary& s) { return s.strategy == strategy; });
  ASSERT_NE(predicted, predictions.strategies.end());
  EXPECT_EQ(predicted->plan_hash, measured.plan_hash);
  ASSERT_EQ(predicted->ranks.size(), measured.ranks.size());
  for (std::size_t r = 0; r < measured.ranks.size(); ++r) {
    EXPECT_EQ(predicted->ranks[r].sent, measured.ranks[r].sent) << "rank " << r;
    EXPECT_EQ(predicted->ranks[r].received, measured.ranks[r].received) << "rank " << r;
    EXPECT_GT(measured.ranks[r].sent, Bytes{});
    EXPECT_NEAR(measured.ranks[r].arena_live / predicted->ranks[r].arena_live, 1, 0.02)
        << "rank " << r;
    EXPECT_NEAR(measured.ranks[r].arena / predicted->ranks[r].arena, 1, 0.02) << "rank " << r;
  }
  EXPECT_EQ(measured.losses.size(), 3u);
  for (const double loss : measured.losses)
    EXPECT_TRUE(std::isfinite(loss));
}

INSTANTIATE_TEST_SUITE_P(Strategies, PredictedAndMeasured, ::testing::ValuesIn(cases()),
                         [](const auto& c) {
                           return (c.param.strategy == "1f1b" ? "one_f_one_b" : c.param.strategy) +
                                  "_" + c.param.ranks;
                         });

// All strategies that train the whole network on the same micro-batches have the same losses.
TEST(Losses, AreThoseOfTheMathematicsNotOfTheStrategy) {
  const Folder folder;
  const std::string scenario = kSource / "scenarios/resnet20_fashion_mnist.yaml";
  std::vector<std::vector<double>> losses;
  for (const char* strategy : {"ddp", "gpipe", "1f1b"}) {
    const Outcome trained =
        run(std::string(REHEARSE_EXEC " train ") + scenario.c_str() + " --strategy " + strategy +
            " --steps 3 --local 4 --out " + (folder / strategy));
    ASSERT_EQ(trained.exit_code, 0) << trained.output;
    losses.push_back(
        summary_in(folder / (std::string(strategy) + "/measured.json")).strategies.at(0).losses);
  }
  for (std::size_t step = 0; step < 3; ++step) {
    EXPECT_NEAR(losses[1].at(step) / losses[0].at(step), 1, 1e-4) << "step " << step;
    EXPECT_NEAR(losses[2].at(step) / losses[0].at(step), 1, 1e-4) << "step " << step;
  }
}

}  // namespace
}  // namespace rehearse
