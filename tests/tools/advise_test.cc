// Searches against exhaustive ones, bounds against what they bound, on scenarios drawn at random.
#include "tools/advise/advice.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "model/base/random.h"
#include "tools/advise/write_scenario.h"
#include "tools/predict/predict.h"

namespace rehearse::advise {
namespace {

namespace fs = std::filesystem;

template <class T>
const T& any_of(Random& random, const std::vector<T>& choices) {
  return choices[random.below(choices.size())];
}

std::string model_text(Random& random) {
  const auto layers = any_of<int>(random, {3, 6, 8, 11});
  const auto width = any_of<int>(random, {64, 128, 256, 512});
  switch (random.below(4)) {
    case 0:
      return fmt::format("{{kind: mlp, image: 8x8x1, hidden: {}, classes: 10}}", width);
    case 1:
      return fmt::format(
          "{{kind: llama, layers: {}, width: {}, heads: 8, kv_heads: 4, vocabulary: 1024, "
          "sequence: 256, tied: {}}}",
          layers, width, random.below(2) == 0);
    default:
      return fmt::format(
          "{{kind: gpt, layers: {}, width: {}, heads: 8, vocabulary: 1024, sequence: 256, "
          "positions: 256, tied: {}}}",
          layers, width, random.below(2) == 0);
  }
}

// Of 2, 4, 6 or 8 devices.
std::string machine_text(Random& random) {
  return any_of<std::string>(
      random,
      {"nodes: 1, devices_per_node: 8, interconnect: {bandwidth: 370 GB/s, latency: 3 us}",
       "nodes: 4, devices_per_node: 1, network: {kind: crossbar, link: {bandwidth: 20 Gb/s, "
       "latency: 5 us}}",
       "nodes: 2, devices_per_node: 4, interconnect: {bandwidth: 100 GB/s, latency: 2 us}, "
       "network: "
       "{kind: crossbar, link: {bandwidth: 50 Gb/s, latency: 5 us}}",
       "nodes: 3, devices_per_node: 2, interconnect: {kind: mesh, bandwidth: 50 GB/s, latency: 2 "
       "us}, nics: {count: 2, bus: {bandwidth: 30 GB/s, latency: 1 us}}, network: {kind: rail, "
       "nodes_per_leaf: 2, link: {bandwidth: 100 Gb/s, latency: 2 us}}",
       "nodes: 2, devices_per_node: 1, network: {kind: ring, link: {bandwidth: 10 Gb/s, latency: 9 "
       "us}}"});
}

std::string draw(Random& random) {
  return fmt::format(
      "name: drawn\n"
      "model: {}\n"
      "training: {{data: synthetic, batch: {}, optimizer: {{kind: {}, lr: 0.001{}}}, dtype: {}, "
      "steps: 3}}\n"
      "cluster: {{device: {}, {}}}\n"
      "strategies: [{{name: ddp, data: auto}}]\n",
      model_text(random), any_of<int>(random, {24, 48, 72}),
      any_of<std::string>(random, {"sgd", "adamw"}), random.below(4) == 0 ? ", clip: 1" : "",
      any_of<std::string>(random, {"bf16", "tf32"}),
      any_of<std::string>(random, {"h100-sxm-80gb", "a100-sxm-80gb"}), machine_text(random));
}

Scenario parse(const std::string& text) {
  return parse_scenario(text, "drawn.yaml", profile_path("drawn.yaml")).value();
}

// So much that one in `nth` of the points fits, or, of 0, none.
void limit_memory(Scenario& scenario, const SearchSpace& space, std::size_t nth) {
  Estimator estimator =
      Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
  std::vector<std::int64_t> needs;
  for (const Point& point : space.points()) {
    const Estimate e = estimator.estimate(space.spec(point, space.placements(point).front()));
    if (e.ok()) needs.push_back(e.memory);
  }
  std::sort(needs.begin(), needs.end());
  ASSERT_FALSE(needs.empty());
  scenario.cluster.device.memory =
      Bytes::bytes(nth == 0 ? needs.front() - 1 : needs[needs.size() / nth]);
}

std::vector<std::string> names_of(const std::vector<Found>& found) {
  std::vector<std::string> names;
  for (const Found& one : found)
    names.push_back(one.spec.name);
  return names;
}

std::int64_t total(const Searched::Counts& counts) {
  std::int64_t sum = counts.fit + counts.slower + counts.unfitting;
  for (const auto& [verdict, count] : counts.unpriced)
    sum += count;
  return sum;
}

// No estimate is below a bound of its point or its family, in time or bytes, whatever is drawn.
TEST(Bounds, AreNotAboveEstimates) {
  Random random(11, 0);
  std::int64_t compared = 0;
  double tightest = 0, fullest = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const std::string text = draw(random);
    const Scenario scenario = parse(text);
    const SearchSpace space = SearchSpace::make(scenario, {}).value();
    Estimator estimator =
        Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
    Bounds bounds(scenario);
    for (std::size_t i = 0; i < 60; ++i) {
      const Point& point = space.points()[random.below(space.points().size())];
      const Family& family = space.family_of(point);
      for (const AxisOrder& placement : space.placements(point)) {
        const StrategySpec spec = space.spec(point, placement);
        const Estimate estimate = estimator.estimate(spec);
        if (!estimate.ok()) continue;
        ++compared;
        const double time = bounds.time(family, point);
        EXPECT_LE(time, estimate.step_time) << spec.name << "\n" << text;
        EXPECT_LE(bounds.time(family), estimate.step_time) << spec.name << "\n" << text;
        EXPECT_LE(bounds.memory(family, point.zero), bounds.memory(family, point));
        EXPECT_LE(bounds.memory(family, point), estimate.memory) << spec.name << "\n" << text;
        tightest = std::max(tightest, time / estimate.step_time);
        const auto outside = static_cast<double>(scenario.cluster.device.workspace.bytes());
        fullest = std::max(fullest, (static_cast<double>(bounds.memory(family, point)) - outside) /
                                        (static_cast<double>(estimate.memory) - outside));
      }
    }
  }
  EXPECT_GT(compared, 800);
  EXPECT_GT(tightest, 0.9) << "they say something";
  EXPECT_GT(fullest, 0.9);
}

constexpr auto kSmall = R"(# A comment.
name: small
model: {kind: gpt, layers: 4, width: 64, heads: 4, vocabulary: 256, sequence: 32, positions: 32}
training: {data: synthetic, batch: 16, optimizer: {kind: adamw, lr: 0.1}, dtype: bf16, steps: 100}
cluster:
  device: h100-sxm-80gb
  nodes: 2
  devices_per_node: 2
  interconnect: {bandwidth: 300 GB/s, latency: 3 us}
  network: {kind: crossbar, link: {bandwidth: 100 Gb/s, latency: 3 us}}
strategies:
  - {name: ddp, data: auto}
advise: {recompute: [none, full]}
sweep: {model.layers: [4, 6]}
)";

