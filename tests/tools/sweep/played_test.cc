// Rows of sweeps that are played, and of those that are estimated.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tests/tools/sweep/sweeps.h"
#include "tools/predict/estimates.h"
#include "tools/sweep/methods.h"
#include "tools/sweep/point_trees.h"
#include "tools/sweep/space.h"

namespace rehearse::sweep {
namespace {

TEST_F(Sweeps, HaveARowForEveryPointAndStrategy) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  const Outcome outcome = play_into("out", {file});
  const std::vector<Row> rows = rows_of("out");
  ASSERT_EQ(rows.size(), 48u);
  for (std::size_t r = 1; r < rows.size(); ++r)
    EXPECT_TRUE(rows[r - 1].point < rows[r].point || rows[r - 1].strategy < rows[r].strategy);
  // A pipeline of two on one node or four is refused, and says so; so are three micro-batches
  // of 16.
  for (const Row& row : rows) {
    const auto nodes = std::get<std::int64_t>(row.values[0].second);
    const auto micro_batches = std::get<std::int64_t>(row.values[2].second);
    const bool refused = row.strategy == "pipe" && (nodes != 2 || micro_batches == 3);
    EXPECT_EQ(row.status, refused ? RowStatus::refused : RowStatus::played);
    EXPECT_EQ(row.reason.empty(), !refused);
    EXPECT_EQ(row.figures.empty(), refused);
  }
  EXPECT_EQ(outcome.ranking.rows_with(RowStatus::refused), 15u + 3);
  // ddp does not see micro-batches: 3 nodes with 3 bandwidths; pipe on 2 nodes 3 times 2.
  EXPECT_EQ(evaluated_, 9 + 6);
}

// Figures are those of the scenario when it is simulated by itself.
TEST_F(Sweeps, HaveTheFiguresOfASimulation) {
  const std::string file =
      write("a.yaml", std::string(kScenario) + "sweep: {training.batch: [16, 32]}\n");
  count_anew();
  play_into("out", {file});
  std::string text = kScenario;
  text.replace(text.find("batch: 16"), 9, "batch: 32");
  const Scenario scenario = parse_swept(text).value().scenario;
  const std::vector<Row> rows = rows_of("out");
  ASSERT_EQ(rows.size(), 4u);
  for (std::size_t s = 0; s < 2; ++s) {
    const StrategySummary summary = predict(scenario, scenario.strategies[s])->summary;
    const Row& row = rows[2 + s];
    EXPECT_EQ(row.figures, figures_of(summary));
    EXPECT_EQ(figure(row, "plan_hash"), Cell(summary.plan_hash));
    EXPECT_EQ(figure(row, "step_time_s"), Cell(summary.step_time.seconds()));
    EXPECT_EQ(figure(row, "peak_memory_bytes"), Cell(summary.memory->peak.bytes()));
    EXPECT_EQ(figure(row, "run_samples_per_s"), figure(row, "samples_per_s")) << "no subnetworks";
  }
}

// Who trains 1/C steps for one of data parallelism's sees as many samples in 1/C of the time.
TEST_F(Sweeps, RankSubnetworksByTheirRun) {
  const std::string file = write(
      "a.yaml",
      std::string(kScenario) +
          "  - {name: subnet, subnetwork: {workers: auto, construction: width, coverage: 0.5}}\n");
  count_anew();
  play_into("out", {file});
  const Row row = rows_of("out").at(2);
  ASSERT_EQ(row.status, RowStatus::played) << row.reason;
  EXPECT_DOUBLE_EQ(*number(figure(row, "run_samples_per_s")),
                   *number(figure(row, "samples_per_s")) / 2);
}

TEST_F(Sweeps, AreTheSameOnAnyNumberOfThreads) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  play_into("one", {file}, {}, 1);
  const int by_one = evaluated_.exchange(0);
  for (int i = 0; i < 5; ++i) {
    const std::string folder = fmt::format("many{}", i);
    play_into(folder, {file}, {}, 7);
    EXPECT_EQ(evaluated_.exchange(0), by_one) << "identical rows are played once";
    EXPECT_EQ(text_of(path(folder + "/results.jsonl")), text_of(path("one/results.jsonl")));
    EXPECT_EQ(text_of(path(folder + "/results.csv")), text_of(path("one/results.csv")));
  }
}

