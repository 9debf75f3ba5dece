#include "cost/collective_cost.h"

#include <algorithm>
#include <bit>

#include "model/base/check.h"
#include "model/cluster/spared_latency.h"
#include "model/collective/first_range.h"

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

MessageCost exchange_cost(const Device& device, const Path& path, std::int64_t ranks_per_node,
                          const MessageProtocol* protocol) {
  const Messaging& m = device.messaging;
  const double sharing = slowdown(device, ranks_per_node);
  const double messages = device.kind == DeviceKind::gpu ? 1 : 2;
  Path taken = path;
  if (taken.bandwidth) taken.bandwidth = *path.bandwidth * rate_share(protocol);
  return {latency_by(protocol, m.latency + path.latency) + messages * sharing * m.per_message,
          beta(device, taken, sharing * (m.send_per_byte + m.receive_per_byte)),
          sharing * m.reduce_per_byte};
}

Seconds start_seconds(const Device& device, const CollectiveShape& shape, std::int64_t elements,
                      std::int64_t element_bytes, const MessageProtocol* protocol) {
  const Messaging& m = device.messaging;
  const Bytes first = Bytes::bytes(first_range(shape, elements) * element_bytes);
  return (protocol == nullptr ? m.collective : protocol->start) + times(m.first_per_byte, first);
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

// Steps of a collective, each as long as its longest message.
class Steps {
 public:
  Steps(const CollectiveShape& shape, const LevelCosts& costs, std::int64_t element_bytes)
      : members_(shape.members),
        near_(std::max<std::size_t>(1, std::min(shape.node_members, shape.members))),
        costs_(costs),
        element_bytes_(element_bytes) {}

  // Of n elements between neighbours on a node.
  Seconds inside(std::int64_t n, bool adds) const { return step(costs_.node, 1, n, adds); }
  // Between nodes, where so many members of each send at once.
  Seconds across(std::size_t senders, std::int64_t n, bool adds) const {
    return step(costs_.network, senders, n, adds);
  }
  // Between members that are `distance` apart, all at the same time.
  Seconds apart(std::size_t distance, std::int64_t n, bool adds) const {
    if (near_ == members_) return inside(n, adds);
    const bool stays = near_ % (2 * distance) == 0;
    return stays ? inside(n, adds) : across(std::min(distance, near_), n, adds);
  }
  // From each to the next: one of a node leaves it.
  Seconds around(std::int64_t n, bool adds) const {
    if (near_ == members_) return inside(n, adds);
    const Seconds leaves = across(1, n, adds);
    return near_ == 1 ? leaves : std::max(leaves, inside(n, adds));
  }
  std::size_t near() const { return near_; }

 private:
  Seconds step(const MessageCost& cost, std::size_t senders, std::int64_t n, bool adds) const {
    if (n == 0) return {};
    const Bytes bytes = Bytes::bytes(n * element_bytes_);
    const Seconds sent =
        cost.alpha + times(cost.beta_per_byte, bytes) * static_cast<double>(senders);
    return adds ? sent + times(cost.gamma_per_byte, bytes) : sent;
  }

  const std::size_t members_, near_;
  const LevelCosts& costs_;
  const std::int64_t element_bytes_;
};

std::int64_t ceiling(std::int64_t n, std::size_t parts) {
  const auto c = static_cast<std::int64_t>(parts);
  return (n + c - 1) / c;
}

// Halves of an all-reduce: the first adds, the second does not.
template <class Half>
Seconds halves(CollectiveKind kind, const Half& half) {
  switch (kind) {
    case CollectiveKind::all_reduce:
      return half(true) + half(false);
    case CollectiveKind::reduce_scatter:
      return half(true);
    case CollectiveKind::all_gather:
    case CollectiveKind::broadcast:
      return half(false);
  }
  REHEARSE_UNREACHABLE("collective kind");
}

Seconds ring_seconds(const CollectiveShape& shape, const Steps& steps, std::int64_t n) {
  if (shape.kind == CollectiveKind::broadcast) {
    const std::int64_t chunk = ceiling(n, shape.members - shape.sources);
    return static_cast<double>(step_count(shape)) * steps.around(chunk, false);
  }
  const bool two = shape.algorithm == CollectiveAlgorithm::bidirectional_ring;
  const std::int64_t chunk = ceiling(n, shape.members);
  const std::int64_t sent = two ? (chunk + 1) / 2 * 2 : chunk;
  return halves(shape.kind, [&](bool adds) {
    return static_cast<double>(shape.members - 1) * steps.around(sent, adds);
  });
}

Seconds pairwise_seconds(const CollectiveShape& shape, const Steps& steps, std::int64_t n) {
  return halves(shape.kind, [&](bool adds) {
    Seconds sum;
    for (std::size_t distance = 1; distance < shape.members; ++distance)
      sum += steps.apart(distance, ceiling(n, shape.members), adds);
    return sum;
  });
}

// The longest path: of the members beyond the last power of two, in, through the steps, and out;
// the last message is not added to anything.
Seconds folded(const CollectiveShape& shape, const Steps& steps, std::int64_t n, Seconds core) {
  const std::size_t distance = std::bit_floor(shape.members);
  if (distance == shape.members) return core;
  return core + steps.apart(distance, n, true) + steps.apart(distance, n, false);
}

Seconds doubling_seconds(const CollectiveShape& shape, const Steps& steps, std::int64_t n) {
  Seconds core;
  for (std::size_t distance = 1; 2 * distance <= shape.members; distance *= 2)
    core += steps.apart(distance, n, true);
  return folded(shape, steps, n, core);
}

Seconds halving_seconds(const CollectiveShape& shape, const Steps& steps, std::int64_t n) {
  const std::size_t core = std::bit_floor(shape.members);
  const Seconds exchanged = halves(shape.kind, [&](bool adds) {
    Seconds sum;
    for (std::size_t distance = core / 2; distance > 0; distance /= 2)
      sum += steps.apart(distance, ceiling(n, core / distance), adds);
    return sum;
  });
  return folded(shape, steps, n, exchanged);
}

Seconds double_tree_seconds(const CollectiveShape& shape, const Steps& steps, std::int64_t n) {
  const auto one_way = static_cast<double>(step_count(shape)) / 2;
  const std::int64_t piece = ceiling(n - n / 2, shape.pieces);
  const auto step = [&](bool adds) {
    const bool stays = steps.near() == shape.members;
    return stays ? steps.inside(piece, adds)
                 : steps.across(std::min<std::size_t>(2, steps.near()), piece, adds);
  };
  return one_way * (step(true) + step(false));
}

Seconds hierarchical_seconds(const CollectiveShape& shape, const Steps& steps, std::int64_t n) {
  const std::size_t nodes = shape.members / shape.node_members;
  const std::int64_t own = ceiling(n, shape.node_members);
  return static_cast<double>(shape.node_members - 1) *
             (steps.inside(own, true) + steps.inside(own, false)) +
         static_cast<double>(nodes - 1) *
             (steps.across(shape.node_members, ceiling(own, nodes), true) +
              steps.across(shape.node_members, ceiling(own, nodes), false));
}

}  // namespace