// Nodes in a ring of slow links, on which the messages of all stages and replicas meet.
constexpr auto kCrowded = R"(name: crowded
model: {kind: gpt, layers: 8, width: 512, heads: 8, vocabulary: 1024, sequence: 256, positions: 256}
training: {data: synthetic, batch: 32, optimizer: {kind: adamw, lr: 0.1}, dtype: bf16, steps: 3}
cluster:
  device: a100-sxm-80gb
  nodes: 4
  devices_per_node: 4
  interconnect: {bandwidth: 300 GB/s, latency: 2 us}
  network: {kind: ring, link: {bandwidth: 20 Gb/s, latency: 10 us}}
strategies:
  - {name: ddp, data: auto}
advise: {tensor: [1, 2], pipeline: [4, 8], schedule: [1f1b, zb-h1], zero: [0, 1], recompute: none, coverage: 1}
)";

AdviseSpace space_of(const std::string& text) {
  Result<AdviseSpace> space = parse_advise_space(text, "test");
  return std::move(space).value();
}

// The same strategies in the same order as by pricing every point; every point is accounted for.
TEST(Search, FindsWhatAnExhaustiveOneFinds) {
  Random random(12, 0);
  std::int64_t points = 0, priced = 0, played = 0;
  for (int trial = 0; trial < 30; ++trial) {
    const std::string text = draw(random);
    Scenario scenario = parse(text);
    const SearchSpace space = SearchSpace::make(scenario, {}).value();
    ASSERT_LT(std::ssize(space.points()), 100'000);
    limit_memory(scenario, space, any_of<std::size_t>(random, {1, 2, 4, 20}));
    SearchOptions options;
    options.best = 1 + random.below(12);
    options.slow = 0;  // which come first is another matter with bounds
    options.passes = std::numeric_limits<std::int64_t>::max();
    Estimator estimator =
        Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
    const Searched pruned = search(scenario, space, estimator, options);
    options.prunes = false;
    const Searched all = search(scenario, space, estimator, options);
    EXPECT_EQ(names_of(pruned.best), names_of(all.best)) << text;
    EXPECT_EQ(total(pruned.counts), std::ssize(space.points()));
    EXPECT_EQ(total(all.counts), std::ssize(space.points()));
    EXPECT_EQ(all.counts.slower, 0);
    for (const Found& found : all.best)
      EXPECT_LE(found.estimate.memory, scenario.cluster.device.memory.bytes());
    points += all.counts.fit;
    priced += pruned.counts.fit;
    played += pruned.counts.played;
    for (const Found& found : pruned.best) {
      EXPECT_EQ(found.estimate.unplayed_passes, 0);
      EXPECT_EQ(found.estimate.step_time,
                estimator.estimate(found.spec, Contention::played).step_time);
    }
  }
  EXPECT_LT(priced, points * 2 / 3) << "bounds leave something out";
  EXPECT_GT(played, 50);
}

// Without passes left to play, those that are unplayed and might be among the best are counted, and
// do not stand in front of those that are known.
TEST(Search, CountsWhatItHasNotPlayed) {
  const Scenario scenario = parse(kCrowded);
  const SearchSpace space = SearchSpace::make(scenario, scenario.advise).value();
  Estimator estimator =
      Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
  SearchOptions options;
  options.best = 3;
  const Searched all = search(scenario, space, estimator, options);
  EXPECT_EQ(all.counts.unplayed, 0);
  EXPECT_GT(all.counts.played, 3);
  options.passes = 40;
  const Searched few = search(scenario, space, estimator, options);
  EXPECT_GT(few.counts.unplayed, 0);
  EXPECT_LT(few.counts.played, all.counts.played);
  options.passes = 0;
  EXPECT_EQ(search(scenario, space, estimator, options).counts.played, 0);
}

// Estimates that take as long as simulations are made of the first ones only; the others are
// counted.
TEST(Search, MakesFewOfTheEstimatesThatTakeLong) {
  const Scenario scenario =
      parse_scenario(kSmall, "small.yaml", profile_path("small.yaml")).value();
  const AdviseSpace asked = space_of("{tensor: 1, pipeline: 2, zero: [2, 3], recompute: none}");
  const SearchSpace space = SearchSpace::make(scenario, asked).value();
  Estimator estimator =
      Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
  SearchOptions options;
  options.best = space.points().size();
  const auto counted = [&](std::size_t slow) {
    options.slow = slow;
    return search(scenario, space, estimator, options).counts;
  };
  const Searched::Counts all = counted(space.points().size() * 4), few = counted(3),
                         none = counted(0);
  const auto left = [](const Searched::Counts& counts) {
    const auto found = counts.unpriced.find(Verdict::played_pipeline);
    return found == counts.unpriced.end() ? 0 : found->second;
  };
  EXPECT_EQ(left(all), 0);
  EXPECT_GT(left(none), 3);
  EXPECT_EQ(none.fit + left(none), all.fit);
  EXPECT_EQ(few.fit + left(few), all.fit);
  // A point has a placement or more, each with an estimate of its own.
  EXPECT_GT(few.fit, none.fit);
  EXPECT_LE(few.fit, none.fit + 3);
}

// Those that need least, in order, where nothing fits.
TEST(Search, SaysWhatComesNearestWhereNothingFits) {
  Random random(13, 0);
  for (int trial = 0; trial < 10; ++trial) {
    const std::string text = draw(random);
    Scenario scenario = parse(text);
    const SearchSpace space = SearchSpace::make(scenario, {}).value();
    limit_memory(scenario, space, 0);
    Estimator estimator =
        Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
    SearchOptions options;
    options.slow = 0;
    const Searched pruned = search(scenario, space, estimator, options);
    options.prunes = false;
    const Searched all = search(scenario, space, estimator, options);
    EXPECT_TRUE(pruned.best.empty());
    EXPECT_FALSE(pruned.unfitting.empty());
    EXPECT_EQ(names_of(pruned.unfitting), names_of(all.unfitting)) << text;
    for (std::size_t i = 0; i < pruned.unfitting.size(); ++i) {
      EXPECT_GT(pruned.unfitting[i].estimate.memory, scenario.cluster.device.memory.bytes());
      if (i == 0) continue;
      EXPECT_GE(pruned.unfitting[i].estimate.memory, pruned.unfitting[i - 1].estimate.memory);
    }
  }
}

// ---- the space
// -----------------------------------------------------------------------------------

// Counted by hand: tensor 1, 2 and 4 by pipeline and replicas, by what replicas can shard out.
TEST(SearchSpace, IsWhatIsAskedFor) {
  const Scenario scenario =
      parse_scenario(kSmall, "small.yaml", profile_path("small.yaml")).value();
  const SearchSpace space =
      SearchSpace::make(scenario, space_of("{sequence_parallel: false, recompute: none, "
                                           "schedule: 1f1b, micro_batch: 1, zero: [0, 1], "
                                           "coverage: 1}"))
          .value();
  // (tensor, pipeline, data): (1,1,4) (1,2,2) (2,1,2) with 2 stages of ZeRO each, (1,4,1) (2,2,1)
  // (4,1,1) with one.
  EXPECT_EQ(std::ssize(space.points()), 3 * 2 + 3);
  std::set<std::string> names;
  for (const Point& point : space.points()) {
    const StrategySpec spec = space.spec(point, space.placements(point).front());
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    EXPECT_EQ(resolve_mesh(spec, 4)->ranks(), 4);
    EXPECT_EQ(micro_batch_samples(spec, *resolve_mesh(spec, 4), 16).value(), 1);
  }
  EXPECT_TRUE(names.contains("tensor2-data2-zero1-m8"));
  EXPECT_TRUE(names.contains("pipeline4-1f1b-m16"));
}

TEST(SearchSpace, RefusesWhatCannotBe) {
  const Scenario scenario =
      parse_scenario(kSmall, "small.yaml", profile_path("small.yaml")).value();
  const auto refused = [&](const std::string& text) {
    const Result<SearchSpace> space = SearchSpace::make(scenario, space_of(text));
    return space ? "" : space.errors().front().message;
  };
  EXPECT_EQ(refused("{tensor: [1, 3]}"), "3 ranks do not divide the 4 devices of the cluster");
  EXPECT_EQ(refused("{micro_batch: 5}"),
            "micro-batches of 5 samples do not divide the batch of 16");
  EXPECT_EQ(refused("{tensor: 1, pipeline: 1, micro_batch: 16}"),
            "no strategy of this space goes with the model, a batch of 16 and 4 devices; there "
            "are some without 'tensor' or 'pipeline' or 'micro_batch'");
  // 0.3 of 4 workers, of 2 and of 1 are no whole number of them.
  EXPECT_EQ(refused("{coverage: 0.3}"),
            "no strategy of this space goes with the model, a batch of 16 and 4 devices; there "
            "are some without 'coverage'");
}

// ---- advice
// --------------------------------------------------------------------------------------

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(::testing::TempDir()) / (std::string("advise_") + test->name());
    fs::remove_all(root_);
    fs::create_directories(root_ / "deep");
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / name, std::ios::binary) << text;
    return (root_ / name).string();
  }
  fs::path root_;
};

