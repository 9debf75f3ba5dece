#include "model/schedule/deal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "model/net/width.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

constexpr AssignmentKind kKinds[] = {AssignmentKind::nested, AssignmentKind::random,
                                     AssignmentKind::rolling};

// Widths cut into so many units; 0: blocks are units.
Net cut(std::int64_t units) {
  const Net net = *build_net(testing::resnet20());
  return units == 0 ? net : *cut_units(net, {units, {}, {}});
}

using Coverages = std::vector<Fraction>;
const std::vector<Coverages>& all_coverages() {
  static const std::vector<Coverages> coverages = {
      {{1, 1}, {1, 2}, {1, 2}, {1, 4}},
      {{1, 3}},
      {{1, 10}, {9, 10}},
      {{3, 4}, {2, 3}, {1, 7}, {1, 100}, {1, 1}},
      {{1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}}};
  return coverages;
}

bool holds(const Assignment& assignment, std::size_t unit, std::size_t worker) {
  return assignment.holders[unit][worker];
}

// Calls visit(net, n, coverages) for widths and blocks.
template <class Visit>
void each_case(Visit visit) {
  for (const std::int64_t units : {0, 2, 3, 4, 7, 16}) {
    const Net net = cut(units);
    const std::size_t n = units == 0 ? net.units.size() : static_cast<std::size_t>(units);
    ASSERT_EQ(units_dealt(net), static_cast<std::int64_t>(n));
    for (const Coverages& coverages : all_coverages())
      visit(net, n, coverages);
  }
}

// ceil(r n) is the only k with k - 1 < r n <= k.
TEST(Deal, GivesEveryWorkerTheCeilingOfItsShare) {
  each_case([](const Net& net, std::size_t n, const Coverages& coverages) {
    for (const AssignmentKind kind : kKinds) {
      for (const std::int64_t draw : {0, 1, 5}) {
        const Assignment assignment = deal_units(net, kind, coverages, 3, draw);
        ASSERT_EQ(assignment.workers, std::ssize(coverages));
        ASSERT_EQ(assignment.holders.size(), net.units.size());
        for (std::size_t first = 0; first < net.units.size(); first += n) {
          for (std::size_t w = 0; w < coverages.size(); ++w) {
            std::int64_t held = 0;
            for (std::size_t u = first; u < first + n; ++u)
              held += holds(assignment, u, w) ? 1 : 0;
            const Fraction& r = coverages[w];
            const std::int64_t share = r.numerator * static_cast<std::int64_t>(n);
            EXPECT_LT((held - 1) * r.denominator, share);
            EXPECT_LE(share, held * r.denominator);
            EXPECT_EQ(held, ceiling_of(r, static_cast<std::int64_t>(n)));
          }
        }
      }
    }
  });
}

// HeteroFL: whoever holds a unit holds those before it, in every draw.
TEST(Deal, NestsPrefixes) {
  each_case([](const Net& net, std::size_t n, const Coverages& coverages) {
    const Assignment assignment = deal_units(net, AssignmentKind::nested, coverages, 3, 0);
    EXPECT_EQ(deal_units(net, AssignmentKind::nested, coverages, 4, 7).holders, assignment.holders);
    for (std::size_t u = 0; u < net.units.size(); ++u) {
      for (std::size_t w = 0; w < coverages.size(); ++w) {
        if (u % n > 0 && holds(assignment, u, w)) {
          EXPECT_TRUE(holds(assignment, u - 1, w));
        }
      }
    }
  });
}

// FedRolex: windows that begin at one unit for all and move on by one, so that in n draws every
// unit has been held by a worker as often as the worker holds units.
TEST(Deal, RollsWindows) {
  each_case([](const Net& net, std::size_t n, const Coverages& coverages) {
    std::vector<std::vector<std::int64_t>> times(net.units.size(),
                                                 std::vector<std::int64_t>(coverages.size(), 0));
    const Assignment first = deal_units(net, AssignmentKind::rolling, coverages, 3, 0);
    EXPECT_EQ(first.holders, deal_units(net, AssignmentKind::nested, coverages, 3, 0).holders);
    for (std::size_t draw = 0; draw < n; ++draw) {
      const Assignment now =
          deal_units(net, AssignmentKind::rolling, coverages, 3, static_cast<std::int64_t>(draw));
      for (std::size_t u = 0; u < net.units.size(); ++u) {
        const std::size_t moved = u / n * n + (u % n + draw) % n;
        EXPECT_EQ(now.holders[moved], first.holders[u]);
        for (std::size_t w = 0; w < coverages.size(); ++w)
          times[u][w] += holds(now, u, w) ? 1 : 0;
      }
    }
    for (const auto& unit : times) {
      for (std::size_t w = 0; w < coverages.size(); ++w)
        EXPECT_EQ(unit[w], ceiling_of(coverages[w], static_cast<std::int64_t>(n)));
    }
  });
}