TEST_F(Sweeps, PlayFilesThatSayTheSameOnce) {
  std::string other = kScenario;
  other.replace(other.find("swept"), 5, "other");
  write("a.yaml", kScenario);
  write("b.yaml", "# the same\n" + other);
  write("notes.txt", "no scenario");
  count_anew();
  play_into("out", {root_.string(), path("a.yaml")});
  EXPECT_EQ(evaluated_, 2);
  const std::vector<Row> rows = rows_of("out");
  ASSERT_EQ(rows.size(), 4u) << "the folder's files once each";
  EXPECT_EQ(rows[0].scenario, "swept");
  EXPECT_EQ(rows[2].scenario, "other");
  EXPECT_EQ(rows[0].figures, rows[2].figures);
  EXPECT_EQ(rows[0].scenario_hash, rows[2].scenario_hash);
}

TEST_F(Sweeps, SayWhatDoesNotFit) {
  std::string text = kScenario;
  text.replace(text.find("image: 2x2x1"), 12, "image: 512x512x1");
  write("a.yaml", text + "sweep: {model.hidden: [3, 1000000]}\n");
  count_anew();
  const Outcome outcome = play_into("out", {path("a.yaml")});
  const std::vector<Row> rows = rows_of("out");
  // A weight of 2^18 times a million in fp32 is a TB.
  EXPECT_EQ(outcome.ranking.rows_with(RowStatus::does_not_fit), 2u);
  EXPECT_EQ(outcome.ranking.rows_with(RowStatus::played), 2u);
  for (const Row& row : rows) {
    EXPECT_EQ(row.status == RowStatus::does_not_fit, figure(row, "fits") == Cell(false));
    if (row.status != RowStatus::does_not_fit) continue;
    EXPECT_NE(row.reason.find("a node has"), std::string::npos) << row.reason;
    EXPECT_FALSE(row.figures.empty()) << "figures are there all the same";
  }
}

// Those that users start from: some strategy is played at every point of them.
TEST_F(Sweeps, OfferedAsExamplesArePlayed) {
  int sweeps = 0;
  for (const auto& file : fs::directory_iterator(std::string(REHEARSE_SOURCE_DIR) + "/scenarios")) {
    const std::string name = file.path().filename().string();
    if (!name.starts_with("sweep_")) continue;
    ++sweeps;
    count_anew();
    play_into(name, {file.path().string()});
    std::map<std::uint64_t, int> played;
    for (const Row& row : rows_of(name))
      played[row.point] += row.status == RowStatus::played ? 1 : 0;
    EXPECT_GT(played.size(), 1u);
    for (const auto& [point, strategies] : played)
      EXPECT_GT(strategies, 0) << name << " " << point;
  }
  EXPECT_EQ(sweeps, 2);
}

constexpr auto kEstimated = R"(name: estimated
model: {kind: gpt, layers: 4, width: 64, heads: 4, vocabulary: 256, sequence: 32, positions: 32}
training: {data: synthetic, batch: 32, optimizer: {kind: adamw, lr: 0.1}, dtype: bf16, steps: 2}
cluster:
  device: h100-sxm-80gb
  nodes: 8
  devices_per_node: 1
  network: {kind: ring, link: {bandwidth: 1 Gb/s, latency: 3 us}}
strategies:
  - {name: ddp, data: auto}
  - {name: pipe, data: auto, pipeline: {stages: 2, schedule: 1f1b, micro_batches: 4}}
  - {name: zb-v, pipeline: {stages: 2, schedule: zb-v, micro_batches: 4}, data: auto}
sweep:
  model.layers: [4, 6]
  strategies.pipe.pipeline.micro_batches: [2, 4, 8]
)";

// Every row is what its own scenario is estimated at, whatever was estimated before it.
class EstimatedSweeps : public Sweeps, public ::testing::WithParamInterface<std::string> {};

