#include <algorithm>

#include "exec/measure/memory.h"
#include "exec/measure/phases.h"
#include "exec/measure/timing.h"

namespace rehearse::exec {
namespace {

constexpr std::int64_t kTag = 0;
constexpr Bytes kSizes[] = {Bytes{},         Bytes::bytes(256), Bytes::kib(1),
                            Bytes::kib(4),   Bytes::kib(16),    Bytes::kib(64),
                            Bytes::kib(256), Bytes::mib(1),     Bytes::mib(4)};

// Enough rounds to be robust, few enough bytes to be quick: both sides must know the number.
std::int64_t rounds_of(Bytes size) {
  return std::clamp<std::int64_t>(Bytes::mib(16).bytes() / std::max<std::int64_t>(size.bytes(), 1),
                                  16, 200);
}

// Time a thread spends in the transport's calls for one message. A poll that finds nothing only
// fills waiting time, so it counts for what it takes beyond the usual such poll: where a transport
// moves large messages piece by piece, polls do the work.
class MessageClock {
 public:
  template <class Call>
  auto post(Call call) {
    const Stopwatch watch;
    const auto request = call();
    busy_ += watch.elapsed();
    return request;
  }

  void wait(Transport& transport, Request request) {
    transport.reset_idle();
    for (;;) {
      const Stopwatch watch;
      const bool done = transport.test(request);
      const Seconds elapsed = watch.elapsed();
      busy_ += elapsed;
      if (done) return;
      empty_polls_.push_back(elapsed);
      transport.idle();
    }
  }

  const std::vector<Seconds>& empty_polls() const { return empty_polls_; }
  Seconds busy(Seconds empty_poll) const {
    return std::max(busy_ - empty_poll * static_cast<double>(empty_polls_.size()), Seconds{});
  }

 private:
  Seconds busy_;
  std::vector<Seconds> empty_polls_;
};

struct Round {
  Seconds duration;
  MessageClock send, receive;
};

// There and back. The receive is posted first, as in plans, so that the message never waits for it.
Round ping(Transport& transport, RankId peer, std::span<std::byte> out, std::span<std::byte> in) {
  Round round;
  const Stopwatch watch;
  const Request back = round.receive.post([&] { return transport.receive(peer, kTag, in); });
  const Request there = round.send.post([&] { return transport.send(peer, kTag, out); });
  round.send.wait(transport, there);
  round.receive.wait(transport, back);
  round.duration = watch.elapsed();
  return round;
}

void pong(Transport& transport, RankId peer, std::span<std::byte> out, std::span<std::byte> in) {
  MessageClock unused;
  unused.wait(transport, transport.receive(peer, kTag, in));
  unused.wait(transport, transport.send(peer, kTag, out));
}

MessageSample summarize(Bytes size, std::int64_t pairs, const std::vector<Round>& rounds) {
  std::vector<Seconds> empty_polls, durations, sends, receives;
  for (const Round& round : rounds) {
    for (const MessageClock* clock : {&round.send, &round.receive}) {
      empty_polls.insert(empty_polls.end(), clock->empty_polls().begin(),
                         clock->empty_polls().end());
    }
  }
  const Seconds empty_poll = empty_polls.empty() ? Seconds{} : median(empty_polls);
  for (const Round& round : rounds) {
    durations.push_back(round.duration);
    sends.push_back(round.send.busy(empty_poll));
    receives.push_back(round.receive.busy(empty_poll));
  }
  return {size,  quiet_median(durations), quiet_median(sends), quiet_median(receives),
          pairs, some_of(durations)};
}

// Ranks 2 p and 2 p + 1 of the first `pairs` pairs; the others rest.
std::vector<MessageSample> play(Transport& transport, std::int64_t pairs) {
  std::vector<MessageSample> samples;
  const std::size_t rank = transport.rank().index();
  const RankId peer(rank ^ 1u);
  const Slab out(host_device(), Bytes::mib(4)), in(host_device(), Bytes::mib(4));
  for (const Bytes size : kSizes) {
    transport.barrier();
    if (rank >= static_cast<std::size_t>(2 * pairs)) continue;
    const auto length = static_cast<std::size_t>(size.bytes());
    const auto from = out.bytes().first(length), into = in.bytes().first(length);
    std::vector<Round> rounds;
    for (std::int64_t r = 0; r < rounds_of(size); ++r) {
      if (rank % 2 == 0) {
        rounds.push_back(ping(transport, peer, from, into));
      } else {
        pong(transport, peer, from, into);
      }
    }
    if (rank == 0) samples.push_back(summarize(size, pairs, rounds));
  }
  transport.barrier();
  return samples;
}

}  // namespace

std::vector<MessageSample> measure_messages(Transport& transport) {
  const auto pairs = static_cast<std::int64_t>(transport.size() / 2);
  if (pairs == 0) return {};
  std::vector<MessageSample> samples = play(transport, 1);
  if (pairs == 1) return samples;
  const std::vector<MessageSample> crowded = play(transport, pairs);
  samples.insert(samples.end(), crowded.begin(), crowded.end());
  return samples;
}

}  // namespace rehearse::exec
