#include "model/collective/steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>
#include <string>

#include "model/collective/first_range.h"

namespace rehearse {
namespace {

using Lists = std::vector<std::vector<CollectiveStep>>;  // by channel and member, and step
using Data = std::vector<std::vector<std::int64_t>>;     // by member

struct AlgorithmCase {
  std::string name;
  CollectiveAlgorithm algorithm;
  std::size_t node_members = 1, pieces = 1;

  // One node of all, where members do not make whole nodes.
  CollectiveShape shape(CollectiveKind kind, std::size_t members) const {
    const bool divides = members % node_members == 0;
    return {kind, algorithm, members, 0, divides ? node_members : members, pieces};
  }
};

// All rows that have lists, and what some have besides.
std::vector<AlgorithmCase> cases() {
  std::vector<AlgorithmCase> cases;
  for (const CollectiveAlgorithmRow& row : collective_algorithms()) {
    std::string name(row.name);
    std::replace(name.begin(), name.end(), '-', '_');
    if (row.algorithm != CollectiveAlgorithm::in_network) cases.push_back({name, row.algorithm});
  }
  for (const std::size_t node_members : {2, 3, 4})
    cases.push_back({"hierarchical_by_" + std::to_string(node_members),
                     CollectiveAlgorithm::hierarchical, node_members});
  for (const std::size_t pieces : {2, 3, 8})
    cases.push_back(
        {"double_tree_in_" + std::to_string(pieces), CollectiveAlgorithm::double_tree, 1, pieces});
  return cases;
}

Lists lists_of(const CollectiveShape& shape, std::int64_t n) {
  Lists lists;
  for (std::size_t channel = 0; channel < channel_count(shape); ++channel) {
    for (std::size_t m = 0; m < shape.members; ++m)
      lists.push_back(steps_of(shape, m, n, channel));
  }
  return lists;
}

// Plays the lists on integers, all members and channels in lock step: what is sent in a step was
// there before it.
Data play(const Lists& lists, Data data) {
  const std::size_t members = data.size();
  for (std::size_t s = 0; s < lists[0].size(); ++s) {
    const Data before = data;
    for (std::size_t list = 0; list < lists.size(); ++list) {
      const CollectiveStep& step = lists[list][s];
      const std::size_t m = list % members;
      for (std::int64_t e = step.receive.begin; e < step.receive.end; ++e) {
        const auto i = static_cast<std::size_t>(e);
        data[m][i] = before[step.from][i] + (step.reduce ? before[m][i] : 0);
      }
    }
  }
  return data;
}

Data terms(std::size_t members, std::int64_t n) {
  Data data(members, std::vector<std::int64_t>(static_cast<std::size_t>(n)));
  for (std::size_t m = 0; m < members; ++m) {
    for (std::size_t e = 0; e < data[m].size(); ++e)
      data[m][e] = static_cast<std::int64_t>(1000 * m + e * e);
  }
  return data;
}

std::vector<std::int64_t> sum_of(const Data& data) {
  std::vector<std::int64_t> sum(data[0].size(), 0);
  for (const auto& member : data) {
    for (std::size_t e = 0; e < sum.size(); ++e)
      sum[e] += member[e];
  }
  return sum;
}

ElementRange chunk(std::size_t k, std::size_t members, std::int64_t n) {
  const auto c = static_cast<std::int64_t>(members), place = static_cast<std::int64_t>(k);
  return {place * n / c, (place + 1) * n / c};
}

class Algorithm : public ::testing::TestWithParam<AlgorithmCase> {
 protected:
  // The sizes of groups that it can do this with, in short ranges.
  template <class Visit>
  static void each_shape(CollectiveKind kind, Visit visit) {
    for (std::size_t members = 1; members <= 33; ++members) {
      const CollectiveShape shape = GetParam().shape(kind, members);
      if (refusal_of(shape)) continue;
      for (const std::int64_t n : {0, 1, 2, 7, 40, 97})
        visit(shape, n);
    }
  }
};

INSTANTIATE_TEST_SUITE_P(All, Algorithm, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(Algorithm, LeavesTheSumEverywhere) {
  each_shape(CollectiveKind::all_reduce, [](const CollectiveShape& shape, std::int64_t n) {
    const Data data = terms(shape.members, n);
    for (const auto& result : play(lists_of(shape, n), data))
      EXPECT_EQ(result, sum_of(data)) << shape.members << " members, " << n << " elements";
  });
}

TEST_P(Algorithm, LeavesEveryMemberTheSumOfItsChunk) {
  each_shape(CollectiveKind::reduce_scatter, [](const CollectiveShape& shape, std::int64_t n) {
    const Data data = terms(shape.members, n);
    const Data result = play(lists_of(shape, n), data);
    const std::vector<std::int64_t> sum = sum_of(data);
    for (std::size_t m = 0; m < shape.members; ++m) {
      const ElementRange own = chunk(m, shape.members, n);
      for (auto e = static_cast<std::size_t>(own.begin); e < static_cast<std::size_t>(own.end); ++e)
        EXPECT_EQ(result[m][e], sum[e]) << "member " << m << " of " << shape.members;
    }
  });
}

TEST_P(Algorithm, GathersEveryMembersChunk) {
  each_shape(CollectiveKind::all_gather, [](const CollectiveShape& shape, std::int64_t n) {
    std::vector<std::int64_t> whole(static_cast<std::size_t>(n));
    std::iota(whole.begin(), whole.end(), 5);
    Data data(shape.members, std::vector<std::int64_t>(whole.size(), -1));
    for (std::size_t m = 0; m < shape.members; ++m) {
      const ElementRange own = chunk(m, shape.members, n);
      std::copy(whole.begin() + own.begin, whole.begin() + own.end, data[m].begin() + own.begin);
    }
    for (const auto& result : play(lists_of(shape, n), data))
      EXPECT_EQ(result, whole) << shape.members << " members, " << n << " elements";
  });
}

// What is sent is received, in the same step and channel, and the other way round: nobody sends or
// receives two messages at once.
TEST_P(Algorithm, ReceivesWhatTheOtherSends) {
  for (const auto kind :
       {CollectiveKind::all_reduce, CollectiveKind::reduce_scatter, CollectiveKind::all_gather}) {
    each_shape(kind, [](const CollectiveShape& shape, std::int64_t n) {
      const Lists lists = lists_of(shape, n);
      for (std::size_t list = 0; list < lists.size(); ++list) {
        const std::size_t m = list % shape.members, channel = list - m;
        for (std::size_t s = 0; s < lists[list].size(); ++s) {
          const CollectiveStep& step = lists[list][s];
          const auto& at = [&](std::size_t member) { return lists[channel + member][s]; };
          if (step.receive.size() > 0) {
            EXPECT_EQ(step.receive, at(step.from).send);
            EXPECT_EQ(at(step.from).to, m);
          }
          if (step.send.size() > 0) {
            EXPECT_EQ(step.send, at(step.to).receive);
            EXPECT_EQ(at(step.to).from, m);
          }
        }
      }
    });
  }
}

// Whoever has a sum first, where the result is the sum of all members' terms, divides it: every
// element is completed once, or by all at once (doubling).
TEST_P(Algorithm, CompletesEverySum) {
  each_shape(CollectiveKind::all_reduce, [](const CollectiveShape& shape, std::int64_t n) {
    std::vector<std::size_t> completed(static_cast<std::size_t>(n), 0);
    for (const auto& list : lists_of(shape, n)) {
      for (const CollectiveStep& step : list) {
        if (!step.completes) continue;
        EXPECT_TRUE(step.reduce);
        for (auto e = step.receive.begin; e < step.receive.end; ++e)
          ++completed[static_cast<std::size_t>(e)];
      }
    }
    const bool by_all = shape.algorithm == CollectiveAlgorithm::doubling;
    const std::size_t core = std::bit_floor(shape.members);
    const std::size_t times = shape.members == 1 ? 0 : by_all ? core : 1;
    for (const std::size_t count : completed)
      EXPECT_EQ(count, times) << shape.members << " members, " << n << " elements";
  });
}

// The longest that a member of any place receives to add; pairwise terms wait for each other.
TEST_P(Algorithm, HasRoomForWhatItAdds) {
  for (const auto kind : {CollectiveKind::all_reduce, CollectiveKind::reduce_scatter}) {
    each_shape(kind, [](const CollectiveShape& shape, std::int64_t n) {
      const bool keeps = shape.algorithm == CollectiveAlgorithm::pairwise;
      std::int64_t longest = 0;
      for (const auto& list : lists_of(shape, n)) {
        for (const CollectiveStep& step : list)
          longest = std::max(longest, step.reduce ? step.receive.size() : 0);
      }
      const auto slots = static_cast<std::int64_t>(keeps ? shape.members - 1 : 1);
      EXPECT_EQ(room_for(shape, n),
                slots * longest * static_cast<std::int64_t>(channel_count(shape)))
          << shape.members << " members, " << n << " elements";
    });
  }
}

std::vector<AlgorithmCase> frugal_cases() {
  std::vector<AlgorithmCase> frugal;
  for (const AlgorithmCase& it : cases()) {
    if (it.algorithm != CollectiveAlgorithm::doubling) frugal.push_back(it);
  }
  return frugal;
}

class Frugal : public Algorithm {};

INSTANTIATE_TEST_SUITE_P(All, Frugal, ::testing::ValuesIn(frugal_cases()),
                         [](const auto& info) { return info.param.name; });

// Summed over the members, every element travels 2 (c - 1) times: c - 1 times to be summed and c -
// 1 times to be spread (Patarasuk and Yuan 2009, section 3). Per member 2 n (c - 1) / c where c
// divides n and members do alike. Members beyond a power of two send and get everything, which
// is no more.
TEST_P(Frugal, SendsAsLittleAsPossible) {
  each_shape(CollectiveKind::all_reduce, [](const CollectiveShape& shape, std::int64_t n) {
    std::int64_t sent = 0;
    for (std::size_t m = 0; m < shape.members; ++m)
      sent += elements_sent(shape, m, n);
    EXPECT_EQ(sent, 2 * (static_cast<std::int64_t>(shape.members) - 1) * n);
  });
}

TEST(Ring, SendsTheSameFromEverywhere) {
  for (std::size_t members = 2; members <= 9; ++members) {
    const auto c = static_cast<std::int64_t>(members);
    for (const auto algorithm :
         {CollectiveAlgorithm::ring, CollectiveAlgorithm::bidirectional_ring})
      EXPECT_EQ(elements_sent({CollectiveKind::all_reduce, algorithm, members}, 1, 20 * c),
                2 * 20 * (c - 1));
  }
}

// Between nodes a member sends what a ring over the nodes does, of the chunk that it has: 2 (N - 1)
// / N of n / G elements.
TEST(Hierarchical, SendsLittleBetweenNodes) {
  const std::size_t near = 4, nodes = 3;
  const std::int64_t n = 240;
  const CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::hierarchical,
                              near * nodes, 0, near};
  for (std::size_t m = 0; m < shape.members; ++m) {
    std::int64_t across = 0;
    for (const CollectiveStep& step : steps_of(shape, m, n))
      across += step.to / near == m / near ? 0 : step.send.size();
    EXPECT_EQ(across, 2 * 2 * n / 3 / 4);
  }
}

TEST(Refusal, SaysWhatAnAlgorithmIsFor) {
  const auto refused = [](CollectiveKind kind, CollectiveAlgorithm algorithm, std::size_t members,
                          std::size_t node_members = 1) {
    return refusal_of({kind, algorithm, members, 1, node_members}).value_or("");
  };
  using enum CollectiveAlgorithm;
  EXPECT_EQ(refused(CollectiveKind::all_gather, doubling, 4), "doubling is for all-reduces");
  EXPECT_EQ(refused(CollectiveKind::reduce_scatter, double_tree, 4),
            "double-tree is for all-reduces");
  EXPECT_EQ(refused(CollectiveKind::all_reduce, hierarchical, 6, 4),
            "6 members are not so many nodes of 4");
  EXPECT_EQ(refused(CollectiveKind::broadcast, pairwise, 4), "broadcasts are by ring");
  EXPECT_EQ(refused(CollectiveKind::reduce_scatter, halving_doubling, 8), "");
  EXPECT_NE(refused(CollectiveKind::reduce_scatter, halving_doubling, 6), "");
}

TEST(CollectiveAlgorithms, AreInOrderAndHaveHelp) {
  const auto rows = collective_algorithms();
  EXPECT_EQ(rows.size(), static_cast<std::size_t>(kLastCollectiveAlgorithm) + 1);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    EXPECT_EQ(to_string(rows[r].algorithm), rows[r].name);
    EXPECT_FALSE(rows[r].help.empty());
    if (r > 0) {
      EXPECT_LT(rows[r - 1].name, rows[r].name);
    }
  }
}

// Every member sends what it has and gets the sum: the switch does the rest.
TEST(InNetwork, SendsEverythingOnce) {
  const CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::in_network, 5};
  const ElementTraffic traffic = traffic_of(shape, 2, 13);
  EXPECT_EQ(traffic.sent, 13);
  EXPECT_EQ(traffic.received, 13);
  EXPECT_EQ(room_for(shape, 13), 0);
}

