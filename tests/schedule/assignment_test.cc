#include "model/schedule/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <set>

#include "model/net/width.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

Net net_of_kind(const ModelSpec& spec) {
  return *build_net(spec);
}

ModelSpec resnet18() {
  return {"resnet18", {{"image", {32, 32, 3}}, {"classes", {10}}}};
}

void expect_uniform(const Assignment& assignment, std::int64_t holders) {
  for (const auto& by_worker : assignment.holders) {
    EXPECT_EQ(std::count(by_worker.begin(), by_worker.end(), true), holders);
  }
}

TEST(Assignment, EveryUnitHasExactlyItsHolders) {
  const Net net = net_of_kind(testing::resnet20());
  for (const std::int64_t workers : {1, 2, 4, 5, 8, 16}) {
    for (std::int64_t holders = 1; holders <= workers;
         holders = holders < 3 ? holders + 1 : holders * 2) {
      for (const Balance balance : {Balance::flops, Balance::parameters, Balance::saved}) {
        const auto assignment =
            assign_units(net, unit_loads(net, balance, Masking::forward), workers, holders, {1});
        ASSERT_EQ(assignment.holders.size(), net.units.size());
        expect_uniform(assignment, holders);
      }
    }
  }
}

// Of widths, too: every worker has c of the N units of each width.
TEST(Assignment, EveryWidthGoesRound) {
  for (const std::int64_t workers : {2, 3, 4, 5, 8}) {
    const Net net = *cut_units(net_of_kind(testing::resnet20()), {workers, {}, {}});
    for (std::int64_t holders = 1; holders <= workers; ++holders) {
      const Assignment assignment = assign_widths(net, workers, holders, {1});
      ASSERT_EQ(assignment.holders.size(), net.units.size());
      expect_uniform(assignment, holders);
      std::map<std::pair<std::size_t, std::int64_t>, std::int64_t> held;  // by width and worker
      for (std::size_t u = 0; u < net.units.size(); ++u) {
        for (std::int64_t w = 0; w < workers; ++w) {
          if (assignment.holders[u][static_cast<std::size_t>(w)]) ++held[{*net.units[u].width, w}];
        }
      }
      EXPECT_EQ(held.size(), static_cast<std::size_t>(9 * workers));
      for (const auto& [place, units] : held)
        EXPECT_EQ(units, holders) << "width " << place.first << ", worker " << place.second;
    }
  }
}

// With c >= 2 what one worker learns reaches all the others; a unit joins c workers, so 9 units can
// join at most 1 + 9 (c - 1) of them.
TEST(Assignment, WorkersAreConnected) {
  const Net net = net_of_kind(testing::resnet20());
  for (const std::int64_t workers : {2, 4, 8, 10}) {
    for (const std::int64_t holders : {2L, workers / 2, workers}) {
      if (holders < 2) continue;
      const auto assignment = assign_units(net, unit_loads(net, Balance::flops, Masking::forward),
                                           workers, holders, {3});
      EXPECT_TRUE(is_connected(assignment)) << workers << " workers, " << holders << " holders";
      EXPECT_GT(spectral_gap(assignment), 1e-6);
    }
  }
}

// subnetwork.md, section 1: the loads of the eight main branches, and that a good assignment to 8
// workers with c = 4 gives every worker 45 to 55 % of the maskable parameters.
TEST(Assignment, LevelsResnet18) {
  const Net net = net_of_kind(resnet18());
  std::vector<double> loads = unit_loads(net, Balance::parameters, Masking::forward);
  std::vector<double> sorted = loads;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted,
            (std::vector<double>{73984, 73984, 221696, 295424, 885760, 1180672, 3540992, 4720640}));
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) {
    for (const double load : worker_loads(assign_units(net, loads, 8, 4, {seed}), loads)) {
      EXPECT_GE(load / total, 0.45) << "seed " << seed;
      EXPECT_LE(load / total, 0.55) << "seed " << seed;
    }
  }
}

