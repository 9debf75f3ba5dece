#include "cost/closed_form/rank_memory.h"

#include <cmath>
#include <set>

#include "model/schedule/mesh_place.h"

namespace rehearse {
namespace {

// Ranks that one exchanges messages with. wraps: whether ranks have several stages, so that the
// last one's go on on the first.
std::int64_t peers_of(const Mesh& mesh, std::int64_t stage, bool wraps) {
  const MeshPlace own{0, 0, stage, 0};
  std::set<RankId> peers;
  const auto ring = [&](std::int64_t size, std::int64_t MeshPlace::*axis) {
    for (const std::int64_t way : {std::int64_t{1}, size - 1}) {
      MeshPlace other = own;
      other.*axis = (own.*axis + way) % size;
      peers.insert(rank_at(mesh, other));
    }
  };
  ring(mesh.tensor, &MeshPlace::tensor);
  ring(mesh.data, &MeshPlace::data);
  for (const std::int64_t way : {-1, 1}) {
    const std::int64_t next = stage + way;
    if (!wraps && (next < 0 || next >= mesh.pipeline)) continue;
    MeshPlace other = own;
    other.pipeline = (next + mesh.pipeline) % mesh.pipeline;
    peers.insert(rank_at(mesh, other));
  }
  peers.erase(rank_at(mesh, own));
  return static_cast<std::int64_t>(peers.size());
}

}  // namespace

std::int64_t rank_memory(const Device& device, const PlacedRank& placed, std::int64_t live,
                         Bytes stand_ins) {
  const auto rank = static_cast<std::int64_t>(placed.rank);
  const bool counts = device.communicator > Bytes{};
  return rank_memory(device, counts ? peers_of(placed.mesh, rank, placed.wraps) : 0, live,
                     stand_ins);
}

std::int64_t rank_memory(const Device& device, std::int64_t peers, std::int64_t live,
                         Bytes stand_ins) {
  return live + (device.workspace + device.context + stand_ins).bytes() +
         std::llround(device.fragmentation * static_cast<double>(live)) +
         device.communicator.bytes() * peers;
}

// Of the rank with most of it, at least.
std::int64_t least_state(const StrategySpec& strategy, const StrategyPoint& point,
                         const Training& training) {
  const StateSizes sizes = state_sizes(training);
  const auto bytes = [&](Sharding level, std::int64_t each) {
    const bool shards = strategy.sharding >= level;
    return point.net->elements() / (shards ? point.mesh.data * point.mesh.tensor : 1) * each /
           point.mesh.pipeline;
  };
  return bytes(Sharding::parameters, sizes.parameter) + bytes(Sharding::gradients, sizes.gradient) +
         bytes(Sharding::optimizer_state, sizes.optimizer);
}

}  // namespace rehearse
