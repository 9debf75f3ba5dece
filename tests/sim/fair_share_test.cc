#include "sim/fair_share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace rehearse::sim {
namespace {

// What the test knows of a flow; the solver under test is asked for its rate only.
struct KnownFlow {
  FlowId id;
  std::vector<Use> uses;
  double weight, bound;
};

class System {
 public:
  ResourceId add_resource(double capacity) {
    capacities_.push_back(capacity);
    return shares.add_resource(capacity);
  }
  void set_capacity(ResourceId resource, double capacity) {
    capacities_[resource.index()] = capacity;
    shares.set_capacity(resource, capacity);
  }
  FlowId add_flow(std::vector<Use> uses, double weight = 1, double bound = FairShare::kUnbounded) {
    flows_.push_back({shares.add_flow(uses, weight, bound), uses, weight, bound});
    return flows_.back().id;
  }
  void remove_any(std::size_t choice) {
    shares.remove_flow(flows_[choice % flows_.size()].id);
    flows_.erase(flows_.begin() + static_cast<std::ptrdiff_t>(choice % flows_.size()));
  }
  std::size_t flow_count() const { return flows_.size(); }
  std::size_t resource_count() const { return capacities_.size(); }

  // Who is not told of a new rate goes on at the old one.
  void solve() {
    for (const FlowId id : shares.solve())
      told_[id] = shares.rate(id);
    for (const KnownFlow& flow : flows_)
      EXPECT_EQ(told_[flow.id], shares.rate(flow.id));
  }

  // No resource is over its capacity; each flow is at its bound, or crosses a full resource on
  // which no flow's normalized rate is larger. Such rates are the max-min fair ones, and unique
  // (Bertsekas and Gallager, section 6.5.2).
  void expect_max_min() const {
    std::vector<double> load(capacities_.size(), 0), largest(capacities_.size(), 0);
    for (const KnownFlow& flow : flows_) {
      const double rate = shares.rate(flow.id);
      EXPECT_GT(rate, 0);
      EXPECT_LE(rate, flow.bound * (1 + kSlack));
      for (const Use& use : flow.uses) {
        load[use.resource.index()] += use.amount * rate;
        largest[use.resource.index()] = std::max(largest[use.resource.index()], rate / flow.weight);
      }
    }
    for (std::size_t r = 0; r < load.size(); ++r) {
      EXPECT_LE(load[r], capacities_[r] * (1 + kSlack));
      EXPECT_NEAR(shares.load(ResourceId(r)), load[r], kSlack * capacities_[r]);
    }
    for (const KnownFlow& flow : flows_) {
      const double rate = shares.rate(flow.id);
      bool limited = rate >= flow.bound * (1 - kSlack);
      for (const Use& use : flow.uses) {
        const std::size_t r = use.resource.index();
        limited = limited || (load[r] >= capacities_[r] * (1 - kSlack) &&
                              rate / flow.weight >= largest[r] * (1 - kSlack));
      }
      EXPECT_TRUE(limited) << "flow " << flow.id.value() << " could go faster";
    }
  }

  FairShare shares;

