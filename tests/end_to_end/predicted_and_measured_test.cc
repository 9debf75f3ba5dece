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

constexpr const char* kDemonstration = "scenarios/resnet20_fashion_mnist.yaml";
constexpr const char* kOthers = "tests/end_to_end/strategies.yaml";

struct Case {
  std::string scenario, strategy, ranks;  // ranks: "mpi" or "local"
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* strategy : {"ddp", "gpipe", "1f1b", "subnet"}) {
    if (REHEARSE_HAVE_MPI != 0) all.push_back({kDemonstration, strategy, "mpi"});
    all.push_back({kDemonstration, strategy, "local"});
  }
  for (const char* strategy :
       {"zero1", "zero3", "interleaved", "zbv", "zb_two", "zero2_two", "nested", "rolling"})
    all.push_back({kOthers, strategy, REHEARSE_HAVE_MPI != 0 ? "mpi" : "local"});
  return all;
}

class PredictedAndMeasured : public ::testing::TestWithParam<Case> {};

TEST_P(PredictedAndMeasured, AgreeInEverythingThatIsNotTime) {
  const auto& [file, strategy, ranks] = GetParam();
  const Folder folder;
  const std::string scenario = kSource / file;
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
                   [&name = strategy](const StrategySummary& s) { return s.strategy == name; });
  ASSERT_NE(predicted, predictions.strategies.end());
  EXPECT_EQ(predicted->plan_hash, measured.plan_hash);
  ASSERT_EQ(predicted->ranks.size(), measured.ranks.size());
  for (std::size_t r = 0; r < measured.ranks.size(); ++r) {
    const RankSummary &p = predicted->ranks[r], &m = measured.ranks[r];
    EXPECT_EQ(p.traffic->sent, m.traffic->sent) << "rank " << r;
    EXPECT_EQ(p.traffic->received, m.traffic->received) << "rank " << r;
    EXPECT_GT(m.traffic->sent, Bytes{});
    // Predicted one op at a time in list order: lanes that overlap hold more at once (a reduction
    // that lags behind backward, a message that has not been taken), but never more than the arena,
    // which is laid out for every order of the lanes.
    const double live = m.memory->arena_live / p.memory->arena_live;
    EXPECT_GT(live, 0.98) << "rank " << r;
    EXPECT_LE(m.memory->arena_live, p.memory->arena) << "rank " << r;
    EXPECT_NEAR(m.memory->arena / p.memory->arena, 1, 0.02) << "rank " << r;
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

// The same eight micro-batches of eight samples, or two of them on each of four ranks.
TEST(Losses, AreTheSameForEveryOtherWayToSplitTheSameMicroBatches) {
  const Folder folder;
  std::vector<std::vector<double>> losses;
  for (const char* strategy : {"zero1", "zero3", "interleaved", "zbv", "zb_two", "zero2_two"}) {
    const Outcome trained =
        run(std::string(REHEARSE_EXEC " train ") + (kSource / kOthers).c_str() + " --strategy " +
            strategy + " --steps 3 --local 4 --out " + (folder / strategy));
    ASSERT_EQ(trained.exit_code, 0) << trained.output;
    losses.push_back(
        summary_in(folder / (std::string(strategy) + "/measured.json")).strategies.at(0).losses);
  }
  for (const auto& other : losses) {
    for (std::size_t step = 0; step < 3; ++step) {
      // fp32: a thousand roundings of 6e-8.
      EXPECT_NEAR(other.at(step), losses.front().at(step), 1e-4 * losses.front().at(step));
    }
  }
}

}  // namespace
}  // namespace rehearse
