// Many messages at once, on whole networks.
#include <algorithm>
#include <numeric>
#include <random>

#include "sim/machine.h"
#include "tests/sim/simulations.h"

namespace rehearse::sim {
namespace {

struct Sent {
  std::size_t from, to;
  std::int64_t bytes;
};

std::vector<Sent> random_messages(std::size_t ranks, int count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Sent> messages;
  for (int i = 0; i < count; ++i) {
    const std::size_t from = random() % ranks;
    const std::size_t to = (from + 1 + random() % (ranks - 1)) % ranks;
    messages.push_back({from, to, 1'000'000 * static_cast<std::int64_t>(1 + random() % 100)});
  }
  return messages;
}

// When each of them arrives; all are sent at once.
std::vector<double> arrivals(const ClusterSpec& spec, const std::vector<Sent>& messages) {
  const Cluster cluster = testing::built(spec);
  Engine engine;
  Machine machine(cluster, {}, engine);
  std::vector<double> times(messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    machine.transfer(RankId(messages[i].from), RankId(messages[i].to),
                     Bytes::bytes(messages[i].bytes),
                     [&times, &engine, i] { times[i] = engine.now().seconds().seconds(); });
  }
  engine.run([&] { machine.settle(); });
  return times;
}

class Messages : public ::testing::TestWithParam<std::uint64_t> {};

// Ports of a switch have no names: whoever is whom, messages arrive when they did. The clock rounds
// every end up to a picosecond, which later ones inherit.
TEST_P(Messages, DoNotDependOnWhoIsWho) {
  constexpr std::size_t kRanks = 24;
  constexpr int kMessages = 200;
  const std::vector<Sent> messages = random_messages(kRanks, kMessages, GetParam());
  std::vector<std::size_t> names(kRanks);
  std::iota(names.begin(), names.end(), 0U);
  std::shuffle(names.begin(), names.end(), std::mt19937_64(GetParam() + 100));
  std::vector<Sent> renamed = messages;
  for (Sent& message : renamed)
    message = {names[message.from], names[message.to], message.bytes};
  const auto before = arrivals(testing::gpus(kRanks), messages);
  const auto after = arrivals(testing::gpus(kRanks), renamed);
  for (std::size_t i = 0; i < messages.size(); ++i)
    EXPECT_NEAR(before[i], after[i], 1e-11 * kMessages) << i;
}

// Wider trunks: no message on a fat tree is late for it in sum. (One of them may be: whom a trunk
// held up it kept out of the way of others.)
TEST_P(Messages, AreNoLaterInSumWhereTrunksAreWider) {
  const std::vector<Sent> messages = random_messages(64, 150, GetParam());
  double last = std::numeric_limits<double>::infinity();
  for (const double oversubscription : {8.0, 4.0, 2.0, 1.0}) {
    const auto times = arrivals(testing::fat_tree(64, 16, oversubscription), messages);
    const double sum = std::accumulate(times.begin(), times.end(), 0.0);
    EXPECT_LE(sum, last);
    last = sum;
  }
}

// Nothing is faster than its own bytes over the slowest link of its way, and the last one is no
// later than all bytes one after the other.
TEST_P(Messages, ArriveWithinTheirBounds) {
  const std::vector<Sent> messages = random_messages(64, 150, GetParam());
  const ClusterSpec spec = testing::fat_tree(64, 16, 4);
  const auto times = arrivals(spec, messages);
  const double bandwidth = spec.network.link.bandwidth.bytes_per_second();
  double all = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const double alone = static_cast<double>(messages[i].bytes) / bandwidth;
    EXPECT_GE(times[i], alone);
    all += alone + 4 * spec.network.link.latency.seconds();
  }
  EXPECT_LE(*std::max_element(times.begin(), times.end()), all);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Messages, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace rehearse::sim
