#include "cost/closed_form/gradient_norm.h"

#include "cost/collective_cost.h"

namespace rehearse {

double norm_seconds(const NearAndFar& ranks, const Training& training, const Device& device) {
  if (!training.optimizer.clip) return -1;
  if (ranks.far.members == 1) return 0;
  const auto numbers = square_numbers(training);
  CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::doubling,
                        ranks.far.members};
  shape.node_members = ranks.node_ranks;
  const Bytes bytes = Bytes::bytes(8 * numbers);
  const auto seconds_by = [&](const MessageProtocol* protocol) {
    const MessageCost far = ranks.far.paths.exchange(device, bytes, protocol);
    const MessageCost near =
        ranks.near.empty() ? far : ranks.near.exchange(device, bytes, protocol);
    return start_seconds(device, shape, numbers, 8, protocol) +
           collective_seconds(shape, LevelCosts{near, far}, numbers, 8);
  };
  return fastest_protocol(device, seconds_by).seconds.seconds();
}

std::int64_t norm_bytes(std::int64_t ranks, const Training& training) {
  if (!training.optimizer.clip) return 0;
  const std::int64_t numbers = square_numbers(training);
  const CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::doubling,
                              static_cast<std::size_t>(ranks)};
  return 8 * numbers + (ranks > 1 ? 8 * room_for(shape, numbers) : 0);
}

}  // namespace rehearse
