#include "model/collective/steps.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <string>

namespace rehearse {
namespace {

using Lists = std::vector<std::vector<CollectiveStep>>;

class AllReduce : public ::testing::TestWithParam<CollectiveAlgorithm> {
 protected:
  static Lists all_members(std::size_t members, std::int64_t n) {
    Lists lists;
    for (std::size_t m = 0; m < members; ++m)
      lists.push_back(steps_of({CollectiveKind::all_reduce, GetParam(), members}, m, n));
    return lists;
  }
};

INSTANTIATE_TEST_SUITE_P(Algorithms, AllReduce,
                         ::testing::Values(CollectiveAlgorithm::ring, CollectiveAlgorithm::pairwise,
                                           CollectiveAlgorithm::doubling),
                         [](const auto& info) { return std::string(to_string(info.param)); });

// Plays the lists on integers, all members in lock step: what is sent in a step was there before
// it.
std::vector<std::vector<std::int64_t>> play(const Lists& lists,
                                            std::vector<std::vector<std::int64_t>> data) {
  for (std::size_t s = 0; s < lists[0].size(); ++s) {
    const auto before = data;
    for (std::size_t m = 0; m < lists.size(); ++m) {
      const CollectiveStep& step = lists[m][s];
      for (std::int64_t e = step.receive.begin; e < step.receive.end; ++e) {
        const auto i = static_cast<std::size_t>(e);
        data[m][i] = before[step.from][i] + (step.reduce ? before[m][i] : 0);
      }
    }
  }
  return data;
}

TEST_P(AllReduce, LeavesTheSumEverywhere) {
  for (std::size_t members = 1; members <= 9; ++members) {
    for (std::int64_t n = 0; n <= 40; ++n) {
      std::vector<std::vector<std::int64_t>> data(
          members, std::vector<std::int64_t>(static_cast<std::size_t>(n)));
      std::vector<std::int64_t> sum(static_cast<std::size_t>(n), 0);
      for (std::size_t m = 0; m < members; ++m) {
        for (std::size_t e = 0; e < sum.size(); ++e) {
          data[m][e] = static_cast<std::int64_t>(1000 * m + e * e);
          sum[e] += data[m][e];
        }
      }
      for (const auto& result : play(all_members(members, n), data))
        EXPECT_EQ(result, sum);
    }
  }
}

TEST_P(AllReduce, ReceivesWhatTheOtherSends) {
  const Lists lists = all_members(5, 13);
  for (std::size_t m = 0; m < lists.size(); ++m) {
    for (std::size_t s = 0; s < lists[m].size(); ++s) {
      const CollectiveStep& step = lists[m][s];
      EXPECT_EQ(step.receive, lists[step.from][s].send) << "member " << m << ", step " << s;
      EXPECT_EQ(lists[step.to][s].from, m);
    }
  }
}

class Chunked : public AllReduce {};

INSTANTIATE_TEST_SUITE_P(Algorithms, Chunked,
                         ::testing::Values(CollectiveAlgorithm::ring,
                                           CollectiveAlgorithm::pairwise),
                         [](const auto& info) { return std::string(to_string(info.param)); });

// Summed over the members, every element travels 2 (c - 1) times: c - 1 times to be summed and c -
// 1 times to be spread (Patarasuk and Yuan 2009, section 3). Per member 2 n (c - 1) / c where c
// divides n.
TEST_P(Chunked, SendsAsLittleAsPossible) {
  for (std::size_t members = 2; members <= 9; ++members) {
    const auto c = static_cast<std::int64_t>(members);
    for (const std::int64_t n : {1, 7, 360, 1009}) {
      std::int64_t sent = 0;
      for (const auto& list : all_members(members, n))
        sent += elements_sent(list);
      EXPECT_EQ(sent, 2 * (c - 1) * n);
    }
    EXPECT_EQ(elements_sent(steps_of({CollectiveKind::all_reduce, GetParam(), members}, 1, 10 * c)),
              2 * 10 * (c - 1));
  }
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
      sent += elements_sent(steps_of({CollectiveKind::all_reduce, kDoubling, members}, m, 1));
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
          sent += elements_sent(lists.back());
          const std::size_t chunks = (receivers + sources - 1) / sources;
          if (m < sources && n % static_cast<std::int64_t>(receivers) == 0) {
            EXPECT_LE(elements_sent(lists.back()),
                      static_cast<std::int64_t>(chunks) * n / static_cast<std::int64_t>(receivers));
          }
        }
        EXPECT_EQ(sent, static_cast<std::int64_t>(receivers) * n);
        for (const auto& result : play(lists, data))
          EXPECT_EQ(result, whole) << sources << " of " << members;
        for (std::size_t m = 0; m < members; ++m) {
          for (std::size_t s = 0; s < lists[m].size(); ++s) {
            EXPECT_EQ(lists[m][s].receive, lists[lists[m][s].from][s].send);
            EXPECT_EQ(lists[m][s].send, lists[lists[m][s].to][s].receive);
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
