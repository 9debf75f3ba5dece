#include "bench/network_ratio/workload.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

namespace rehearse::bench {
namespace {

// Knuth's linear congruential generator (MMIX), of which the upper 31 bits count.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t n) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return (state_ >> 33U) % n;
  }

 private:
  std::uint64_t state_;
};

std::string name_of(const Platform& platform) {
  if (!platform.fat_tree) return fmt::format("star {}", platform.hosts);
  return fmt::format("fat-tree {}:{} {}", platform.fat_tree->hosts_per_leaf,
                     platform.fat_tree->uplinks, platform.hosts);
}

Case random_messages(const Platform& platform, std::size_t count) {
  Case made{fmt::format("{}, {} messages", name_of(platform), count), platform, {}, {}};
  Draws draws(1);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = draws.below(platform.hosts);
    std::size_t to = from;
    while (to == from)
      to = draws.below(platform.hosts);
    made.messages.push_back(
        {from, to, 1'000'000 * static_cast<std::int64_t>(1 + draws.below(100))});
  }
  return made;
}

Case ring(const Platform& platform, bool permuted) {
  Case made{fmt::format("{}, ring{}", name_of(platform), permuted ? " permuted" : ""),
            platform,
            {},
            {},
            permuted};
  made.ring.resize(platform.hosts);
  std::iota(made.ring.begin(), made.ring.end(), 0U);
  Draws draws(7);
  for (std::size_t i = platform.hosts - 1; permuted && i > 0; --i)
    std::swap(made.ring[i], made.ring[draws.below(i + 1)]);
  return made;
}

}  // namespace

std::vector<Case> cases() {
  const Platform star64{64, {}}, star256{256, {}}, star1024{1024, {}};
  const Platform full{256, Platform::FatTree{16, 16}}, quarter64{64, Platform::FatTree{16, 4}},
      quarter{256, Platform::FatTree{16, 4}}, full1024{1024, Platform::FatTree{32, 32}},
      quarter1024{1024, Platform::FatTree{32, 8}};
  return {random_messages(star64, 100),
          random_messages(star256, 1000),
          random_messages(star256, 3000),
          random_messages(star256, 10'000),
          random_messages(full, 1000),
          random_messages(full1024, 3000),
          random_messages(quarter, 1000),
          random_messages(quarter, 3000),
          ring(star64, false),
          ring(star256, false),
          ring(star1024, false),
          ring(quarter64, true),
          ring(quarter, false),
          ring(quarter, true),
          ring(quarter1024, true)};
}

std::int64_t chunk_bytes(const Case& of) {
  return 1'000'000'000 / static_cast<std::int64_t>(of.ring.size());
}

}  // namespace rehearse::bench
