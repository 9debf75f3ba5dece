// What a sweep spans: values, places, numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/files.h"

namespace rehearse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kScenario = R"(name: swept
model: {kind: mlp, image: 4x4x1, hidden: 8, classes: 4}
training: {data: synthetic, batch: 64, optimizer: {kind: sgd, lr: 0.1}, steps: 2}
cluster: {device: tiny, nodes: 4, devices_per_node: 1, network: {kind: crossbar, link: {bandwidth: 10 Gb/s, latency: 5 us}}}
strategies:
  - {name: ddp, data: auto}
  - {name: pipe-1.5, pipeline: {stages: 2, micro_batches: 4}, data: auto}
sweep:
)";

Result<SweptScenario> read(const std::string& sweep) {
  return parse_swept_scenario(kScenario + sweep, "swept.yaml", testing::test_profiles());
}

std::vector<std::string> values(const SweptColumn& column) {
  std::vector<std::string> texts;
  for (const yaml::Value& value : column.values)
    texts.push_back(yaml::print_flow(value));
  return texts;
}

std::vector<std::string> swept(const std::string& path, const std::string& by) {
  const Result<SweptScenario> file = read("  " + path + ": " + by + "\n");
  if (!file) return {format(file.errors())};
  return values(file->sweep.axes.at(0).columns.at(0));
}

std::string problem(const std::string& sweep) {
  const Result<SweptScenario> file = read(sweep);
  return file ? "" : file.errors().front().message;
}

TEST(Sweep, ListsStandAsTheyAre) {
  EXPECT_THAT(swept("cluster.nodes", "[2, 4, 8]"), ElementsAre("2", "4", "8"));
  EXPECT_THAT(swept("cluster.network.link.bandwidth", "[10 Gb/s, 1 GB/s]"),
              ElementsAre("10 Gb/s", "1 GB/s"));
  EXPECT_THAT(
      swept("cluster.network",
            "[{kind: ring, link: {latency: 1 us, bandwidth: 1 Gb/s}}, {kind: none}]"),
      ElementsAre("{kind: ring, link: {bandwidth: 1 Gb/s, latency: 1 us}}", "{kind: none}"));
}

TEST(Sweep, RangesMeetTheirEnds) {
  EXPECT_THAT(swept("training.batch", "{from: 64, to: 256, step: 64}"),
              ElementsAre("64", "128", "192", "256"));
  EXPECT_THAT(swept("training.batch", "{from: 64, to: 255, step: 64}"),
              ElementsAre("64", "128", "192"));
  // Tenths have no exact binary form: three steps of them still end at 0.4.
  EXPECT_THAT(swept("training.optimizer.lr", "{from: 0.1, to: 0.4, step: 0.1}"),
              ElementsAre("0.1", "0.2", "0.3", "0.4"));
  EXPECT_THAT(swept("training.batch", "{from: 8, to: 8, step: 1}"), ElementsAre("8"));
}

TEST(Sweep, RangesMayBeGeometric) {
  EXPECT_THAT(swept("training.batch", "{from: 16, to: 128, factor: 2}"),
              ElementsAre("16", "32", "64", "128"));
  EXPECT_THAT(swept("training.optimizer.lr", "{from: 0.001, to: 0.1, count: 3}"),
              ElementsAre("0.001", "0.01", "0.1"));
  // 1, 1.78, 3.16, 5.62, 10 as whole numbers; and 1, 1.26, 1.59, 2 with equal ones once.
  EXPECT_THAT(swept("training.batch", "{from: 1, to: 10, count: 5}"),
              ElementsAre("1", "2", "3", "6", "10"));
  EXPECT_THAT(swept("training.batch", "{from: 1, to: 2, count: 4}"), ElementsAre("1", "2"));
}

TEST(Sweep, RangesKeepTheUnitTheyBeginWith) {
  EXPECT_THAT(swept("cluster.network.link.bandwidth", "{from: 500 Mb/s, to: 2 Gb/s, factor: 2}"),
              ElementsAre("500 Mb/s", "1000 Mb/s", "2000 Mb/s"));
  EXPECT_THAT(swept("cluster.network.link.latency", "{from: 1us, to: 3us, step: 1000 ns}"),
              ElementsAre("1us", "2us", "3us"));
}

TEST(Sweep, FindsPlaces) {
  const Result<SweptScenario> file = read(
      "  cluster.network.link.bandwidth: [1 Gb/s]\n"
      "  strategies.pipe-1.5.pipeline.micro_batches: [2]\n"
      "  strategies.ddp.data: [4]\n");
  ASSERT_TRUE(file.ok()) << format(file.errors());
  std::vector<std::string> found;
  for (const SweptColumn* column : file->sweep.columns())
    found.push_back(yaml::print_flow(value_at(file->root, column->paths.at(0).steps)));
  EXPECT_THAT(found, ElementsAre("10 Gb/s", "4", "auto"));
}

