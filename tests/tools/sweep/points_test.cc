// Points of sweeps: their numbers, their order, and what they read as.
#include <fmt/format.h>

#include <random>
#include <set>

#include "tests/tools/sweep/sweeps.h"
#include "tools/sweep/hashes.h"
#include "tools/sweep/point_trees.h"
#include "tools/sweep/space.h"

namespace rehearse::sweep {
namespace {

using ::testing::ElementsAre;

TEST_F(Sweeps, NumberPointsTheLastAxisFirst) {
  const SweptScenario file = parse_swept(std::string(kScenario) + kSweep).value();
  const Space space(file.sweep);
  EXPECT_EQ(space.combinations(), 3u * 3 * 3);
  EXPECT_THAT(space.values_of(0), ElementsAre(0, 0, 0));
  EXPECT_THAT(space.values_of(1), ElementsAre(0, 0, 1));
  EXPECT_THAT(space.values_of(5), ElementsAre(0, 1, 2));
  EXPECT_THAT(space.values_of(26), ElementsAre(2, 2, 2));
  // With 4 nodes, 4 micro-batches are one too many for the condition: one in three of a third.
  std::uint64_t points = 0;
  for (std::uint64_t n = 0; n < space.combinations(); ++n) {
    const bool is_in = *space.contains(n);
    EXPECT_EQ(is_in, !(n / 9 == 2 && n % 3 == 2)) << n;
    points += is_in ? 1 : 0;
  }
  EXPECT_EQ(space.count().value(), points);
}

// Every combination once, and what only strategies say moves first.
TEST_F(Sweeps, GoThroughStrategiesOfASettingOneAfterTheOther) {
  const SweptScenario file =
      parse_swept(
          std::string(kScenario) +
          "sweep: {cluster.nodes: [1, 2, 4], strategies.pipe.pipeline.micro_batches: [2, 4], "
          "training.batch: [16, 32], strategies.pipe.pipeline.schedule: [gpipe, 1f1b]}\n")
          .value();
  const Space space(file.sweep);
  std::set<std::uint64_t> all;
  std::set<std::pair<std::size_t, std::size_t>> settings;
  for (std::uint64_t n = 0; n < space.combinations(); ++n) {
    const std::uint64_t visited = space.visited(n);
    ASSERT_LT(visited, space.combinations());
    EXPECT_TRUE(all.insert(visited).second);
    const std::vector<std::size_t> values = space.values_of(visited);
    settings.emplace(values[0], values[2]);
    EXPECT_EQ(settings.size(), n / 4 + 1) << "strategies have four points of a setting";
  }
}

TEST_F(Sweeps, HaveOnePointWithoutASweep) {
  const SweptScenario file = parse_swept(kScenario).value();
  EXPECT_EQ(Space(file.sweep).count().value(), 1u);
}

// A point's tree reads as the file does in which the values stand instead.
TEST_F(Sweeps, ReadPointsAsFilesWouldBe) {
  const SweptScenario file = parse_swept(std::string(kScenario) + kSweep).value();
  const Space space(file.sweep);
  PointTrees trees(file);
  PointReader reader("swept.yaml", profile_path("swept.yaml"));
  std::mt19937_64 random(3);
  for (int i = 0; i < 40; ++i) {
    const std::uint64_t n = random() % space.combinations();
    const std::vector<std::size_t> at = space.values_of(n);
    const std::string nodes[] = {"1", "2", "4"}, rates[] = {"1", "4", "16"}, mb[] = {"2", "3", "4"};
    const std::size_t strategy = random() % 2;
    std::string text = kScenario;
    const auto put = [&](const std::string& old, const std::string& now) {
      text.replace(text.find(old), old.size(), now);
    };
    put("nodes: 2", "nodes: " + nodes[at[0]]);
    put("10 Gb/s", rates[at[1]] + " Gb/s");
    put("micro_batches: 2", "micro_batches: " + mb[at[2]]);
    if (strategy == 0) text.erase(text.find("  - {name: pipe"));
    if (strategy == 1) put("  - {name: ddp, data: auto}\n", "");
    const yaml::Value& tree = trees.at(at, strategy);
    const Result<Scenario> point = reader.read(tree);
    const Result<SweptScenario> written = parse_swept(text);
    ASSERT_EQ(point.ok(), written.ok()) << text;
    EXPECT_EQ(point_hash(tree, "", nullptr),
              written ? point_hash(written->root, "", nullptr) : point_hash(tree, "", nullptr));
    if (!point) {
      EXPECT_EQ(point.errors().front().message, written.errors().front().message);
      continue;
    }
    EXPECT_EQ(point->cluster.nodes, written->scenario.cluster.nodes);
    EXPECT_EQ(predict(*point, point->strategies[0])->summary.plan_hash,
              predict(written->scenario, written->scenario.strategies[0])->summary.plan_hash);
  }
}

TEST_F(Sweeps, PointAtTheSweepWhereItsValuesAreWrong) {
  const SweptScenario file =
      parse_swept(std::string(kScenario) + "sweep:\n  cluster.nodes: [2, two]\n").value();
  PointTrees trees(file);
  PointReader reader("swept.yaml", profile_path("swept.yaml"));
  const std::vector<std::size_t> second = {1};
  const Result<Scenario> point = reader.read(trees.at(second, 0));
  ASSERT_FALSE(point.ok());
  EXPECT_EQ(point.errors().front().where->line, 9);
  EXPECT_EQ(point.errors().front().where->column, 22);
}

TEST_F(Sweeps, TellScenariosApartByWhatTheySay) {
  const auto hash = [](const std::string& text) {
    return point_hash(parse_swept(text).value().root, "", nullptr);
  };
  std::string other = kScenario;
  const std::string same = hash(kScenario);
  EXPECT_EQ(hash(other.replace(other.find("swept"), 5, "named otherwise")), same);
  EXPECT_EQ(hash("# a comment\n" + other), same);
  EXPECT_EQ(hash(other + kSweep), same);
  EXPECT_NE(point_hash(parse_swept(other).value().root, "another profile", nullptr), same);
  EXPECT_NE(hash(other.replace(other.find("batch: 16"), 9, "batch: 32")), same);
  // Files are told apart by their sweep, and by the order of it.
  const auto of_file = [](const std::string& sweep) {
    return file_hash(parse_swept(std::string(kScenario) + sweep).value().root);
  };
  const std::string one = "  cluster.nodes: [1, 2]\n", two = "  training.steps: [1, 2]\n";
  EXPECT_NE(of_file("sweep:\n" + one + two), of_file("sweep:\n" + two + one));
  EXPECT_NE(of_file("sweep:\n" + one + two), of_file("sweep:\n" + one));
}

}  // namespace
}  // namespace rehearse::sweep