// What is written simulates to the very figures that were printed, wherever it lies and whatever it
// names.
TEST_F(Files, WrittenStrategiesSimulateTheSame) {
  std::string text = kSmall;
  text.replace(text.find("h100-sxm-80gb"), 13, "\"./mine.yaml\"  # ours");
  const std::string path = write("small.yaml", text);
  write("mine.yaml",
        read_text_file(std::string(REHEARSE_SOURCE_DIR) + "/scenarios/devices/h100-sxm-80gb.yaml")
            .value());
  const Scenario scenario = read_scenario(path, profile_path(path)).value();
  Options options;
  options.top = 4;
  options.step_multiplier = 1.5;
  const Advice advice = advise(scenario, scenario.advise, options).value();
  ASSERT_GE(advice.ranking.size(), 4u);
  std::vector<StrategySpec> specs;
  for (const Advised& one : advice.ranking)
    specs.push_back(one.spec);
  for (const char* name : {"out.yaml", "deep/out.yaml"}) {
    const std::string out = (root_ / name).string();
    const std::string written = with_strategies(path, out, specs, std::nullopt).value();
    write(name, written);
    EXPECT_THAT(written, ::testing::StartsWith("# A comment.\nname: small\n"));
    EXPECT_THAT(written, ::testing::Not(::testing::HasSubstr("advise:")));
    const Result<Scenario> again = read_scenario(out, profile_path(out));
    ASSERT_TRUE(again.ok()) << format(again.errors());
    ASSERT_EQ(again->strategies.size(), advice.ranking.size());
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const Prediction prediction = predict(*again, again->strategies[i]).value();
      EXPECT_EQ(prediction.summary.plan_hash, advice.ranking[i].summary.plan_hash);
      EXPECT_EQ(prediction.summary.step_time, advice.ranking[i].summary.step_time);
    }
  }
}

