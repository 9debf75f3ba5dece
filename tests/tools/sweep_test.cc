// Sweeps: their points, their rows, and what is left of them whatever happens on the way.
#include "tools/sweep/sweep.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <set>

#include "tools/predict/predict.h"
#include "tools/sweep/hashes.h"
#include "tools/sweep/merge.h"
#include "tools/sweep/point_trees.h"
#include "tools/sweep/tasks.h"

namespace rehearse::sweep {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

constexpr auto kScenario = R"(name: swept
model: {kind: mlp, image: 2x2x1, hidden: 3, classes: 2}
training: {data: synthetic, batch: 16, optimizer: {kind: sgd, lr: 0.1}, dtype: fp32, steps: 2}
cluster: {device: cpu-core, nodes: 2, devices_per_node: 1, network: {kind: crossbar, link: {bandwidth: 10 Gb/s, latency: 5 us}}}
strategies:
  - {name: ddp, data: auto}
  - {name: pipe, pipeline: {stages: 2, schedule: gpipe, micro_batches: 2}}
)";

constexpr auto kSweep = R"(sweep:
  cluster.nodes: [1, 2, 4]
  cluster.network.link.bandwidth: {from: 1 Gb/s, to: 16 Gb/s, factor: 4}
  strategies.pipe.pipeline.micro_batches: {from: 2, to: 4, step: 1}
  when: micro_batches * nodes < 16
)";

Result<SweptScenario> parse(const std::string& text) {
  return parse_swept_scenario(text, "swept.yaml", profile_path("swept.yaml"));
}

class Sweeps : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(::testing::TempDir()) / (std::string("sweep_") + test->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / name, std::ios::binary) << text;
    return (root_ / name).string();
  }
  std::string path(const std::string& name) const { return (root_ / name).string(); }
  static std::string text_of(const std::string& file) { return read_text_file(file).value(); }

  // The rows that are left in the folder.
  Outcome play_into(const std::string& folder, const std::vector<std::string>& files,
                    Shard shard = {}, std::size_t jobs = 2, bool resume = false) {
    const Sources sources = read_sources(files, 1000).value();
    Options options;
    options.method = {"simulate", &counted};
    options.shard = shard;
    options.jobs = jobs;
    options.stop = &stop_;
    const Manifest manifest = manifest_of(sources, options.method, shard);
    Ranking ranking;
    Results results = resume ? Results::resume(path(folder), manifest,
                                               [&](const RowPlace& place, const Row& row) {
                                                 ranking.add(place, row);
                                               })
                                   .value()
                             : Results::create(path(folder), manifest).value();
    return play(sources, options, results, std::move(ranking)).value();
  }

  std::vector<Row> rows_of(const std::string& folder) const {
    std::vector<Row> rows;
    const auto end = visit_rows(path(folder), [&](const Row& row, std::uint64_t) {
      rows.push_back(row);
      return success();
    });
    EXPECT_TRUE(end.ok()) << format(end.errors());
    return rows;
  }

  // Counts, and stops the sweep after so many.
  class Counting : public Evaluator {
   public:
    Result<Evaluated> evaluate(const Scenario& scenario, const ScenarioStrategy& strategy,
                               const std::string& setting) override {
      if (++evaluated_ == stop_after_) stop_ = true;
      return simulating_->evaluate(scenario, strategy, setting);
    }

   private:
    const std::unique_ptr<Evaluator> simulating_ = find_method("simulate").value().make();
  };
  static std::unique_ptr<Evaluator> counted() { return std::make_unique<Counting>(); }
  static inline std::atomic<int> evaluated_ = 0, stop_after_ = -1;
  static inline std::atomic<bool> stop_ = false;
  static void count_anew(int stop_after = -1) {
    evaluated_ = 0;
    stop_after_ = stop_after;
    stop_ = false;
  }

  fs::path root_;
};

// ---- points ------------------------------------------------------------------------------------

