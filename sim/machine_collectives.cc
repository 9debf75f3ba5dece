// Collectives as a whole, and what members do before their first message.
#include <algorithm>
#include <map>
#include <utility>

#include "sim/machine.h"

namespace rehearse::sim {
namespace {

constexpr double kRoundedUp = 1 + 1e-9;

}  // namespace

void Machine::start_collective(RankId rank, Done done) {
  const Seconds start = messaging(rank).collective;
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
  later(latencies(ranks, footprint), [this, &ranks, &footprint, done = std::move(done)]() mutable {
    uses_.clear();
    double most = 0, longest = 0;
    for (const Footprint::OnLink& link : footprint.links) {
      uses_.push_back({links_[link.link.index()], link.occupied});
      flows_.cross(link.link, link.bytes);
      most = std::max(most, link.occupied);
      longest = std::max(longest, seconds_on(link));
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
    const double chain = (footprint.chain - footprint.latency).seconds();
    const double bound = chain > kRoundedUp * longest ? 1 / chain : FairShare::kUnbounded;
    begin(1, 1 / (most > 0 ? most : 1), bound, {}, [this, &ranks, done = std::move(done)] {
      for (const RankId rank : ranks)
        set_busy(rank, -1);
      done();
    });
  });
}

// Of all steps, one after the other; on GPUs also what their engines take, in which messages of
// different steps do not overlap.
Seconds Machine::latencies(const std::vector<RankId>& ranks, const Footprint& footprint) const {
  Seconds longest, slowest, launch;
  for (std::size_t m = 0; m < ranks.size(); ++m) {
    const Messaging& own = messaging(ranks[m]);
    longest = std::max(longest, own.latency);
    launch = std::max(launch, own.collective);
    if (is_cpu()) continue;
    const Footprint::OfMember& member = footprint.members[m];
    const Seconds work =
        own.per_message * static_cast<double>(std::max(member.sends, member.receives)) +
        own.reduce_per_byte * static_cast<double>(member.added.bytes());
    slowest = std::max(slowest, work * (1 / cluster_.speed(ranks[m])));
  }
  return launch + footprint.latency + longest * static_cast<double>(footprint.steps) + slowest;
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

Seconds Machine::alone(const std::vector<RankId>& ranks, const Footprint& footprint) {
  double longest = 0;
  for (const Footprint::OnLink& link : footprint.links)
    longest = std::max(longest, seconds_on(link));
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
  const Seconds flow = std::max(Seconds::seconds(longest), footprint.chain - footprint.latency);
  return latencies(ranks, footprint) + flow;
}

}  // namespace rehearse::sim
