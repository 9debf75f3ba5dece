#include "exec/message_transport.h"

#include <fmt/format.h>

namespace rehearse::exec {
namespace {

constexpr std::int64_t kBarrierTag = -1, kGatherTag = -2, kBroadcastTag = -3;
static_assert(kBroadcastTag == kControlTag + 1);

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

template <class T>
std::span<std::byte> writable(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

std::span<std::byte> writable(std::string& text) {
  return std::as_writable_bytes(std::span(text));
}

}  // namespace

void wait_all(Transport& transport, std::span<const Request> requests) {
  std::vector<Request> waiting(requests.begin(), requests.end());
  transport.reset_idle();
  while (!waiting.empty()) {
    if (std::erase_if(waiting, [&](Request r) { return transport.test(r); }) == 0) {
      transport.idle();
    } else {
      transport.reset_idle();
    }
  }
}

// The dissemination barrier (Hensgen, Finkel, Manber, 1988): after the round of distance d, a rank
// has heard, directly or not, of the 2 d - 1 ranks before it.
void MessageTransport::barrier() {
  for (std::size_t distance = 1; distance < size(); distance *= 2) {
    const RankId after{(rank().index() + distance) % size()};
    const RankId before{(rank().index() + size() - distance) % size()};
    const Request requests[] = {receive(before, kBarrierTag, {}), send(after, kBarrierTag, {})};
    wait_all(*this, requests);
  }
}

// The length first and then the text: messages of one tag arrive in order.
std::vector<std::string> MessageTransport::gather(const std::string& text) {
  const std::uint64_t length = text.size();
  if (rank() != RankId{0}) {
    const Request requests[] = {send(RankId{0}, kGatherTag, bytes_of(length)),
                                send(RankId{0}, kGatherTag, std::as_bytes(std::span(text)))};
    wait_all(*this, requests);
    return {};
  }
  std::vector<std::uint64_t> lengths(size(), length);
  std::vector<Request> requests;
  for (std::size_t r = 1; r < size(); ++r) {
    requests.push_back(receive(RankId{r}, kGatherTag, writable(lengths[r])));
  }
  wait_all(*this, requests);
  requests.clear();
  std::vector<std::string> texts(size(), text);
  for (std::size_t r = 1; r < size(); ++r) {
    texts[r].assign(lengths[r], ' ');
    requests.push_back(receive(RankId{r}, kGatherTag, writable(texts[r])));
  }
  wait_all(*this, requests);
  return texts;
}

std::string MessageTransport::broadcast(const std::string& text, RankId root) {
  std::uint64_t length = text.size();
  std::vector<Request> requests;
  if (rank() == root) {
    for (std::size_t r = 0; r < size(); ++r) {
      if (RankId{r} == root) continue;
      requests.push_back(send(RankId{r}, kBroadcastTag, bytes_of(length)));
      requests.push_back(send(RankId{r}, kBroadcastTag, std::as_bytes(std::span(text))));
    }
    wait_all(*this, requests);
    return text;
  }
  requests.push_back(receive(root, kBroadcastTag, writable(length)));
  wait_all(*this, requests);
  std::string arrived(length, ' ');
  requests.assign(1, receive(root, kBroadcastTag, writable(arrived)));
  wait_all(*this, requests);
  return arrived;
}

std::string length_mismatch(RankId rank, RankId from, std::int64_t tag, std::int64_t expected,
                            std::int64_t got) {
  return fmt::format("rank {}: receive from rank {}, tag {}: expected {} bytes, got {}",
                     rank.value(), from.value(), tag, expected, got);
}

}  // namespace rehearse::exec