// What any member sends in the first step in which one sends: in some trees nobody does in the very
// first.
std::int64_t longest_of_first_step(const CollectiveShape& shape, std::int64_t n) {
  std::int64_t longest = 0;
  for (std::size_t step = 0; longest == 0; ++step) {
    for (std::size_t channel = 0; channel < channel_count(shape); ++channel) {
      for (std::size_t m = 0; m < shape.members; ++m) {
        const auto steps = steps_of(shape, m, n, channel);
        if (step < steps.size()) longest = std::max(longest, steps[step].send.size());
      }
    }
  }
  return longest;
}

TEST(FirstRange, IsTheLongestOfTheFirstStep) {
  constexpr std::int64_t n = 1009;
  for (const AlgorithmCase& one : cases()) {
    for (const auto kind :
         {CollectiveKind::all_reduce, CollectiveKind::reduce_scatter, CollectiveKind::all_gather}) {
      for (std::size_t members = 2; members <= 17; ++members) {
        const CollectiveShape shape = one.shape(kind, members);
        if (refusal_of(shape)) continue;
        const std::int64_t longest = longest_of_first_step(shape, n);
        // Each channel of a bidirectional ring has a half of a chunk, and the first of a tree's
        // pieces may be shorter by an element than the others.
        const auto channels = static_cast<std::int64_t>(channel_count(shape));
        const bool is_tree = one.algorithm == CollectiveAlgorithm::double_tree;
        EXPECT_LE(std::abs(first_range(shape, n) - longest * channels),
                  channels - 1 + (is_tree ? 1 : 0))
            << one.name << ' ' << to_string(kind) << ' ' << members;
      }
    }
  }
  EXPECT_EQ(first_range({CollectiveKind::broadcast, CollectiveAlgorithm::ring, 5, 2}, 9), 3);
  EXPECT_EQ(first_range({CollectiveKind::all_reduce, CollectiveAlgorithm::in_network, 5}, 9), 0);
  EXPECT_EQ(first_range({CollectiveKind::all_reduce, CollectiveAlgorithm::ring, 1}, 9), 0);
}