TEST_F(Sweeps, NumberPointsTheLastAxisFirst) {
  const SweptScenario file = parse(std::string(kScenario) + kSweep).value();
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
      parse(std::string(kScenario) +
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
  const SweptScenario file = parse(kScenario).value();
  EXPECT_EQ(Space(file.sweep).count().value(), 1u);
}

// A point's tree reads as the file does in which the values stand instead.
TEST_F(Sweeps, ReadPointsAsFilesWouldBe) {
  const SweptScenario file = parse(std::string(kScenario) + kSweep).value();
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
    const Result<SweptScenario> written = parse(text);
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
      parse(std::string(kScenario) + "sweep:\n  cluster.nodes: [2, two]\n").value();
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
    return point_hash(parse(text).value().root, "", nullptr);
  };
  std::string other = kScenario;
  const std::string same = hash(kScenario);
  EXPECT_EQ(hash(other.replace(other.find("swept"), 5, "named otherwise")), same);
  EXPECT_EQ(hash("# a comment\n" + other), same);
  EXPECT_EQ(hash(other + kSweep), same);
  EXPECT_NE(point_hash(parse(other).value().root, "another profile", nullptr), same);
  EXPECT_NE(hash(other.replace(other.find("batch: 16"), 9, "batch: 32")), same);
  // Files are told apart by their sweep, and by the order of it.
  const auto of_file = [](const std::string& sweep) {
    return file_hash(parse(std::string(kScenario) + sweep).value().root);
  };
  const std::string one = "  cluster.nodes: [1, 2]\n", two = "  training.steps: [1, 2]\n";
  EXPECT_NE(of_file("sweep:\n" + one + two), of_file("sweep:\n" + two + one));
  EXPECT_NE(of_file("sweep:\n" + one + two), of_file("sweep:\n" + one));
}

// ---- shards ------------------------------------------------------------------------------------

TEST_F(Sweeps, ShardsHaveEveryPointOnce) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  const std::string plain = write("b.yaml", kScenario);
  const Sources sources = read_sources({file, plain}, 1000).value();
  for (std::uint64_t of = 1; of <= 7; ++of) {
    std::set<RowPlace> seen;
    for (std::uint64_t number = 1; number <= of; ++number) {
      const Shard shard{number, of};
      Tasks tasks(sources, shard, {});
      std::uint64_t rows = 0;
      while (const auto task = tasks.next()) {
        EXPECT_TRUE(seen.insert(task->place).second);
        ++rows;
      }
      EXPECT_EQ(rows, sweep::rows_of(manifest_of(sources, {"simulate", nullptr}, shard)));
    }
    EXPECT_EQ(seen.size(), 2 * (24u + 1));
  }
}

TEST_F(Sweeps, ShardsMergedAreTheWhole) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  play_into("whole", {file});
  for (std::uint64_t k = 1; k <= 3; ++k)
    play_into(fmt::format("part{}", k), {file}, {k, 3});
  // In any order, and one of them twice.
  const Result<Merged> merged =
      merge({path("part3"), path("part1"), path("part2"), path("part1")}, path("merged"));
  ASSERT_TRUE(merged.ok()) << format(merged.errors());
  EXPECT_EQ(merged->missing, 0u);
  for (const char* name : {"/results.jsonl", "/results.csv", "/sweep.json"})
    EXPECT_EQ(text_of(path("merged") + name), text_of(path("whole") + name)) << name;
}

TEST_F(Sweeps, WhatAMergeMissesIsPlayedOnTop) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  play_into("whole", {file});
  play_into("part", {file}, {2, 3});
  const Result<Merged> merged = merge({path("part")}, path("merged"));
  ASSERT_TRUE(merged.ok()) << format(merged.errors());
  EXPECT_EQ(merged->missing, 2u * 16);
  EXPECT_FALSE(play_into("merged", {file}, {}, 1, true).interrupted);
  EXPECT_EQ(text_of(path("merged/results.jsonl")), text_of(path("whole/results.jsonl")));
}

// ---- rows --------------------------------------------------------------------------------------

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
  const Scenario scenario = parse(text).value().scenario;
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

// ---- interruptions -----------------------------------------------------------------------------

