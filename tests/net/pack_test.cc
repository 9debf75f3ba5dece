#include "model/net/pack.h"

#include <gtest/gtest.h>

#include "model/base/random.h"

namespace rehearse {
namespace {

TEST(Pack, SharesMemoryBetweenWhatIsNeverAliveTogether) {
  const std::vector<Bytes> sizes = {Bytes::bytes(256), Bytes::bytes(512), Bytes::bytes(256)};
  // 0 and 2 never meet; 1 meets both: the extent is 512 + 256.
  const Packing packing =
      pack(sizes, kAlignment,
           conflicts_by(3, [](std::size_t a, std::size_t b) { return a == 1 || b == 1; }));
  EXPECT_EQ(packing.extent, Bytes::bytes(768));
  EXPECT_EQ(packing.offsets[0], packing.offsets[2]);
}

TEST(Pack, NeverOverlapsWhatConflictsAndNeverBeatsTheLiveSum) {
  Random random(5);
  for (int round = 0; round < 50; ++round) {
    const std::size_t n = 1 + random.below(30);
    std::vector<Bytes> sizes;
    std::vector<std::uint64_t> first, last;
    for (std::size_t i = 0; i < n; ++i) {
      sizes.push_back(Bytes::bytes(static_cast<std::int64_t>(random.below(5000))));
      first.push_back(random.below(20));
      last.push_back(first.back() + random.below(6));
    }
    const auto conflict = [&](std::size_t a, std::size_t b) {
      return first[a] <= last[b] && first[b] <= last[a];
    };
    const Packing packing = pack(sizes, kAlignment, conflicts_by(n, conflict));
    for (std::size_t a = 0; a < n; ++a) {
      EXPECT_EQ(packing.offsets[a].bytes() % 256, 0);
      EXPECT_LE(packing.offsets[a] + sizes[a], packing.extent);
      for (std::size_t b = 0; b < a; ++b) {
        if (!conflict(a, b) || sizes[a] == Bytes() || sizes[b] == Bytes()) continue;
        EXPECT_TRUE(packing.offsets[a] + sizes[a] <= packing.offsets[b] ||
                    packing.offsets[b] + sizes[b] <= packing.offsets[a]);
      }
    }
    for (std::uint64_t t = 0; t < 26; ++t) {
      Bytes live;
      for (std::size_t i = 0; i < n; ++i) {
        if (first[i] <= t && t <= last[i]) live += sizes[i];
      }
      EXPECT_GE(packing.extent, live);
    }
  }
}

}  // namespace
}  // namespace rehearse