// 10 elements over 4: chunks of 2, 3, 2, 3.
TEST(RoomFor, IsOneChunkOfARingAndOneForEveryOtherMemberInPairs) {
  EXPECT_EQ(room_for({CollectiveKind::all_reduce, CollectiveAlgorithm::ring, 4}, 10), 3);
  EXPECT_EQ(room_for({CollectiveKind::all_reduce, CollectiveAlgorithm::pairwise, 4}, 10), 9);
  EXPECT_EQ(room_for({CollectiveKind::all_gather, CollectiveAlgorithm::pairwise, 4}, 10), 0);
}

// Levels of the core, and one message in and one out for each member beyond it: 8 members in 3
// steps of 3 x 8 messages; 11 in 3 + 2 of 3 x 8 + 3 + 3.
TEST(Doubling, TakesAStepPerBit) {
  constexpr auto kDoubling = CollectiveAlgorithm::doubling;
  const auto messages = [](std::size_t members) {
    std::int64_t sent = 0;
    for (std::size_t m = 0; m < members; ++m)
      sent += elements_sent({CollectiveKind::all_reduce, kDoubling, members}, m, 1);
    return sent;
  };
  EXPECT_EQ(step_count({CollectiveKind::all_reduce, kDoubling, 1}), 0u);
  EXPECT_EQ(step_count({CollectiveKind::all_reduce, kDoubling, 8}), 3u);
  EXPECT_EQ(messages(8), 24);
  EXPECT_EQ(step_count({CollectiveKind::all_reduce, kDoubling, 11}), 5u);
  EXPECT_EQ(messages(11), 30);
  EXPECT_EQ(room_for({CollectiveKind::all_reduce, kDoubling, 11}, 10), 10);
}