TEST_F(Sweeps, GoOnWhereTheyWereStopped) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  play_into("whole", {file});
  const int all = evaluated_;
  for (const int after : {1, 4, 9}) {
    const std::string folder = fmt::format("after{}", after);
    count_anew(after);
    EXPECT_TRUE(play_into(folder, {file}).interrupted);
    const int first = evaluated_;
    EXPECT_LT(first, all);
    count_anew();
    EXPECT_FALSE(play_into(folder, {file}, {}, 2, true).interrupted);
    EXPECT_EQ(first + evaluated_, all) << "nothing is played again";
    EXPECT_EQ(text_of(path(folder + "/results.jsonl")), text_of(path("whole/results.jsonl")));
    EXPECT_EQ(text_of(path(folder + "/results.csv")), text_of(path("whole/results.csv")));
  }
}

// Wherever a line is torn off, and whatever has become of the other file.
TEST_F(Sweeps, MendATornEnd) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  play_into("whole", {file}, {}, 1);
  const std::string json = text_of(path("whole/results.jsonl"));
  std::mt19937_64 random(5);
  for (int i = 0; i < 12; ++i) {
    const std::size_t size = i == 0 ? 0 : random() % json.size();
    fs::remove_all(path("torn"));
    fs::copy(path("whole"), path("torn"));
    fs::resize_file(path("torn/results.jsonl"), size);
    fs::resize_file(path("torn/results.csv"), random() % 100);
    EXPECT_FALSE(play_into("torn", {file}, {}, 2, true).interrupted);
    EXPECT_EQ(text_of(path("torn/results.jsonl")), json);
    EXPECT_EQ(text_of(path("torn/results.csv")), text_of(path("whole/results.csv")));
  }
}

TEST_F(Sweeps, AreNotMixedWithOthers) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  const std::string other = write("b.yaml", kScenario);
  count_anew();
  play_into("out", {other});
  const auto refused = [&](const std::string& scenario, Shard shard, bool resume) {
    const Sources sources = read_sources({scenario}, 1000).value();
    const Manifest manifest = manifest_of(sources, {"simulate", nullptr}, shard);
    const Result<Results> results =
        resume ? Results::resume(path("out"), manifest, [](const RowPlace&, const Row&) {})
               : Results::create(path("out"), manifest);
    return results ? "" : results.errors().front().message;
  };
  EXPECT_NE(refused(other, {}, false).find("is not empty"), std::string::npos);
  EXPECT_EQ(refused(other, {}, true), "");
  EXPECT_NE(refused(file, {}, true).find("are of another scenario"), std::string::npos);
  EXPECT_NE(refused(other, {1, 2}, true).find("are of shard 1/1, not of 1/2"), std::string::npos);
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

// A profile that changed behind the scenario's back.
TEST_F(Sweeps, NoticeAnotherProfile) {
  std::string text = kScenario;
  text.replace(text.find("cpu-core"), 8, "./mine.yaml");
  const std::string file = write("a.yaml", text + "sweep: {training.batch: [16, 32]}\n");
  const std::string profile =
      text_of(std::string(REHEARSE_SOURCE_DIR) + "/scenarios/devices/cpu-core.yaml");
  write("mine.yaml", profile);
  count_anew();
  play_into("out", {file});
  write("mine.yaml", "# a comment\n" + profile);
  EXPECT_FALSE(play_into("out", {file}, {}, 1, true).interrupted);
  std::string changed = profile;
  const auto at = changed.find("memory: ");
  ASSERT_NE(at, std::string::npos);
  changed.replace(at, changed.find('\n', at) - at, "memory: 3 GiB");
  write("mine.yaml", changed);
  const Sources sources = read_sources({file}, 10).value();
  Options options;
  options.method = {"simulate", &counted};
  const Manifest manifest = manifest_of(sources, options.method, {});
  Results results =
      Results::resume(path("out"), manifest, [](const RowPlace&, const Row&) {}).value();
  const Result<Outcome> outcome = play(sources, options, results, {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.errors().front().message.find("another device profile"), std::string::npos);
}

// ---- estimates ---------------------------------------------------------------------------------

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
  EXPECT_FALSE(parse(text).ok()) << "a batch of 16 for 3";
  const Sources sources = read_sources({file}, 100).value();
  Options options;
  options.method = find_method("simulate").value();
  Results results = Results::create(path("out"), manifest_of(sources, options.method, {})).value();
  ASSERT_TRUE(play(sources, options, results, {}).ok());
  std::vector<std::string> said;
  for (const Row& row : rows_of("out"))
    said.push_back(fmt::format("{} {} {}", row.point, row.strategy, to_string(row.status)));
  EXPECT_THAT(said, ElementsAre("0 ddp refused", "0 pipe refused", "1 ddp played", "1 pipe played",
                                "2 ddp played", "2 pipe refused"));
}

