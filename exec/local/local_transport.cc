// Ranks as threads of one process: the strict twin of the MPI transport. A send is done only once
// its receive has been posted, so a plan that needs buffering deadlocks here and not only at scale.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>

#include "exec/local/exchange.h"
#include "exec/local/job.h"
#include "exec/message_transport.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

class LocalTransport final : public MessageTransport {
 public:
  LocalTransport(RankId rank, Exchange& exchange, Job& job)
      : rank_(rank), exchange_(exchange), job_(job) {}

  RankId rank() const override { return rank_; }
  std::size_t size() const override { return exchange_.size(); }

  Request send(RankId to, std::int64_t tag, std::span<const std::byte> bytes) override {
    return post(Side::send, {rank_, to, tag}, {bytes, {}}, bytes.size());
  }

  Request receive(RankId from, std::int64_t tag, std::span<std::byte> bytes) override {
    return post(Side::receive, {from, rank_, tag}, {{}, bytes}, bytes.size());
  }

  bool test(Request request) override {
    job_.check();
    const auto found = pending_.find(request.id);
    REHEARSE_CHECK(found != pending_.end(), "rank {} has no request {} under way", rank_.value(),
                   request.id);
    if (!advance(found->second)) return false;
    pending_.erase(found);
    return true;
  }

  void abort(const std::string& message) override { job_.abort(message); }

  void idle() override {
    job_.check();
    MessageTransport::idle();
  }

  std::size_t under_way() const { return pending_.size(); }

 private:
  struct Memory {
    std::span<const std::byte> source;  // of a send
    std::span<std::byte> target;        // of a receive
  };
  struct Pending {
    Side side;
    Memory memory;
    std::shared_ptr<Message> message;
  };

  Request post(Side side, const Route& route, const Memory& memory, std::size_t length) {
    job_.check();
    check_peer(side, route);
    const Posted posted = exchange_.post(side, route, length);
    if (posted.lengths_differ) {
      const auto ours = static_cast<std::int64_t>(length);
      const auto theirs = static_cast<std::int64_t>(posted.message->length);
      const bool receives = side == Side::receive;
      abort(length_mismatch(route.to, route.from, route.tag, receives ? ours : theirs,
                            receives ? theirs : ours));
    }
    pending_.emplace(++last_id_, Pending{side, memory, posted.message});
    return {last_id_};
  }

  void check_peer(Side side, const Route& route) {
    const RankId peer = side == Side::send ? route.to : route.from;
    if (peer.index() < size()) return;
    abort(fmt::format("rank {}: {} rank {}, tag {}: there are {} ranks", rank_.value(),
                      side == Side::send ? "send to" : "receive from", peer.value(), route.tag,
                      size()));
  }

  // Moves the bytes if it is this side's turn; whether the side is done.
  static bool advance(Pending& pending) {
    Message& message = *pending.message;
    const MessageState state = message.state.load(std::memory_order_acquire);
    if (pending.side == Side::send) {
      if (state != MessageState::matched) return false;
      message.bytes.assign(pending.memory.source.begin(), pending.memory.source.end());
      message.state.store(MessageState::carried, std::memory_order_release);
      return true;
    }
    if (state != MessageState::carried) return false;
    std::copy(message.bytes.begin(), message.bytes.end(), pending.memory.target.begin());
    return true;
  }

  RankId rank_;
  Exchange& exchange_;
  Job& job_;
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t last_id_ = 0;
};

void run_rank(RankId rank, Exchange& exchange, Job& job,
              const std::function<void(Transport&)>& body) {
  LocalTransport transport(rank, exchange, job);
  try {
    body(transport);
  } catch (...) {
    job.fail(std::current_exception());
    return;
  }
  REHEARSE_CHECK(transport.under_way() == 0, "rank {} returned with {} messages under way",
                 rank.value(), transport.under_way());
}

}  // namespace

void run_local(std::size_t n, const std::function<void(Transport&)>& body) {
  Exchange exchange(n);
  Job job;
  {
    std::vector<std::jthread> threads;  // joined at the end of this scope
    threads.reserve(n);
    try {
      for (std::size_t r = 0; r < n; ++r) {
        threads.emplace_back([&, r] { run_rank(RankId{r}, exchange, job, body); });
      }
    } catch (...) {
      // No thread can be had: the ranks that have started would wait for the missing ones.
      job.fail(std::current_exception());
    }
  }
  job.rethrow();
}

}  // namespace rehearse::exec