Seconds collective_seconds(const CollectiveShape& shape, const LevelCosts& costs,
                           std::int64_t elements, std::int64_t element_bytes) {
  REHEARSE_CHECK(shape.members >= 1 && elements >= 0, "{} elements over {} members", elements,
                 shape.members);
  if (shape.members == 1 || elements == 0) return {};
  const Steps steps(shape, costs, element_bytes);
  switch (shape.algorithm) {
    case CollectiveAlgorithm::ring:
    case CollectiveAlgorithm::bidirectional_ring:
      return ring_seconds(shape, steps, elements);
    case CollectiveAlgorithm::pairwise:
      return pairwise_seconds(shape, steps, elements);
    case CollectiveAlgorithm::doubling:
      return doubling_seconds(shape, steps, elements);
    case CollectiveAlgorithm::halving_doubling:
      return halving_seconds(shape, steps, elements);
    case CollectiveAlgorithm::double_tree:
      return double_tree_seconds(shape, steps, elements);
    case CollectiveAlgorithm::hierarchical:
      return hierarchical_seconds(shape, steps, elements);
    case CollectiveAlgorithm::in_network:
      return steps.around(elements, false);
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

Seconds collective_seconds(const CollectiveShape& shape, const MessageCost& cost,
                           std::int64_t elements, std::int64_t element_bytes) {
  CollectiveShape alike = shape;
  if (shape.algorithm != CollectiveAlgorithm::hierarchical) alike.node_members = shape.members;
  MessageCost network = cost;
  // All members of a node send at once, and each has what it has alone.
  network.beta_per_byte = cost.beta_per_byte / static_cast<double>(shape.node_members);
  const bool shares = shape.algorithm == CollectiveAlgorithm::hierarchical;
  return collective_seconds(alike, {cost, shares ? network : cost}, elements, element_bytes);
}

Seconds all_to_all_seconds(AllToAllAlgorithm algorithm, const MessageCost& cost,
                           std::size_t members, Bytes block) {
  Seconds sum;
  for (std::size_t number = 0; number < step_count(algorithm, members); ++number) {
    const auto blocks = static_cast<std::int64_t>(blocks_sent(algorithm, members, number));
    sum += send_seconds(cost, block * blocks);
  }
  return sum;
}

}  // namespace rehearse