// Of a scenario whose strategies are played by one of their replicas: what has no such replica is
// played whole, here and in the file that is written.
TEST_F(Files, StrategiesThatNoReplicaStandsForArePlayedWhole) {
  const std::string path =
      write("small.yaml", std::string(kSmall) +
                              "simulation: {collectives: fluid, detail: block, replicas: first}\n");
  const Scenario scenario = read_scenario(path, profile_path(path)).value();
  const AdviseSpace asked = space_of("{tensor: 1, pipeline: [2, 4], zero: 0, recompute: none}");
  const Advice advice = advise(scenario, asked, {}).value();
  ASSERT_FALSE(advice.ranking.empty());
  for (const auto& refused : advice.not_played)
    EXPECT_THAT(refused.reason, ::testing::Not(::testing::HasSubstr("replica"))) << refused.reason;
  std::vector<StrategySpec> specs;
  for (const Advised& one : advice.ranking)
    specs.push_back(one.spec);
  const std::string out = (root_ / "out.yaml").string();
  write("out.yaml", with_strategies(path, out, specs, std::nullopt).value());
  const Scenario again = read_scenario(out, profile_path(out)).value();
  bool is_any_alone = false;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    is_any_alone = is_any_alone || again.strategies[i].mesh.data == 1;
    EXPECT_EQ(predict(again, again.strategies[i]).value().summary.step_time,
              advice.ranking[i].summary.step_time);
  }
  EXPECT_TRUE(is_any_alone);
}

