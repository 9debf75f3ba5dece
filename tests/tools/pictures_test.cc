// Pictures say what the figures beside them say.
#include "tools/predict/pictures.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "tools/predict/explain.h"
#include "tools/predict/link_use.h"

namespace rehearse {
namespace {

constexpr auto kMlp = "kind: mlp, image: 32x32x1, hidden: [512, 512, 512, 512], classes: 10";

Scenario scenario_of(const std::string& cluster, const std::string& strategy,
                     const std::string& model = kMlp) {
  const std::string text = fmt::format(
      "name: pictures\n"
      "model: {{{}}}\n"
      "training: {{data: synthetic, batch: 256, optimizer: {{kind: sgd, lr: 0.1}}, dtype: fp32, "
      "steps: 10}}\n"
      "cluster: {{device: a100-sxm-80gb, {}}}\n"
      "strategies: [{{name: one, {}}}]\n",
      model, cluster, strategy);
  return parse_scenario(text, "pictures.yaml", profile_path("pictures.yaml")).value();
}

struct Drawn {
  Prediction prediction;
  Topology topology;
  const StrategySummary& summary() const { return prediction.summary; }
  const StrategyPictures& pictures() const { return prediction.summary.pictures; }
};

Drawn drawn(const Scenario& scenario) {
  Drawn drawn{predict(scenario, scenario.strategies.front(), kMostLinkCurves).value(),
              Topology(Cluster::build(scenario.cluster).value())};
  add_pictures(scenario, drawn.topology, drawn.prediction);
  return drawn;
}

constexpr auto kNodes =
    "nodes: 8, network: {kind: fat-tree, nodes_per_leaf: 4, link: {bandwidth: 10 GB/s, latency: 3 "
    "us}}";
constexpr auto kPipeline = "data: auto, pipeline: {stages: 4, schedule: 1f1b, micro_batches: 8}";
constexpr auto kHalves =
    "subnetwork: {workers: 4, construction: width, coverage: 0.5, masking: forward}, data: auto";

const std::vector<std::string>& strategies() {
  static const std::vector<std::string> all = {"data: auto, bucket: 1 MiB",
                                               "data: {ranks: auto, zero: 3}", kPipeline, kHalves};
  return all;
}

// Parts follow one another, add up to the step time, and are of the ops that they name.
TEST(PathPicture, IsTheStep) {
  for (const std::string& strategy : strategies()) {
    const Drawn one = drawn(scenario_of(kNodes, strategy));
    const PathPicture& path = *one.pictures().path;
    double sum = 0, shares = 0;
    for (std::size_t p = 0; p < path.parts.size(); ++p) {
      const auto& part = path.parts[p];
      sum += (part.end - part.start).seconds();
      if (p > 0) {
        EXPECT_EQ(part.start, path.parts[p - 1].end);
      }
      if (!part.span) continue;
      const PictureSpan& span = one.summary().picture[static_cast<std::size_t>(*part.span)];
      EXPECT_EQ(span.rank, part.rank);
      EXPECT_GE(part.start, span.start - Seconds::seconds(1e-15));
      EXPECT_LE(part.end, span.end + Seconds::seconds(1e-15));
    }
    for (const auto& share : path.shares)
      shares += share.time.seconds();
    const double step = one.summary().step_time.seconds();
    EXPECT_NEAR(sum, step, 1e-9 * step) << strategy;
    EXPECT_NEAR(shares, step, 1e-9 * step) << strategy;
  }
}

// Every rank has one curve; the peak is the highest point, and what is alive then adds up to it.
TEST(CurvePicture, HasItsPeak) {
  for (const std::string& strategy : strategies()) {
    const Drawn one = drawn(scenario_of(kNodes, strategy));
    std::int64_t ranks = 0;
    for (const CurvePicture& curve : one.pictures().memory) {
      ranks += curve.alike;
      Bytes highest, alive;
      for (const auto& point : curve.points)
        highest =
            std::max(highest, std::accumulate(point.alive.begin(), point.alive.end(), Bytes{}));
      for (const auto& kind : curve.peak.alive)
        alive += kind.size;
      EXPECT_EQ(highest, curve.peak.size);
      EXPECT_EQ(alive, curve.peak.size);
      const RankSummary& rank = one.summary().ranks[static_cast<std::size_t>(curve.rank)];
      EXPECT_EQ(curve.arena, rank.memory->arena);
      EXPECT_EQ(curve.arena + curve.beside, rank.memory->peak);
      EXPECT_LE(curve.peak.size, curve.arena);
    }
    EXPECT_EQ(ranks, 8) << strategy;
  }
}

// Fewer points than there are moments keep the peak.
TEST(CurvePicture, OfFewPointsKeepsTheHighest) {
  const Drawn one = drawn(scenario_of(kNodes, kPipeline));
  CurveOptions options;
  options.most_points = 5;
  const CurvePicture few =
      curve_picture(one.prediction.plan, one.prediction.timeline, kWarmUp, options);
  EXPECT_GT(few.moments, 10);
  EXPECT_LE(few.points.size(), 6U);
  Bytes highest;
  for (const auto& point : few.points)
    highest = std::max(highest, std::accumulate(point.alive.begin(), point.alive.end(), Bytes{}));
  EXPECT_EQ(highest, few.peak.size);
}

// Every link that carries anything is of one cable, whatever is folded.
TEST(Topology, CablesCarryWhatTheirLinksCarry) {
  struct Case {
    std::string cluster, folded;
  };
  const std::string inside =
      "devices_per_node: 8, interconnect: {bandwidth: 100 GB/s, latency: 1 us}, network: ";
  for (const Case& c : std::vector<Case>{
           {kNodes, "nothing"},
           {"nodes: 8, network: {kind: torus, dims: [2, 4], link: {bandwidth: 1 GB/s, latency: 1 "
            "us}}",
            "nothing"},
           {"nodes: 32, " + inside +
                "{kind: fat-tree, nodes_per_leaf: 8, link: {bandwidth: 10 GB/s, latency: 1 us}}",
            "nodes"},
           {"nodes: 256, devices_per_node: 1, network: {kind: fat-tree, nodes_per_leaf: 16, link: "
            "{bandwidth: 10 GB/s, latency: 1 us}}",
            "alike"}}) {
    const Scenario scenario = scenario_of(c.cluster, "data: auto, bucket: 8 MiB");
    const Cluster cluster = Cluster::build(scenario.cluster).value();
    const Drawn one = drawn(scenario);
    const TopologyPicture& picture = one.topology.picture();
    EXPECT_EQ(picture.folded, c.folded);
    EXPECT_LE(picture.vertices.size(), Topology::kMostVertices);
    std::int64_t members = 0, links = 0;
    for (const auto& vertex : picture.vertices)
      members += vertex.members;
    Bytes by_cable, by_link;
    ASSERT_EQ(one.pictures().cables.size(), picture.cables.size());
    for (std::size_t k = 0; k < picture.cables.size(); ++k) {
      const CableLoad& load = one.pictures().cables[k];
      links += picture.cables[k].links;
      by_cable += load.bytes;
      EXPECT_LE(load.mean, load.most * (1 + 1e-12));
    }
    for (const LinkSummary& link : one.summary().links)
      by_link += link.bytes;
    EXPECT_EQ(members, std::ssize(cluster.vertices()));
    EXPECT_EQ(links, std::ssize(cluster.links()));
    EXPECT_EQ(by_cable, by_link);
    EXPECT_GT(by_link, Bytes{});
  }
}

// Nodes below their leaves, leaves below spines.
TEST(Topology, StandsOnItsRanks) {
  const Topology topology(Cluster::build(scenario_of(kNodes, "data: auto").cluster).value());
  std::map<std::string, std::set<std::int64_t>> levels;
  for (const auto& vertex : topology.picture().vertices)
    levels[without_numbers(vertex.name)].insert(vertex.level);
  EXPECT_EQ(levels["node*"], std::set<std::int64_t>{0});
  EXPECT_EQ(levels["leaf*"], std::set<std::int64_t>{1});
  EXPECT_EQ(levels["spine*"], std::set<std::int64_t>{2});
}

// Nodes that send to one another over leaves with a quarter of the way up.
constexpr auto kNarrow =
    "nodes: 8, network: {kind: fat-tree, nodes_per_leaf: 4, oversubscription: 4, link: {bandwidth: "
    "1 GB/s, latency: 3 us}}";

// What the flows over a link put on it from one time to another.
double bytes_between(const Drawn& one, LinkId link, double from, double to) {
  double bytes = 0;
  for (const sim::LinkFlow& flow : one.prediction.flows) {
    if (flow.link != link || flow.begin == flow.end) continue;
    const double begin = flow.begin.seconds().seconds(), end = flow.end.seconds().seconds();
    bytes += flow.bytes * std::max(0.0, std::min(end, to) - std::max(begin, from)) / (end - begin);
  }
  return bytes;
}

// Never more than the bandwidth, and as many bytes as flow in the time that the curve spans.
TEST(LinkCurves, CarryTheBytesOfTheirLinks) {
  for (const std::string& strategy : strategies()) {
    const Scenario scenario = scenario_of(kNarrow, strategy);
    const Drawn one = drawn(scenario);
    const Cluster cluster = Cluster::build(scenario.cluster).value();
    ASSERT_EQ(one.pictures().links.size(), kMostLinkCurves);
    Seconds length;
    for (const PictureSpan& span : one.summary().picture)
      length = std::max(length, span.end);
    const double begin = pictured_step(one.prediction.timeline, kWarmUp).origin.seconds().seconds();
    double before = 1e9, most = 0;
    for (std::size_t k = 0; k < one.pictures().links.size(); ++k) {
      const LinkCurve& curve = one.pictures().links[k];
      const Link& link = cluster.links()[one.prediction.watched[k].index()];
      EXPECT_EQ(curve.name, link.name);
      const auto whole =
          std::find_if(one.summary().links.begin(), one.summary().links.end(),
                       [&](const LinkSummary& summary) { return summary.name == curve.name; });
      ASSERT_NE(whole, one.summary().links.end());
      EXPECT_LE(whole->utilisation, before * (1 + 1e-9)) << "not the busiest first";
      before = whole->utilisation;
      double sum = 0;
      for (const double share : curve.utilisation) {
        EXPECT_LE(share, 1 + 1e-5) << strategy << " " << curve.name;
        most = std::max(most, share);
        sum += share;
      }
      const double carried = sum / static_cast<double>(curve.utilisation.size()) *
                             length.seconds() * link.bandwidth.bytes_per_second();
      const double flowed =
          bytes_between(one, one.prediction.watched[k], begin, begin + length.seconds());
      EXPECT_NEAR(carried, flowed, 1e-6 * flowed) << strategy << " " << curve.name;
    }
    EXPECT_GT(most, 0.5) << strategy;
  }
}

// Over all steps counters of links carry as much as the simulation did, and end at nothing.
TEST(LinkCounters, CarryTheBytesOfAllSteps) {
  const Scenario scenario = scenario_of(kNodes, kPipeline);
  const Drawn one = drawn(scenario);
  const Cluster cluster = Cluster::build(scenario.cluster).value();
  const std::vector<TraceCounter> counters = link_counters(one.prediction, cluster);
  ASSERT_FALSE(counters.empty());
  for (const TraceCounter& counter : counters) {
    double seconds = 0;
    for (std::size_t v = 0; v + 1 < counter.values.size(); ++v) {
      const auto& [time, share] = counter.values[v];
      seconds += share * (counter.values[v + 1].first - time).seconds().seconds();
    }
    const auto& links = one.summary().links;
    const auto found = std::find_if(links.begin(), links.end(), [&](const LinkSummary& summary) {
      return summary.name == counter.name;
    });
    const double wanted = found->utilisation * one.summary().step_time.seconds() *
                          static_cast<double>(one.prediction.timeline.steps);
    EXPECT_NEAR(seconds, wanted, 1e-6 * wanted);
    EXPECT_EQ(counter.values.back().second, 0);
  }
}

TEST(Pictures, SayWhatIsLeftOut) {
  Scenario scenario = scenario_of(
      "nodes: 8, devices_per_node: 2, interconnect: {bandwidth: 100 GB/s, latency: 1 us}, network: "
      "{kind: crossbar, link: {bandwidth: 10 GB/s, latency: 3 us}}",
      kPipeline);
  scenario.simulation.detail = Detail::block;
  const Drawn one = drawn(scenario);
  EXPECT_TRUE(one.pictures().memory.empty());
  EXPECT_TRUE(one.pictures().links.empty());
  EXPECT_TRUE(one.pictures().grids.empty());
  EXPECT_EQ(one.pictures().left_out.size(), 3U);
  EXPECT_TRUE(one.pictures().path.has_value());
}

// Of transformers, whose stages hand on more than one layer's values.
TEST(Pictures, AreOfFoldedPipelines) {
  Scenario scenario = scenario_of(
      "nodes: 4, network: {kind: crossbar, link: {bandwidth: 10 GB/s, latency: 3 us}}", kPipeline,
      "kind: gpt, layers: 6, width: 64, heads: 4, vocabulary: 128, sequence: 32, positions: 32");
  scenario.simulation.detail = Detail::block;
  EXPECT_TRUE(drawn(scenario).pictures().path.has_value());
}

TEST(Pictures, SurviveTheirJson) {
  for (const std::string& strategy : strategies()) {
    const Drawn one = drawn(scenario_of(kNodes, strategy));
    Summary summary{"pictures", "predicted", "a100", {one.summary()}};
    summary.topology = one.topology.picture();
    const std::string text = print_json(summary);
    const Result<Summary> again = parse_summary(text, "pictures.json");
    ASSERT_TRUE(again.ok()) << format(again.errors());
    EXPECT_EQ(print_json(*again), text) << strategy;
    const auto json = nlohmann::json::parse(text)["strategies"][0]["pictures"];
    EXPECT_EQ(json.contains("grids"), strategy == kPipeline);
    EXPECT_EQ(json.contains("assignment"), strategy == kHalves);
  }
}

// Ops and vertices that are not there, points of another length: named, not drawn.
TEST(Pictures, OfOtherFilesAreRefused) {
  const Drawn one = drawn(scenario_of(kNodes, kPipeline));
  Summary summary{"pictures", "predicted", "a100", {one.summary()}};
  summary.topology = one.topology.picture();
  const auto good = nlohmann::json::parse(print_json(summary));
  const auto message_of = [&](const std::string& pointer, const nlohmann::json& value) {
    auto bad = good;
    bad[nlohmann::json::json_pointer(pointer)] = value;
    const Result<Summary> read = parse_summary(bad.dump(), "bad.json");
    return read.ok() ? "" : read.errors().front().message;
  };
  const std::string pictures = "/strategies/0/pictures";
  EXPECT_EQ(
      message_of(pictures + "/critical_path/parts/3/1", 1'000'000)
          .find("bad.json: " + pictures + "/critical_path/parts/3: expected an op of the timeline"),
      0U);
  EXPECT_EQ(message_of(pictures + "/memory_curves/0/points/1", {0.5})
                .find("bad.json: " + pictures + "/memory_curves/0/points/1: expected a time and "),
            0U);
  EXPECT_EQ(message_of("/topology/cables/0/to", 99)
                .find("bad.json: /topology/cables/0: expected ends that are vertices"),
            0U);
}

}  // namespace
}  // namespace rehearse
