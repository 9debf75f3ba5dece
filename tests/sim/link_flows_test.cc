// What flows over links, and when: as much as is counted, and never more than there is room for.
#include "sim/link_flows.h"

#include <map>

#include "tests/sim/simulations.h"

namespace rehearse {
namespace {

using testing::PlanCase;

class LinkFlowsOf : public ::testing::TestWithParam<PlanCase> {};

// Two leaves with one uplink each: whatever goes from one to the other has to share it.
ClusterSpec narrow_tree(std::int64_t nodes) {
  ClusterSpec spec = testing::fat_tree(nodes, nodes / 2, static_cast<double>(nodes) / 2);
  spec.network.link = {BytesPerSecond::bytes_per_second(1e7), Seconds::microseconds(3)};
  return spec;
}

// The most bytes per second that flows over a link at any time.
double most_at_once(const std::vector<sim::LinkFlow>& flows, LinkId link) {
  std::map<Time, double> changes;
  for (const sim::LinkFlow& flow : flows) {
    if (flow.link != link || flow.begin == flow.end) continue;
    const double rate = flow.bytes / (flow.end - flow.begin).seconds().seconds();
    changes[flow.begin] += rate;
    changes[flow.end] -= rate;
  }
  double rate = 0, most = 0;
  for (const auto& [time, change] : changes)
    most = std::max(most, rate += change);
  return most;
}

TEST_P(LinkFlowsOf, AreWhatIsCountedWithinTheBandwidth) {
  const Plan plan = testing::plan_of(GetParam()).value();
  const auto ranks = static_cast<std::int64_t>(plan.ranks.size());
  if (ranks < 4) return;  // no two leaves of more than one node
  const Cluster cluster = testing::built(narrow_tree(ranks));
  const Prices prices = testing::prices(plan, testing::seconds(1e-4), testing::seconds(2e-4));
  std::vector<LinkId> all;
  for (std::size_t l = 0; l < cluster.links().size(); ++l)
    all.emplace_back(l);
  for (const Fidelity fidelity : {Fidelity::stepwise, Fidelity::fluid}) {
    const sim::Outcome outcome = sim::simulate(plan, cluster, prices, 2, fidelity, all).value();
    std::vector<double> bytes(all.size());
    for (const sim::LinkFlow& flow : outcome.flows)
      bytes[flow.link.index()] += flow.bytes;
    double busiest = 0;
    for (const LinkId link : all) {
      const auto counted = static_cast<double>(outcome.link_bytes[link.index()].bytes());
      EXPECT_NEAR(bytes[link.index()], counted, 1e-9 * counted);
      const double bandwidth = cluster.links()[link.index()].bandwidth.bytes_per_second();
      const double used = most_at_once(outcome.flows, link) / bandwidth;
      // Ends are rounded up to whole picoseconds.
      EXPECT_LE(used, 1 + 1e-5) << cluster.links()[link.index()].name;
      busiest = std::max(busiest, used);
    }
    // Between synchronisations nothing is sent.
    if (!outcome.flows.empty()) {
      EXPECT_GT(busiest, 0.5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Plans, LinkFlowsOf, ::testing::ValuesIn(testing::all_cases()),
                         [](const auto& c) { return c.param.name; });

// Watching changes nothing, and what is not watched is not kept.
TEST(LinkFlows, AreOfWatchedLinksOnly) {
  const Plan plan =
      testing::plan_of({"ddp", testing::data_parallel(), testing::resnet20(), 4}).value();
  const Cluster cluster = testing::built(narrow_tree(4));
  const Prices prices = testing::prices(plan, testing::seconds(1e-4), testing::seconds(2e-4));
  const auto plain = sim::simulate(plan, cluster, prices, 2).value();
  const LinkId link(0);
  const auto watched = sim::simulate(plan, cluster, prices, 2, Fidelity::stepwise, {link}).value();
  EXPECT_TRUE(plain.flows.empty());
  EXPECT_FALSE(watched.flows.empty());
  for (const sim::LinkFlow& flow : watched.flows)
    EXPECT_EQ(flow.link, link);
  ASSERT_EQ(plain.timeline.spans.size(), watched.timeline.spans.size());
  for (std::size_t s = 0; s < plain.timeline.spans.size(); ++s)
    EXPECT_EQ(plain.timeline.spans[s].end, watched.timeline.spans[s].end);
}

}  // namespace
}  // namespace rehearse