// A run is all steps, of subnetworks more of them; hours are of all devices, dollars of hours.
TEST(Advice, CostsWholeRuns) {
  const Scenario scenario =
      parse_scenario(kSmall, "small.yaml", profile_path("small.yaml")).value();
  Options options;
  options.price = HourlyPrice{3};
  options.step_multiplier = 2.5;
  const AdviseSpace asked = space_of(
      "{tensor: 1, pipeline: 1, zero: 0, recompute: none, micro_batch: [1, 2], coverage: [1, "
      "1/2]}");
  const Advice advice = advise(scenario, asked, options).value();
  EXPECT_EQ(advice.points, 4);
  EXPECT_TRUE(advice.has_subnetworks);
  ASSERT_FALSE(advice.ranking.empty());
  for (std::size_t i = 0; i < advice.ranking.size(); ++i) {
    const Advised& it = advice.ranking[i];
    const double steps = 100 * (it.spec.subnetwork ? 2.5 : 1);
    EXPECT_DOUBLE_EQ(it.run.seconds, steps * it.summary.step_time.seconds());
    EXPECT_DOUBLE_EQ(it.run.device_hours, it.run.seconds * 4 / 3600);
    EXPECT_DOUBLE_EQ(it.run.dollars.value(), it.run.device_hours * 3);
    if (i == 0) continue;
    EXPECT_GE(it.run.seconds, advice.ranking[i - 1].run.seconds);
  }
}