// Each worker has the part of the load that its share of it says, as near as units allow; every
// unit its holders all the same.
TEST(Assignment, LevelsLoadsByShare) {
  const Net net = net_of_kind(testing::resnet20());
  const auto loads = unit_loads(net, Balance::parameters, Masking::forward);
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  const std::vector<double> coverages = {0.75, 0.75, 0.25, 0.25};
  const auto assignment = assign_units(net, loads, coverages, {1});
  expect_uniform(assignment, 2);
  const auto got = worker_loads(assignment, loads);
  for (std::size_t worker = 0; worker < coverages.size(); ++worker)
    EXPECT_NEAR(got[worker] / total, coverages[worker], 0.06) << worker;
}

// A unit's FLOPs are those that the network has less without it, each taken out by itself.
TEST(UnitLoads, OfAlikeBlocksAreTheirOwn) {
  ModelSpec gpt{"gpt", {{"layers", {4}}, {"width", {32}}, {"heads", {2}}}};
  const Net widths = *cut_units(net_of_kind(testing::resnet20()), {3, {}, {}});
  for (const Net& net : {net_of_kind(testing::resnet20()), net_of_kind(gpt), widths}) {
    for (const Masking masking : {Masking::forward, Masking::backward}) {
      const std::vector<double> loads = unit_loads(net, Balance::flops, masking);
      ASSERT_EQ(loads.size(), net.units.size());
      for (std::size_t unit = 0; unit < loads.size(); ++unit) {
        Subnetwork held = full_subnetwork(net);
        held.holds[unit] = false;
        const Net rest = masking == Masking::forward ? restrict(net, held) : freeze(net, held);
        EXPECT_EQ(loads[unit], flops_of(net, 1).total().flops() - flops_of(rest, 1).total().flops())
            << net.units[unit].name;
      }
    }
  }
}

