// Collectives as a whole, and what members do before their first message.
#include <algorithm>
#include <map>
#include <utility>

#include "model/cluster/spared_latency.h"
#include "sim/machine.h"

namespace rehearse::sim {
namespace {

constexpr double kRoundedUp = 1 + 1e-9;

}  // namespace

Seconds Machine::start_of(RankId rank, Bytes first, const MessageProtocol* protocol) const {
  const Messaging& its = messaging(rank);
  const double passed = static_cast<double>(first.bytes()) / cluster_.speed(rank);
  return (protocol == nullptr ? its.collective : protocol->start) + its.first_per_byte * passed;
}

void Machine::start_collective(RankId rank, Bytes first, const MessageProtocol* protocol,
                               Done done) {
  const Seconds start = start_of(rank, first, protocol);
  if (start <= Seconds{}) return done();
  later(start, std::move(done));
}

void Machine::count_bytes(const Footprint& footprint) {
  for (const Footprint::OnLink& link : footprint.links)
    link_bytes_[link.link.index()] += link.bytes;
}

void Machine::collective_by_price(const Footprint& footprint, Seconds seconds, Done done) {
  count_bytes(footprint);
  for (const Footprint::OnLink& link : footprint.links)
    flows_.cross(link.link, link.bytes);
  flows_.note(flows_.begin(), engine_.now(), after(seconds), 1);
  later(seconds, std::move(done));
}

// One flow whose rate is the share of the collective that is done in a second: it has of the link
// that it needs longest what one message would have.
void Machine::collective(const std::vector<RankId>& ranks, const Footprint& footprint, Done done) {
  count_bytes(footprint);
  const MessageProtocol* protocol = fastest(ranks, footprint);
  auto flow = [this, &ranks, &footprint, protocol, done = std::move(done)]() mutable {
    uses_.clear();
    const double slower = 1 / rate_share(protocol);
    double most = 0, longest = 0;
    for (const Footprint::OnLink& link : footprint.links) {
      uses_.push_back({links_[link.link.index()], slower * link.occupied});
      flows_.cross(link.link, link.bytes);
      most = std::max(most, slower * link.occupied);
      longest = std::max(longest, slower * seconds_on(link));
    }
    for (std::size_t m = 0; m < ranks.size(); ++m) {
      const double seconds = thread_seconds(ranks[m], footprint.members[m]);
      if (seconds > 0) use_thread(ranks[m], seconds);
    }
    if (uses_.empty()) return done();
    for (const RankId rank : ranks)
      set_busy(rank, +1);
    // Of ranks that share no link shares of their threads count, in units of time.
    // Where its messages one after the other take longer than any link is busy with them.
    const double chain = slower * (footprint.chain - footprint.latency).seconds();
    const double bound = chain > kRoundedUp * longest ? 1 / chain : FairShare::kUnbounded;
    begin(1, 1 / (most > 0 ? most : 1), bound, {}, [this, &ranks, done = std::move(done)] {
      for (const RankId rank : ranks)
        set_busy(rank, -1);
      done();
    });
  };
  later(latencies(ranks, footprint, protocol), std::move(flow));
}

// Of all steps, one after the other; on GPUs also what their engines take, in which messages of
// different steps do not overlap.
Seconds Machine::latencies(const std::vector<RankId>& ranks, const Footprint& footprint,
                           const MessageProtocol* protocol) const {
  Seconds longest, slowest, start;
  for (std::size_t m = 0; m < ranks.size(); ++m) {
    const Messaging& own = messaging(ranks[m]);
    longest = std::max(longest, own.latency);
    start = std::max(start, start_of(ranks[m], footprint.first, protocol));
    if (is_cpu()) continue;
    const Footprint::OfMember& member = footprint.members[m];
    const Seconds work =
        own.per_message * static_cast<double>(std::max(member.sends, member.receives)) +
        own.reduce_per_byte * static_cast<double>(member.added.bytes());
    slowest = std::max(slowest, work * (1 / cluster_.speed(ranks[m])));
  }
  const Seconds waits = footprint.latency + longest * static_cast<double>(footprint.steps);
  return start + latency_by(protocol, waits, static_cast<double>(footprint.steps)) + slowest;
}

// Of a CPU rank's thread, for the whole collective.
double Machine::thread_seconds(RankId rank, const Footprint::OfMember& member) const {
  if (!is_cpu()) return 0;
  const Messaging& own = messaging(rank);
  const auto times = [](Seconds each, auto count) {
    return each.seconds() * static_cast<double>(count);
  };
  const double seconds = times(own.per_message, member.sends + member.receives) +
                         times(own.send_per_byte, member.sent.bytes()) +
                         times(own.receive_per_byte, member.received.bytes()) +
                         times(own.reduce_per_byte, member.added.bytes());
  return seconds / cluster_.speed(rank);
}

double Machine::seconds_on(const Footprint::OnLink& link) const {
  return link.occupied / cluster_.links()[link.link.index()].bandwidth.bytes_per_second();
}

bool Machine::has_protocols() const {
  return std::any_of(messaging_.begin(), messaging_.end(),
                     [](const Messaging& messaging) { return !messaging.protocols.empty(); });
}

const MessageProtocol* Machine::fastest(const std::vector<RankId>& ranks,
                                        const Footprint& footprint) {
  const MessageProtocol* best = nullptr;
  const std::vector<MessageProtocol>& protocols = messaging(ranks.front()).protocols;
  if (protocols.empty() || !footprint.has_messages) return best;
  Seconds least = alone(ranks, footprint, best);
  for (const MessageProtocol& protocol : protocols) {
    const Seconds needed = alone(ranks, footprint, &protocol);
    if (needed < least) best = &protocol, least = needed;
  }
  return best;
}

Seconds Machine::alone(const std::vector<RankId>& ranks, const Footprint& footprint) {
  return alone(ranks, footprint, fastest(ranks, footprint));
}

Seconds Machine::alone(const std::vector<RankId>& ranks, const Footprint& footprint,
                       const MessageProtocol* protocol) {
  const double slower = 1 / rate_share(protocol);
  double longest = 0;
  for (const Footprint::OnLink& link : footprint.links)
    longest = std::max(longest, slower * seconds_on(link));
  std::map<std::size_t, std::pair<int, double>> nodes;  // members, seconds of their threads
  for (std::size_t m = 0; m < ranks.size(); ++m) {
    const double seconds = thread_seconds(ranks[m], footprint.members[m]);
    longest = std::max(longest, seconds);
    auto& [members, all] = nodes[cluster_.node_of(ranks[m]).index()];
    ++members;
    all += seconds;
  }
  for (const auto& [node, load] : nodes) {
    if (!is_cpu() || !cores_[node]) continue;
    longest = std::max(longest, load.second / joint_capacity(node, load.first));
  }
  const Seconds chain = (footprint.chain - footprint.latency) * slower;
  return latencies(ranks, footprint, protocol) + std::max(Seconds::seconds(longest), chain);
}

}  // namespace rehearse::sim