TEST_P(EstimatedSweeps, EstimateEveryPointAsIfItWereAlone) {
  const std::string file = write("a.yaml", kEstimated);
  const Sources sources = read_sources({file}, 100).value();
  Options options;
  options.method = find_method(GetParam()).value();
  options.jobs = 2;
  const bool is_played = GetParam() == "estimate-played";
  Results results = Results::create(path("out"), manifest_of(sources, options.method, {})).value();
  ASSERT_TRUE(play(sources, options, results, {}).ok());
  const std::vector<Row> rows = rows_of("out");
  ASSERT_EQ(rows.size(), 2u * 3 * 3);
  PointTrees trees(sources.front()->file);
  const Space space(sources.front()->file.sweep);
  for (const Row& row : rows) {
    EXPECT_EQ(row.method, GetParam());
    const std::size_t strategy = row.strategy == "ddp" ? 0 : row.strategy == "pipe" ? 1 : 2;
    PointReader reader(file, profile_path(file));
    const Scenario scenario = reader.read(trees.at(space.values_of(row.point), strategy)).value();
    ScenarioEstimator estimator = ScenarioEstimator::make(scenario).value();
    const auto estimated = [&](Contention contention) {
      return estimator(scenario.strategies.front(), contention);
    };
    const StrategyEstimate alone = estimated(is_played ? Contention::played : Contention::marked);
    if (row.strategy == "pipe" && is_played) {
      EXPECT_GT(alone.estimate.step_time, estimated(Contention::marked).estimate.step_time)
          << "messages meet";
    }
    if (row.strategy == "zb-v") {
      EXPECT_EQ(row.status, RowStatus::refused);
      EXPECT_EQ(row.reason, alone.reason);
      continue;
    }
    EXPECT_EQ(row.status, RowStatus::played);
    EXPECT_EQ(number(figure(row, "step_time_s")), alone.estimate.step_time);
    EXPECT_EQ(figure(row, "arena_live_bytes"), Cell(alone.estimate.arena_live));
    EXPECT_EQ(figure(row, "least_memory_bytes"), Cell(alone.estimate.memory));
    EXPECT_EQ(figure(row, "binds"), Cell(std::string(to_string(alone.estimate.binding))));
    EXPECT_EQ(figure(row, "contention_at_most_s"), Cell(alone.estimate.contention));
    EXPECT_EQ(figure(row, "is_marked"), Cell(alone.estimate.is_marked()));
    EXPECT_EQ(figure(row, "plan_hash"), Cell()) << "an estimate has no plan";
    EXPECT_EQ(figure(row, "devices"), Cell(std::int64_t{8}));
  }
}

INSTANTIATE_TEST_SUITE_P(Contention, EstimatedSweeps,
                         ::testing::Values("estimate", "estimate-played"), [](const auto& method) {
                           return method.param == "estimate" ? "Marked" : "Played";
                         });

// Where neither the file's own values nor the first point's go with any strategy, others' may.
TEST_F(Sweeps, GoOnWhereTheFirstPointIsImpossible) {
  std::string text = kScenario;
  text.replace(text.find("nodes: 2"), 8, "nodes: 3");
  const std::string file = write("a.yaml", text + "sweep: {cluster.nodes: [5, 2, 4]}\n");
  EXPECT_FALSE(parse_swept(text).ok()) << "a batch of 16 for 3";
  const Sources sources = read_sources({file}, 100).value();
  Options options;
  options.method = find_method("simulate").value();
  Results results = Results::create(path("out"), manifest_of(sources, options.method, {})).value();
  ASSERT_TRUE(play(sources, options, results, {}).ok());
  std::vector<std::string> said;
  for (const Row& row : rows_of("out"))
    said.push_back(fmt::format("{} {} {}", row.point, row.strategy, to_string(row.status)));
  EXPECT_THAT(said, ::testing::ElementsAre("0 ddp refused", "0 pipe refused", "1 ddp played",
                                           "1 pipe played", "2 ddp played", "2 pipe refused"));
}

}  // namespace
}  // namespace rehearse::sweep
