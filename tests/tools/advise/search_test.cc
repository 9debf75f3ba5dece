// Searches against exhaustive ones, bounds against what they bound, on scenarios drawn at random.
#include "tools/advise/search.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "model/base/random.h"
#include "tests/tools/advise/scenarios.h"

namespace rehearse::advise {
namespace {

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

}  // namespace
}  // namespace rehearse::advise
