#include "cost/collective_cost.h"

#include <algorithm>
#include <bit>

#include "model/base/check.h"

namespace rehearse {
namespace {

Seconds times(Seconds per_byte, Bytes bytes) {
  return per_byte * static_cast<double>(bytes.bytes());
}

// How much slower each of so many busy threads of a node is than one alone.
double slowdown(const Device& device, std::int64_t busy) {
  if (device.kind == DeviceKind::gpu || device.capacity.empty()) return 1;
  const std::size_t last = std::min(device.capacity.size(), static_cast<std::size_t>(busy)) - 1;
  return std::max(1.0, static_cast<double>(busy) / device.capacity[last]);
}

// threads: seconds per byte if threads did it all.
Seconds beta(const Device& device, const Path& path, Seconds threads) {
  const Seconds wire = path.bandwidth ? Bytes::bytes(1) / *path.bandwidth : Seconds{};
  return device.kind == DeviceKind::gpu ? wire : std::max(wire, threads);
}

}  // namespace

MessageCost message_cost(const Device& device, const Path& path) {
  const Messaging& m = device.messaging;
  const double sharing = path.bandwidth ? 1 : slowdown(device, 2);
  const Seconds longer = std::max(m.send_per_byte, m.receive_per_byte);
  // Two threads on the cores of a node get at most capacity(2) = 2 / sharing of a core's time.
  const Seconds together =
      (m.send_per_byte + m.receive_per_byte) * (path.bandwidth ? 0.0 : sharing / 2);
  return {m.latency + path.latency + m.per_message * sharing,
          beta(device, path, std::max(longer, together)), m.reduce_per_byte};
}

MessageCost exchange_cost(const Device& device, const Path& path, std::int64_t ranks_per_node) {
  const Messaging& m = device.messaging;
  const double sharing = slowdown(device, ranks_per_node);
  const double messages = device.kind == DeviceKind::gpu ? 1 : 2;
  return {m.latency + path.latency + messages * sharing * m.per_message,
          beta(device, path, sharing * (m.send_per_byte + m.receive_per_byte)),
          sharing * m.reduce_per_byte};
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

namespace {

// The longest path: of the members beyond the last power of two, in, through the steps, and out;
// the last message is not added to anything.
Seconds doubling_seconds(const MessageCost& cost, std::size_t members, Bytes bytes) {
  if (members == 1 || bytes == Bytes{}) return {};
  const std::size_t steps =
      step_count({CollectiveKind::all_reduce, CollectiveAlgorithm::doubling, members});
  const std::size_t sums = steps - (std::has_single_bit(members) ? 0 : 1);
  return static_cast<double>(steps) * send_seconds(cost, bytes) +
         static_cast<double>(sums) * times(cost.gamma_per_byte, bytes);
}

}  // namespace

Seconds all_reduce_seconds(CollectiveAlgorithm algorithm, const MessageCost& cost,
                           std::size_t members, std::int64_t elements, std::int64_t element_bytes) {
  switch (algorithm) {
    case CollectiveAlgorithm::ring:
    case CollectiveAlgorithm::pairwise:  // as many messages, of the same chunks
      return ring_all_reduce_seconds(cost, members, elements, element_bytes);
    case CollectiveAlgorithm::doubling:
      return doubling_seconds(cost, members, Bytes::bytes(elements * element_bytes));
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

}  // namespace rehearse