// On a network on which most messages meet: those that simulations of all strategies put first.
TEST(Advice, HasTheBestWhereMessagesMeet) {
  const Scenario scenario = parse(kCrowded);
  Options options;
  options.top = 3;
  const Advice few = advise(scenario, scenario.advise, options).value();
  options.top = static_cast<std::size_t>(few.points);
  const Advice all = advise(scenario, scenario.advise, options).value();
  ASSERT_EQ(std::ssize(all.ranking), few.points);
  ASSERT_EQ(few.ranking.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(few.ranking[i].run.seconds, all.ranking[i].run.seconds) << few.ranking[i].spec.name;
  const SearchSpace space = SearchSpace::make(scenario, scenario.advise).value();
  Estimator estimator =
      Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
  SearchOptions unplayed;
  unplayed.best = 1;
  unplayed.passes = 0;
  const StrategySpec first = search(scenario, space, estimator, unplayed).best.front().spec;
  const auto source = std::make_shared<const SourceText>("first", "");
  const Prediction played =
      predict(scenario, {first, resolve_mesh(first, 16).value(), {source, 1, 1, 0}}).value();
  EXPECT_GT(played.summary.step_time, 1.2 * few.ranking.front().summary.step_time)
      << "estimates alone put this one before it: " << first.name;
}

// With errors of a hundredth those a hundredth apart may be the same, those twice as long are not;
// without, nobody knows.
TEST(Advice, SaysWhatCannotBeToldApart) {
  Scenario scenario = parse_scenario(kSmall, "small.yaml", profile_path("small.yaml")).value();
  scenario.cluster.device.errors.reset();
  const AdviseSpace asked = space_of("{recompute: none, coverage: 1}");
  Options options;
  options.top = 8;
  EXPECT_FALSE(advise(scenario, asked, options)->ranking.front().band.has_value());
  options.errors = PredictionErrors{0, 0, 0.01};
  const Advice advice = advise(scenario, asked, options).value();
  const double first = advice.ranking.front().run.seconds;
  const double apart = kBandDeviations * std::sqrt(2) * 0.01;
  for (std::size_t i = 1; i < advice.ranking.size(); ++i) {
    const auto& alike = advice.ranking.front().not_told_apart;
    const bool is_alike = std::find(alike.begin(), alike.end(), i) != alike.end();
    EXPECT_EQ(is_alike, std::log(advice.ranking[i].run.seconds / first) <= apart);
  }
}

}  // namespace
}  // namespace rehearse::advise