// Two that write into one folder would each cut off what the other has written.
TEST_F(Sweeps, WriteIntoAFolderAlone) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  const Sources sources = read_sources({file}, 100).value();
  const Manifest manifest = manifest_of(sources, find_method("simulate").value(), {});
  const auto ignore = [](const RowPlace&, const Row&) {};
  {
    const Results first = Results::create(path("out"), manifest).value();
    const Result<Results> second = Results::resume(path("out"), manifest, ignore);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.errors().front().message,
              "another process writes results into '" + path("out") + "'");
  }
  EXPECT_TRUE(Results::resume(path("out"), manifest, ignore).ok());
}

// In files of many times the part that is read at once, with lines that end within a cell.
TEST_F(Sweeps, ArePutInOrderFromAnyOrder) {
  constexpr std::uint64_t kRows = 2000;
  const auto row_at = [](std::uint64_t point) {
    Row row;
    row.scenario = row.file = "s";
    row.strategy = "ddp";
    row.point = point;
    row.status = RowStatus::refused;
    row.reason = fmt::format("{} \"\n{}", point, std::string(point % 3000, 'x'));
    row.scenario_hash = fmt::format("{:016x}", point);
    return row;
  };
  const Manifest manifest{"0.1.0", "simulate", {}, {{"s", "s", "00", kRows, {"ddp"}, {}}}};
  std::vector<std::uint64_t> order(kRows);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(7);
  for (const std::string folder : {"sorted", "nearly", "anyhow"}) {
    if (folder == "anyhow") std::shuffle(order.begin(), order.end(), random);
    if (folder == "nearly") {
      for (std::size_t r = 0; r + 8 < order.size(); r += 8)
        std::shuffle(order.begin() + static_cast<std::ptrdiff_t>(r),
                     order.begin() + static_cast<std::ptrdiff_t>(r + 8), random);
    }
    Results results = Results::create(path(folder), manifest).value();
    for (const std::uint64_t point : order)
      ASSERT_TRUE(results.append(results.print({0, 0, point}, row_at(point))).ok());
    ASSERT_TRUE(results.put_in_order().ok());
    for (const char* name : {"/results.jsonl", "/results.csv"})
      EXPECT_TRUE(text_of(path(folder + name)) == text_of(path("sorted" + std::string(name))))
          << folder << name;
  }
  EXPECT_GT(fs::file_size(path("sorted/results.jsonl")), 2u << 20);
}

// Rows that are copied often are at hand; of very many that are different some are not.
TEST(SweepsIdentical, KeepTheLastRows) {
  constexpr std::uint64_t kMany = 100'000;
  const auto row = std::make_shared<const Row>();
  Identical identical({});
  for (std::uint64_t hash = 0; hash < kMany; ++hash) {
    EXPECT_TRUE(identical.claim(hash, {}).is_first);
    identical.finish(hash, 10 * hash);
    identical.keep(hash, row);
  }
  const auto first = identical.claim(0, {}), last = identical.claim(kMany - 1, {});
  EXPECT_EQ(first.json_at, 0u);
  EXPECT_EQ(first.row, nullptr);
  EXPECT_EQ(last.json_at, 10 * (kMany - 1));
  EXPECT_EQ(last.row, row);
  EXPECT_LT(row.use_count(), 20'000);
}

}  // namespace
}  // namespace rehearse::sweep