// The members from `sources` on have it all in the end; together they have received it once each,
// and no source has sent more than its share of the chunks, which are rounded up.
TEST(Broadcast, BringsWhatTheSourcesHaveToTheOthers) {
  for (std::size_t members = 2; members <= 9; ++members) {
    for (std::size_t sources = 1; sources < members; ++sources) {
      const CollectiveShape shape{CollectiveKind::broadcast, CollectiveAlgorithm::ring, members,
                                  sources};
      const std::size_t receivers = members - sources;
      for (const std::int64_t n : {0, 1, 7, 360}) {
        std::vector<std::int64_t> whole(static_cast<std::size_t>(n));
        std::iota(whole.begin(), whole.end(), 5);
        std::vector<std::vector<std::int64_t>> data(
            members, std::vector<std::int64_t>(static_cast<std::size_t>(n), -1));
        std::fill_n(data.begin(), sources, whole);
        Lists lists;
        std::int64_t sent = 0;
        for (std::size_t m = 0; m < members; ++m) {
          lists.push_back(steps_of(shape, m, n));
          sent += elements_sent(shape, m, n);
          const std::size_t chunks = (receivers + sources - 1) / sources;
          if (m < sources && n % static_cast<std::int64_t>(receivers) == 0) {
            EXPECT_LE(elements_sent(shape, m, n),
                      static_cast<std::int64_t>(chunks) * n / static_cast<std::int64_t>(receivers));
          }
        }
        EXPECT_EQ(sent, static_cast<std::int64_t>(receivers) * n);
        for (const auto& result : play(lists, data))
          EXPECT_EQ(result, whole) << sources << " of " << members;
        for (std::size_t m = 0; m < members; ++m) {
          for (std::size_t s = 0; s < lists[m].size(); ++s) {
            const CollectiveStep& step = lists[m][s];
            if (step.receive.size() > 0) {
              EXPECT_EQ(step.receive, lists[step.from][s].send);
            }
            if (step.send.size() > 0) {
              EXPECT_EQ(step.send, lists[step.to][s].receive);
            }
          }
        }
      }
      EXPECT_EQ(room_for(shape, 10), 0);
    }
  }
}