// Who has room for all of it has all of it, whatever the others make of the rest.
TEST(Assignment, FullCoverageIsEveryUnit) {
  const Net net = net_of_kind(testing::resnet20());
  const auto loads = unit_loads(net, Balance::saved, Masking::forward);
  for (const std::int64_t draw : {0, 1, 2}) {
    const auto assignment = assign_units(
        net, loads, std::vector<double>{1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, {1, draw});
    expect_uniform(assignment, 5);
    for (const auto& holders : assignment.holders)
      EXPECT_TRUE(holders[0] && holders[1]);
  }
}

// What the workers hold, whoever holds it.
std::set<std::vector<bool>> parts_of(const Assignment& assignment) {
  std::set<std::vector<bool>> parts;
  for (std::int64_t worker = 0; worker < assignment.workers; ++worker)
    parts.insert(subnetwork_of(assignment, worker).holds);
  return parts;
}

// A draw deals out other subnetworks, not the same ones to other workers.
TEST(Assignment, DrawsHaveOtherSubnetworks) {
  const Net blocks = net_of_kind(testing::resnet20());
  const auto loads = unit_loads(blocks, Balance::parameters, Masking::forward);
  const Net widths = *cut_units(blocks, {4, {}, {}});
  for (const std::int64_t holders : {1, 2, 3}) {
    std::set<std::set<std::vector<bool>>> of_blocks, of_widths;
    for (std::int64_t draw = 0; draw < 6; ++draw) {
      const Assignment block = assign_units(blocks, loads, 4, holders, {1, draw});
      const Assignment width = assign_widths(widths, 4, holders, {1, draw});
      expect_uniform(block, holders);
      expect_uniform(width, holders);
      of_blocks.insert(parts_of(block));
      of_widths.insert(parts_of(width));
    }
    EXPECT_GE(of_blocks.size(), 3) << holders;
    EXPECT_EQ(of_widths.size(), 6) << holders;
  }
}

// Loads stay level from draw to draw, as near as in the first within a few per cent.
TEST(Assignment, DrawsAreLevel) {
  const Net net = net_of_kind(resnet18());
  const auto loads = unit_loads(net, Balance::parameters, Masking::forward);
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  for (std::int64_t draw = 0; draw < 20; ++draw) {
    for (const double load : worker_loads(assign_units(net, loads, 8, 4, {1, draw}), loads)) {
      EXPECT_GE(load / total, 0.45) << draw;
      EXPECT_LE(load / total, 0.55) << draw;
    }
  }
}

// Every unit gets to every worker, as often as to any other.
TEST(Assignment, DrawsAreFair) {
  const Net net = net_of_kind(testing::resnet20());
  const auto loads = unit_loads(net, Balance::parameters, Masking::forward);
  constexpr int kDraws = 400;
  std::vector<std::vector<int>> held(net.units.size(), std::vector<int>(4, 0));
  for (int draw = 1; draw <= kDraws; ++draw) {
    const Assignment assignment = assign_units(net, loads, 4, 2, {7, draw});
    for (std::size_t unit = 0; unit < held.size(); ++unit) {
      for (std::size_t worker = 0; worker < 4; ++worker)
        held[unit][worker] += assignment.holders[unit][worker] ? 1 : 0;
    }
  }
  // Four standard deviations of 400 draws at 1/2.
  for (const auto& by_worker : held) {
    for (const int times : by_worker)
      EXPECT_NEAR(times, kDraws / 2, 40);
  }
}

// What dropping saves is what the unit costs: the sum of loads and of the rest is the whole.
TEST(Assignment, LoadsAreShares) {
  const Net net = net_of_kind(testing::resnet20());
  const double units = [&] {
    const auto loads = unit_loads(net, Balance::flops, Masking::forward);
    return std::accumulate(loads.begin(), loads.end(), 0.0);
  }();
  const Net rest = restrict(net, {std::vector<bool>(net.units.size(), false)});
  EXPECT_NEAR(units + flops_of(rest, 1).total().flops(), flops_of(net, 1).total().flops(), 1);
}

// subnetwork.md, section 1: cyclic windows of c among N have second eigenvalue
// max_k [sin(pi k c / N) / (c sin(pi k / N))]^2; gaps for N = 8: 0.146, 0.573, 0.905.
TEST(SpectralGap, OfCyclicWindows) {
  constexpr std::int64_t kWorkers = 8;
  for (const std::int64_t holders : {2, 4, 6}) {
    Assignment windows{kWorkers, {}};
    for (std::int64_t u = 0; u < kWorkers; ++u) {
      windows.holders.emplace_back(kWorkers, false);
      for (std::int64_t k = 0; k < holders; ++k)
        windows.holders.back()[static_cast<std::size_t>((u + k) % kWorkers)] = true;
    }
    double second = 0;
    for (int k = 1; k < kWorkers; ++k) {
      const double angle = std::numbers::pi * k / kWorkers;
      const auto c = static_cast<double>(holders);
      second = std::max(second, std::pow(std::sin(angle * c) / (c * std::sin(angle)), 2));
    }
    EXPECT_NEAR(spectral_gap(windows), 1 - second, 1e-12);
    EXPECT_NEAR(spectral_gap(windows), holders == 2 ? 0.146 : holders == 4 ? 0.573 : 0.905, 5e-4);
  }
}

TEST(SpectralGap, IsZeroWhereWorkersNeverMeet) {
  const Assignment apart{4, {{true, true, false, false}, {false, false, true, true}}};
  EXPECT_FALSE(is_connected(apart));
  EXPECT_NEAR(spectral_gap(apart), 0, 1e-12);
}

TEST(Assignment, IsAFunctionOfTheSeed) {
  const Net net = net_of_kind(testing::resnet20());
  const auto loads = unit_loads(net, Balance::flops, Masking::forward);
  EXPECT_EQ(assign_units(net, loads, 8, 4, {5}).holders,
            assign_units(net, loads, 8, 4, {5}).holders);
}

}  // namespace
}  // namespace rehearse