 private:
  static constexpr double kSlack = 1e-9;
  std::vector<double> capacities_;
  std::vector<KnownFlow> flows_;
  std::map<FlowId, double> told_;
};

TEST(FairShare, OneLinkIsSharedEqually) {
  System system;
  const ResourceId link = system.add_resource(12);
  std::vector<FlowId> flows;
  for (int i = 0; i < 3; ++i)
    flows.push_back(system.add_flow({{link}}));
  system.shares.solve();
  for (const FlowId flow : flows)
    EXPECT_DOUBLE_EQ(system.shares.rate(flow), 4);
}

// The textbook's example: a long flow over two links, and one more on each of them.
TEST(FairShare, WhatABottleneckLeavesGoesToTheOthers) {
  System system;
  const ResourceId narrow = system.add_resource(2), wide = system.add_resource(10);
  const FlowId both = system.add_flow({{narrow}, {wide}});
  const FlowId on_narrow = system.add_flow({{narrow}}), on_wide = system.add_flow({{wide}});
  system.shares.solve();
  EXPECT_DOUBLE_EQ(system.shares.rate(both), 1);
  EXPECT_DOUBLE_EQ(system.shares.rate(on_narrow), 1);
  EXPECT_DOUBLE_EQ(system.shares.rate(on_wide), 9);
}

TEST(FairShare, WeightsAndBounds) {
  System system;
  const ResourceId link = system.add_resource(10);
  const FlowId bounded = system.add_flow({{link}}, 1, 1);
  const FlowId light = system.add_flow({{link}}, 1), heavy = system.add_flow({{link}}, 2);
  system.shares.solve();
  EXPECT_DOUBLE_EQ(system.shares.rate(bounded), 1);
  EXPECT_DOUBLE_EQ(system.shares.rate(light), 3);
  EXPECT_DOUBLE_EQ(system.shares.rate(heavy), 6);
}

TEST(FairShare, AFlowWithoutResourcesRunsAtItsBound) {
  System system;
  const FlowId alone = system.add_flow({}, 1, 7);
  system.shares.solve();
  EXPECT_DOUBLE_EQ(system.shares.rate(alone), 7);
}

TEST(FairShare, OnlyWhatChangesIsTold) {
  System system;
  const ResourceId here = system.add_resource(1), there = system.add_resource(1);
  const FlowId old_here = system.add_flow({{here}});
  system.add_flow({{there}});
  system.shares.solve();
  const FlowId new_here = system.add_flow({{here}});
  std::vector<FlowId> told = system.shares.solve();
  std::sort(told.begin(), told.end());
  EXPECT_EQ(told, (std::vector<FlowId>{old_here, new_here}));
  EXPECT_TRUE(system.shares.solve().empty()) << "nothing changed";
}

// Flows k and k + 1 share link k: each one's rate depends on its neighbours'.
TEST(FairShare, AChangeRunsAlongAChain) {
  System system;
  constexpr std::size_t kLinks = 50;
  std::vector<ResourceId> links;
  for (std::size_t i = 0; i < kLinks; ++i)
    links.push_back(system.add_resource(static_cast<double>(i) + 2));
  std::vector<FlowId> flows{system.add_flow({{links[0]}})};
  for (std::size_t i = 0; i + 1 < kLinks; ++i)
    flows.push_back(system.add_flow({{links[i]}, {links[i + 1]}}));
  flows.push_back(system.add_flow({{links.back()}}));
  system.solve();
  system.expect_max_min();
  for (std::size_t i = 0; i < kLinks; ++i) {
    system.set_capacity(links[i], static_cast<double>((7 * i) % 11) + 0.5);
    system.solve();
    system.expect_max_min();
  }
}

class RandomSystem : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomSystem, IsMaxMinFairWhateverChanges) {
  std::mt19937_64 random(GetParam());
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  std::uniform_real_distribution<double> number(0.1, 10);
  System system;
  for (std::size_t r = 1 + below(12); r > 0; --r)
    system.add_resource(number(random));
  const auto add = [&] {
    std::vector<Use> uses;
    for (std::size_t r = 0; r < system.resource_count(); ++r) {
      if (below(3) == 0) uses.push_back({ResourceId(r), number(random)});
    }
    const bool bounded = uses.empty() || below(4) == 0;
    system.add_flow(uses, number(random), bounded ? number(random) : FairShare::kUnbounded);
  };
  for (int change = 0; change < 60; ++change) {
    const std::size_t what = below(4);
    if (what < 2 || system.flow_count() == 0) add();
    if (what == 2 && system.flow_count() > 0) system.remove_any(below(1000));
    if (what == 3) system.set_capacity(ResourceId(below(system.resource_count())), number(random));
    if (below(3) == 0) continue;  // several changes at once
    system.solve();
    system.expect_max_min();
    if (HasFailure()) return;
  }
}

// Flows between the ports of a switch, and through the trunks of a tree: many are equal, few are
// joined to all others, and what changes one rate reaches some of them.
TEST_P(RandomSystem, IsMaxMinFairInNetworks) {
  std::mt19937_64 random(GetParam());
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  System system;
  const std::size_t ports = 8 + below(40), trunks = 1 + below(6);
  for (std::size_t r = 0; r < 2 * ports; ++r)
    system.add_resource(static_cast<double>(1 + below(2)));
  for (std::size_t r = 0; r < trunks; ++r)
    system.add_resource(static_cast<double>(1 + below(ports)));
  for (int change = 0; change < 300; ++change) {
    if (below(5) < 3 || system.flow_count() == 0) {
      std::vector<Use> uses{{ResourceId(below(ports))}, {ResourceId(ports + below(ports))}};
      if (below(2) == 0) uses.push_back({ResourceId(2 * ports + below(trunks))});
      const double bound = below(8) == 0 ? 0.25 : FairShare::kUnbounded;
      system.add_flow(uses, below(8) == 0 ? 3 : 1, bound);
    } else {
      system.remove_any(below(1000));
    }
    if (below(3) == 0) continue;
    system.solve();
    system.expect_max_min();
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSystem, ::testing::Range<std::uint64_t>(1, 41));

}  // namespace
}  // namespace rehearse::sim
