#include "cost/collective_cost.h"

#include "model/base/check.h"

namespace rehearse {
namespace {

Seconds times(Seconds per_byte, Bytes bytes) { return per_byte * static_cast<double>(bytes.bytes()); }

}  // namespace

MessageCost message_cost(const Messaging& messaging) {
  return {messaging.latency + 2.0 * messaging.per_message,
          messaging.send_per_byte + messaging.receive_per_byte, messaging.reduce_per_byte};
}

MessageCost message_cost(const Messaging& messaging, Seconds path_latency,
                         BytesPerSecond path_bandwidth) {
  MessageCost cost = message_cost(messaging);
  cost.alpha += path_latency;
  cost.beta_per_byte += Bytes::bytes(1) / path_bandwidth;
  return cost;
}

Seconds send_seconds(const MessageCost& cost, Bytes bytes) {
  return cost.alpha + times(cost.beta_per_byte, bytes);
}

Seconds ring_all_reduce_seconds(const MessageCost& cost, std::size_t members, std::int64_t elements,
                                std::int64_t element_bytes) {
  REHEARSE_CHECK(members >= 1 && elements >= 0, "{} elements over {} members", elements, members);
  if (members == 1 || elements == 0) return {};
  const auto c = static_cast<std::int64_t>(members);
  const Bytes chunk = Bytes::bytes((elements + c - 1) / c * element_bytes);
  const auto steps = static_cast<double>(c - 1);
  return 2 * steps * send_seconds(cost, chunk) + steps * times(cost.gamma_per_byte, chunk);
}

Seconds all_reduce_seconds(CollectiveAlgorithm algorithm, const MessageCost& cost, std::size_t members,
                           std::int64_t elements, std::int64_t element_bytes) {
  switch (algorithm) {
    case CollectiveAlgorithm::ring:
      return ring_all_reduce_seconds(cost, members, elements, element_bytes);
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

}  // namespace rehearse
