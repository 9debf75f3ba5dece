#include <array>

#include "model/base/check.h"
#include "model/plan/plan.h"

namespace rehearse {
namespace {

// Rows stand in the order of their kinds.
template <class Row, std::size_t N>
constexpr bool are_in_order(const std::array<Row, N>& rows) {
  for (std::size_t i = 0; i < N; ++i) {
    if (static_cast<std::size_t>(rows[i].kind) != i) return false;
  }
  return true;
}

struct BufferKindRow {
  BufferKind kind;
  std::string_view name;
  bool is_persistent = false, is_of_a_micro_batch = false;
};
constexpr std::array<BufferKindRow, 14> kBufferKinds = {{
    {BufferKind::parameters, "parameters", true, false},
    {BufferKind::gradients, "gradients", true, false},
    {BufferKind::optimizer_state, "optimizer_state", true, false},
    {BufferKind::outer_state, "outer_state", true, false},
    {BufferKind::gathered, "gathered", false, false},
    {BufferKind::unreduced, "unreduced", false, true},
    {BufferKind::value, "value", false, true},
    {BufferKind::gradient, "gradient", false, true},
    {BufferKind::saved, "saved", false, true},
    {BufferKind::kept, "kept", false, true},
    {BufferKind::deferred, "deferred", false, true},
    {BufferKind::squares, "squares", false, false},
    {BufferKind::scratch, "scratch", false, false},
    {BufferKind::communication, "communication", false, false},
}};
static_assert(are_in_order(kBufferKinds));
static_assert(kBufferKinds.back().kind == BufferKind::communication, "the last one there is");

const BufferKindRow& row_of(BufferKind kind) {
  const auto number = static_cast<std::size_t>(kind);
  REHEARSE_CHECK(number < kBufferKinds.size(), "buffer kind {}", number);
  return kBufferKinds[number];
}

enum class OpRole { pass, message, collective, other };
struct OpKindRow {
  OpKind kind;
  std::string_view name;
  OpRole role;
};
constexpr std::array<OpKindRow, kOpKindCount> kOpKinds = {{
    {OpKind::load_batch, "load_batch", OpRole::other},
    {OpKind::forward, "forward", OpRole::pass},
    {OpKind::backward, "backward", OpRole::pass},
    {OpKind::backward_input, "backward_input", OpRole::pass},
    {OpKind::backward_weight, "backward_weight", OpRole::pass},
    {OpKind::recompute, "recompute", OpRole::pass},
    {OpKind::accumulate, "accumulate", OpRole::other},
    {OpKind::clear, "clear", OpRole::other},
    {OpKind::send, "send", OpRole::message},
    {OpKind::receive, "receive", OpRole::message},
    {OpKind::all_reduce, "all_reduce", OpRole::collective},
    {OpKind::reduce_scatter, "reduce_scatter", OpRole::collective},
    {OpKind::all_gather, "all_gather", OpRole::collective},
    {OpKind::broadcast, "broadcast", OpRole::collective},
    {OpKind::sum_squares, "sum_squares", OpRole::other},
    {OpKind::optimizer_step, "optimizer_step", OpRole::other},
    {OpKind::outer_gradient, "outer_gradient", OpRole::other},
    {OpKind::outer_step, "outer_step", OpRole::other},
}};
static_assert(are_in_order(kOpKinds));

const OpKindRow& row_of(OpKind kind) {
  const auto number = static_cast<std::size_t>(kind);
  REHEARSE_CHECK(number < kOpKinds.size(), "op kind {}", number);
  return kOpKinds[number];
}

}  // namespace

std::string_view to_string(BufferKind kind) {
  return row_of(kind).name;
}

bool is_persistent(BufferKind kind) {
  return row_of(kind).is_persistent;
}

bool is_of_a_micro_batch(BufferKind kind) {
  return row_of(kind).is_of_a_micro_batch;
}

bool holds_range(BufferKind kind) {
  return kind == BufferKind::gathered || kind == BufferKind::unreduced;
}

std::string_view to_string(OpKind kind) {
  return row_of(kind).name;
}

bool is_pass(OpKind kind) {
  return row_of(kind).role == OpRole::pass;
}

bool is_collective(OpKind kind) {
  return row_of(kind).role == OpRole::collective;
}

bool is_communication(OpKind kind) {
  return row_of(kind).role == OpRole::message || is_collective(kind);
}

CollectiveKind collective_kind(OpKind kind) {
  REHEARSE_CHECK(is_collective(kind), "{} is no collective", to_string(kind));
  if (kind == OpKind::all_reduce) return CollectiveKind::all_reduce;
  if (kind == OpKind::broadcast) return CollectiveKind::broadcast;
  return kind == OpKind::all_gather ? CollectiveKind::all_gather : CollectiveKind::reduce_scatter;
}

std::string_view to_string(Access access) {
  switch (access) {
    case Access::read:
      return "read";
    case Access::write:
      return "write";
    case Access::update:
      return "update";
  }
  REHEARSE_UNREACHABLE("access");
}

std::string_view to_string(LaneKind kind) {
  switch (kind) {
    case LaneKind::compute:
      return "compute";
    case LaneKind::send_forward:
      return "send_forward";
    case LaneKind::receive_forward:
      return "receive_forward";
    case LaneKind::send_backward:
      return "send_backward";
    case LaneKind::receive_backward:
      return "receive_backward";
    case LaneKind::collective:
      return "collective";
    case LaneKind::gather:
      return "gather";
    case LaneKind::tensor:
      return "tensor";
  }
  REHEARSE_UNREACHABLE("lane kind");
}

std::string_view to_string(Sharding sharding) {
  switch (sharding) {
    case Sharding::none:
      return "none";
    case Sharding::optimizer_state:
      return "optimizer_state";
    case Sharding::gradients:
      return "gradients";
    case Sharding::parameters:
      return "parameters";
  }
  REHEARSE_UNREACHABLE("sharding");
}

std::string_view to_string(Axis axis) {
  switch (axis) {
    case Axis::data:
      return "data";
    case Axis::subnetwork:
      return "subnetwork";
    case Axis::pipeline:
      return "pipeline";
    case Axis::tensor:
      return "tensor";
  }
  REHEARSE_UNREACHABLE("axis");
}

std::string_view to_string(Recomputation recomputation) {
  switch (recomputation) {
    case Recomputation::none:
      return "none";
    case Recomputation::selective:
      return "selective";
    case Recomputation::full:
      return "full";
  }
  REHEARSE_UNREACHABLE("recomputation");
}

std::string_view to_string(Masking masking) {
  switch (masking) {
    case Masking::forward:
      return "forward";
    case Masking::backward:
      return "backward";
  }
  REHEARSE_UNREACHABLE("masking");
}

std::string_view to_string(Averaging averaging) {
  switch (averaging) {
    case Averaging::holders:
      return "holders";
    case Averaging::all:
      return "all";
  }
  REHEARSE_UNREACHABLE("averaging");
}

}  // namespace rehearse