// Federated dropout: sets of their own. Of 2000 draws a unit is in a share r of them, give or take
// five deviations of sqrt(r (1 - r) / 2000); two workers with r have it in common in r^2 of them.
TEST(Deal, DrawsSets) {
  constexpr int kDraws = 2000;
  const Net net = cut(8);
  const Coverages coverages = {{1, 4}, {1, 2}, {1, 2}};
  std::vector<double> times(net.units.size() * 3, 0);
  std::vector<double> both(net.units.size(), 0);
  std::set<std::vector<std::vector<bool>>> seen;
  for (int draw = 0; draw < kDraws; ++draw) {
    const Assignment now = deal_units(net, AssignmentKind::random, coverages, 3, draw);
    EXPECT_EQ(deal_units(net, AssignmentKind::random, coverages, 3, draw).holders, now.holders);
    seen.insert(now.holders);
    for (std::size_t u = 0; u < net.units.size(); ++u) {
      for (std::size_t w = 0; w < 3; ++w)
        times[u * 3 + w] += holds(now, u, w) ? 1 : 0;
      both[u] += holds(now, u, 1) && holds(now, u, 2) ? 1 : 0;
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kDraws)) << "of 70^18 pairs of halves";
  const auto near = [&](double count, double r) {
    EXPECT_NEAR(count / kDraws, r, 5 * std::sqrt(r * (1 - r) / kDraws));
  };
  for (std::size_t u = 0; u < net.units.size(); ++u) {
    for (std::size_t w = 0; w < 3; ++w)
      near(times[u * 3 + w], coverages[w].value());
    near(both[u], 0.25);
  }
  EXPECT_NE(deal_units(net, AssignmentKind::random, coverages, 4, 0).holders,
            deal_units(net, AssignmentKind::random, coverages, 3, 0).holders);
}

// ---- what nobody holds -------------------------------------------------------------------------

std::int64_t elements_of(const Net& net, std::size_t unit) {
  std::int64_t elements = 0;
  for (const Parameter& parameter : net.parameters) {
    if (parameter.unit == UnitId(unit)) elements += parameter.shape.elements();
  }
  return elements;
}

// What is held is not parked, and what is not held is, in one place: where it was, or with a
// replica of one who held it before.
TEST(Park, StaysOrIsWithAHolderBefore) {
  constexpr std::int64_t kReplicas = 2, kDraws = 24;
  each_case([](const Net& net, std::size_t, const Coverages& coverages) {
    for (const AssignmentKind kind : kKinds) {
      std::vector<std::optional<std::size_t>> parked;
      Assignment before;
      for (std::int64_t draw = 0; draw < kDraws; ++draw) {
        const Assignment now = deal_units(net, kind, coverages, 3, draw);
        const auto next = park_units(net, kind, coverages, kReplicas, 3, draw);
        ASSERT_EQ(next.size(), net.units.size());
        for (std::size_t u = 0; u < net.units.size(); ++u) {
          const auto& holders = now.holders[u];
          const bool is_held = std::count(holders.begin(), holders.end(), true) > 0;
          ASSERT_EQ(next[u].has_value(), !is_held);
          if (is_held) continue;
          ASSERT_LT(*next[u], static_cast<std::size_t>(kReplicas) * coverages.size());
          if (draw == 0) continue;
          if (parked[u]) {
            EXPECT_EQ(*next[u], *parked[u]);
          } else {
            EXPECT_TRUE(holds(before, u, *next[u] % coverages.size()));
          }
        }
        parked = next;
        before = now;
      }
    }
  });
}

// Greedily, the largest first: in the end nobody has more than another plus the last, and thus at
// most the largest, unit that was parked with him.
TEST(Park, LevelsParameters) {
  each_case([](const Net& net, std::size_t, const Coverages& coverages) {
    const Assignment now = deal_units(net, AssignmentKind::nested, coverages, 3, 0);
    const auto parked = park_units(net, AssignmentKind::nested, coverages, 1, 3, 0);
    std::vector<std::int64_t> elements(coverages.size(), 0), held(coverages.size(), 0);
    std::vector<std::int64_t> least(coverages.size(), 0);
    for (std::size_t u = 0; u < net.units.size(); ++u) {
      for (std::size_t w = 0; w < coverages.size(); ++w) {
        if (holds(now, u, w)) elements[w] += elements_of(net, u);
        if (parked[u] != w) continue;
        elements[w] += elements_of(net, u);
        held[w] += 1;
        least[w] = std::min(least[w] == 0 ? elements_of(net, u) : least[w], elements_of(net, u));
      }
    }
    const std::int64_t fewest = *std::min_element(elements.begin(), elements.end());
    for (std::size_t w = 0; w < coverages.size(); ++w) {
      if (held[w] > 0) {
        EXPECT_LE(elements[w] - least[w], fewest) << "worker " << w;
      }
    }
  });
}

}  // namespace
}  // namespace rehearse
