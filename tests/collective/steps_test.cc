#include "model/collective/steps.h"

#include <gtest/gtest.h>

#include <numeric>

namespace rehearse {
namespace {

using Lists = std::vector<std::vector<CollectiveStep>>;

Lists all_members(std::size_t members, std::int64_t n) {
  Lists lists;
  for (std::size_t m = 0; m < members; ++m)
    lists.push_back(steps_of(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, m, members, n));
  return lists;
}

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

TEST(RingAllReduce, LeavesTheSumEverywhere) {
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

TEST(RingAllReduce, ReceivesWhatTheNeighbourSends) {
  const Lists lists = all_members(5, 13);
  for (std::size_t m = 0; m < lists.size(); ++m) {
    for (std::size_t s = 0; s < lists[m].size(); ++s) {
      const CollectiveStep& step = lists[m][s];
      EXPECT_EQ(step.receive, lists[step.from][s].send) << "member " << m << ", step " << s;
      EXPECT_EQ(lists[step.to][s].from, m);
    }
  }
}

// Summed over the members, every element travels 2 (c - 1) times: c - 1 times to be summed and c -
// 1 times to be spread (Patarasuk and Yuan 2009, section 3). Per member 2 n (c - 1) / c where c
// divides n.
TEST(RingAllReduce, SendsAsLittleAsPossible) {
  for (std::size_t members = 2; members <= 9; ++members) {
    const auto c = static_cast<std::int64_t>(members);
    for (const std::int64_t n : {1, 7, 360, 1009}) {
      std::int64_t sent = 0;
      for (const auto& list : all_members(members, n))
        sent += elements_sent(list);
      EXPECT_EQ(sent, 2 * (c - 1) * n);
    }
    EXPECT_EQ(elements_sent(steps_of(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, 1,
                                     members, 10 * c)),
              2 * 10 * (c - 1));
  }
}

TEST(RingAllReduce, ReceivesChunksOfTheCeiling) {
  // 10 elements over 4: chunks of 2, 3, 2, 3; everybody meets every chunk.
  for (std::size_t m = 0; m < 4; ++m)
    EXPECT_EQ(
        longest_receive(steps_of(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, m, 4, 10)),
        3);
}

}  // namespace
}  // namespace rehearse