// A term of a pairwise exchange goes nowhere but to the member whose chunk it is of.
TEST(Pairwise, BringsEveryTermOfAChunkToOneMember) {
  const std::size_t members = 5;
  for (std::size_t m = 0; m < members; ++m) {
    std::set<std::size_t> senders;
    const auto steps =
        steps_of({CollectiveKind::reduce_scatter, CollectiveAlgorithm::pairwise, members}, m, 13);
    for (const CollectiveStep& step : steps) {
      EXPECT_EQ(step.receive, steps.front().receive);
      senders.insert(step.from);
    }
    EXPECT_EQ(senders.size(), members - 1);
    EXPECT_EQ(senders.count(m), 0u);
  }
}

// Leaf by leaf as text: "(0 1)(2 3)" before their sum.
std::string tree(std::size_t n, std::size_t first = 0) {
  std::vector<std::string> sums;
  for (std::size_t k = 0; k < n; ++k)
    sums.push_back(std::to_string(first + k));
  fold_tree(n, [&](std::size_t left, std::size_t right) {
    sums[left] = "(" + sums[left] + " " + sums[right] + ")";
  });
  return sums.front();
}

TEST(FoldTree, HasOneShapeForEveryNumberOfLeaves) {
  EXPECT_EQ(tree(1), "0");
  EXPECT_EQ(tree(3), "((0 1) 2)");
  EXPECT_EQ(tree(6), "(((0 1) (2 3)) (4 5))");
  EXPECT_EQ(tree(8), "(((0 1) (2 3)) ((4 5) (6 7)))");
}

// What lets ranks sum their own leaves first: runs of a power of two are nodes of the whole tree.
TEST(FoldTree, HasAlignedRunsAsNodes) {
  for (std::size_t ranks = 1; ranks <= 7; ++ranks) {
    for (const std::size_t own : {1, 2, 4}) {
      std::vector<std::string> sums;
      for (std::size_t r = 0; r < ranks; ++r)
        sums.push_back(tree(own, r * own));
      fold_tree(ranks, [&](std::size_t left, std::size_t right) {
        sums[left] = "(" + sums[left] + " " + sums[right] + ")";
      });
      EXPECT_EQ(sums.front(), tree(ranks * own)) << ranks << " ranks with " << own;
    }
  }
}

}  // namespace
}  // namespace rehearse
