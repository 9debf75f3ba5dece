#include "model/collective/steps.h"

#include <array>

#include "model/base/check.h"
#include "model/collective/algorithm.h"

namespace rehearse {
namespace {

// Sorted by name.
const std::array<AlgorithmRow, 8>& rows() {
  static const std::array<AlgorithmRow, 8> rows = {
      bidirectional_ring_row(), double_tree_row(), doubling_row(), halving_doubling_row(),
      hierarchical_row(),       in_network_row(),  pairwise_row(), ring_row()};
  return rows;
}

const AlgorithmRow& row_of(CollectiveAlgorithm algorithm) {
  for (const AlgorithmRow& row : rows()) {
    if (row.algorithm == algorithm) return row;
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

// The row of a shape that can be done.
const AlgorithmRow& row_for(const CollectiveShape& shape) {
  REHEARSE_CHECK(shape.members > 0, "a collective of nobody");
  const auto refusal = refusal_of(shape);
  REHEARSE_CHECK(!refusal, "{}", *refusal);
  return row_of(shape.algorithm);
}

}  // namespace

std::string_view to_string(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::all_reduce:
      return "all-reduce";
    case CollectiveKind::reduce_scatter:
      return "reduce-scatter";
    case CollectiveKind::all_gather:
      return "all-gather";
    case CollectiveKind::broadcast:
      return "broadcast";
  }
  REHEARSE_UNREACHABLE("collective kind");
}

std::string_view to_string(CollectiveAlgorithm algorithm) {
  return row_of(algorithm).name;
}

std::vector<CollectiveAlgorithmRow> collective_algorithms() {
  std::vector<CollectiveAlgorithmRow> table;
  for (const AlgorithmRow& row : rows())
    table.push_back({row.algorithm, row.name, row.help});
  return table;
}

std::optional<std::string> refusal_of(const CollectiveShape& shape) {
  return row_of(shape.algorithm).refusal(shape);
}

std::optional<std::string> refuse_all_but_all_reduces(const CollectiveShape& shape) {
  if (shape.kind == CollectiveKind::all_reduce) return std::nullopt;
  return std::string(to_string(shape.algorithm)) + " is for all-reduces";
}

std::optional<std::string> refuse_broadcasts(const CollectiveShape& shape) {
  if (shape.kind != CollectiveKind::broadcast) return std::nullopt;
  return "broadcasts are by ring";
}

std::size_t channel_count(const CollectiveShape& shape) {
  return row_of(shape.algorithm).channels;
}

std::size_t step_count(const CollectiveShape& shape) {
  const AlgorithmRow& row = row_for(shape);
  return shape.members == 1 ? 0 : row.steps(shape);
}

StepLists::StepLists(const CollectiveShape& shape)
    : members_(shape.members), channels_(channel_count(shape)), count_(step_count(shape)) {
  const AlgorithmRow& row = row_for(shape);
  REHEARSE_CHECK(row.make != nullptr, "an {} reduction has no steps", row.name);
  if (members_ > 1) source_ = row.make(shape);
}

CollectiveStep StepLists::step(std::size_t member, std::int64_t n, std::size_t number,
                               std::size_t channel) const {
  REHEARSE_CHECK(member < members_, "member {} of {}", member, members_);
  REHEARSE_CHECK(number < count_, "step {} of {} members", number, members_);
  REHEARSE_CHECK(channel < channels_, "channel {} of {}", channel, channels_);
  return source_->step(member, n, number, channel);
}

std::vector<CollectiveStep> steps_of(const CollectiveShape& shape, std::size_t member,
                                     std::int64_t n, std::size_t channel) {
  const StepLists lists(shape);
  std::vector<CollectiveStep> steps(lists.count());
  for (std::size_t s = 0; s < steps.size(); ++s)
    steps[s] = lists.step(member, n, s, channel);
  return steps;
}

ElementTraffic traffic_of(const CollectiveShape& shape, std::size_t member, std::int64_t n) {
  if (shape.members == 1) return {};
  if (shape.algorithm == CollectiveAlgorithm::in_network) return {n, n};
  const StepLists lists(shape);
  ElementTraffic traffic;
  for (std::size_t channel = 0; channel < lists.channels(); ++channel) {
    for (std::size_t number = 0; number < lists.count(); ++number) {
      const CollectiveStep step = lists.step(member, n, number, channel);
      traffic.sent += step.send.size();
      traffic.received += step.receive.size();
    }
  }
  return traffic;
}

std::int64_t elements_sent(const CollectiveShape& shape, std::size_t member, std::int64_t n) {
  return traffic_of(shape, member, n).sent;
}

std::int64_t room_for(const CollectiveShape& shape, std::int64_t n) {
  const bool adds =
      shape.kind == CollectiveKind::all_reduce || shape.kind == CollectiveKind::reduce_scatter;
  if (!adds || shape.members < 2) return 0;
  const AlgorithmRow& row = row_for(shape);
  return static_cast<std::int64_t>(row.channels) * row.room(shape, n);
}

}  // namespace rehearse