TEST(Sweep, LinksColumnsAndSharesValues) {
  const Result<SweptScenario> file = read(
      "  size: {linked: {model.hidden: [8, 16], training.batch: {from: 64, to: 128, step: 64}}}\n"
      "  ranks: {paths: [cluster.nodes, strategies.pipe-1.5.pipeline.stages], values: [2, 4]}\n"
      "  when: ranks * hidden < 64\n");
  ASSERT_TRUE(file.ok()) << format(file.errors());
  const Sweep& sweep = file->sweep;
  ASSERT_EQ(sweep.axes.size(), 2u);
  ASSERT_EQ(sweep.axes[0].columns.size(), 2u);
  EXPECT_EQ(sweep.axes[0].columns[1].name, "training.batch");
  EXPECT_THAT(values(sweep.axes[0].columns[1]), ElementsAre("64", "128"));
  ASSERT_EQ(sweep.axes[1].columns.size(), 1u);
  EXPECT_EQ(sweep.axes[1].columns[0].name, "ranks");
  EXPECT_EQ(sweep.axes[1].columns[0].paths.size(), 2u);
  const auto holds = [&](double hidden, double ranks) {
    const std::vector<ExpressionValue> named = {Number{hidden}, Number{64}, Number{ranks}};
    return *sweep.conditions.at(0).holds(named);
  };
  EXPECT_TRUE(holds(8, 4));
  EXPECT_FALSE(holds(16, 4));
}

TEST(Sweep, ConditionsKnowWhatTheFileSays) {
  const Result<SweptScenario> file =
      read("  cluster.nodes: [2, 4]\n  when: nodes * cluster.devices_per_node <= 2\n");
  ASSERT_TRUE(file.ok()) << format(file.errors());
  EXPECT_THAT(file->sweep.constants, ElementsAre(ExpressionValue(Number{1})));
}

TEST(Sweep, IsOptionalAndOthersDoNotMind) {
  EXPECT_THAT(
      parse_swept_scenario(std::string(kScenario).substr(0, std::string(kScenario).rfind("sweep")),
                           "plain.yaml", testing::test_profiles())
          ->sweep.axes,
      IsEmpty());
  EXPECT_TRUE(parse_scenario(std::string(kScenario) + "  cluster.nodes: [2, 3]\n", "swept.yaml",
                             testing::test_profiles())
                  .ok());
}

// Three nodes do not split a batch of 64, nor a pipeline of two stages: no point has as many.
TEST(Sweep, DoesNotNeedTheFilesOwnValues) {
  std::string text = kScenario;
  text.replace(text.find("nodes: 4"), 8, "nodes: 3");
  const auto read = [&](const std::string& sweep) {
    return parse_swept_scenario(text + sweep, "swept.yaml", testing::test_profiles());
  };
  const auto file = read("  cluster.nodes: [2, 4]\n");
  ASSERT_TRUE(file) << format(file.errors());
  EXPECT_EQ(file->scenario.cluster.nodes, 2);
  EXPECT_EQ(file->scenario.strategies.size(), 2U);
  EXPECT_THAT(values(file->sweep.axes.at(0).columns.at(0)), ElementsAre("2", "4"));
  // Three nodes at the first point, too; who knows about others.
  const auto other = read("  cluster.nodes: [3, 4]\n");
  ASSERT_TRUE(other) << format(other.errors());
  EXPECT_EQ(other->scenario.strategies.size(), 2U);
  // What cannot be read at all is no matter of points.
  const std::string misspelt = "  training.batch: [64, 128]\nsimulation: {collective: fluid}\n";
  ASSERT_FALSE(read(misspelt).ok());
  EXPECT_EQ(
      format(read(misspelt).errors()),
      format(parse_scenario(text + misspelt, "swept.yaml", testing::test_profiles()).errors()));
}

TEST(Sweep, RefusesWhatCannotBe) {
  EXPECT_EQ(problem("  training.batch: {from: 1, to: 1e9, step: 1}\n"),
            "a range has at most 100000 values");
  EXPECT_EQ(problem("  training.batch: {from: 0, to: 4, factor: 2}\n"),
            "with 'factor' a range begins above 0");
  EXPECT_EQ(problem("  cluster.nodes: [2]\n  cluster: [{}]\n"), "'cluster' is swept twice");
  EXPECT_EQ(problem("  cluster: [{}]\n  cluster.nodes: [2]\n"), "'cluster.nodes' is swept twice");
  EXPECT_EQ(problem("  when: " + std::string(1001, '1') + "\n"),
            "a condition has at most 1000 characters");
}

}  // namespace
}  // namespace rehearse
