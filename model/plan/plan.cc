#include "model/plan/plan.h"

#include "model/base/check.h"

namespace rehearse {

std::string_view to_string(BufferKind kind) {
  switch (kind) {
    case BufferKind::parameters:
      return "parameters";
    case BufferKind::gradients:
      return "gradients";
    case BufferKind::optimizer_state:
      return "optimizer_state";
    case BufferKind::value:
      return "value";
    case BufferKind::gradient:
      return "gradient";
    case BufferKind::saved:
      return "saved";
    case BufferKind::scratch:
      return "scratch";
    case BufferKind::communication:
      return "communication";
  }
  REHEARSE_UNREACHABLE("buffer kind");
}

bool is_persistent(BufferKind kind) {
  switch (kind) {
    case BufferKind::parameters:
    case BufferKind::gradients:
    case BufferKind::optimizer_state:
      return true;
    case BufferKind::value:
    case BufferKind::gradient:
    case BufferKind::saved:
    case BufferKind::scratch:
    case BufferKind::communication:
      return false;
  }
  REHEARSE_UNREACHABLE("buffer kind");
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

std::string_view to_string(OpKind kind) {
  switch (kind) {
    case OpKind::load_batch:
      return "load_batch";
    case OpKind::forward:
      return "forward";
    case OpKind::backward:
      return "backward";
    case OpKind::send:
      return "send";
    case OpKind::receive:
      return "receive";
    case OpKind::all_reduce:
      return "all_reduce";
    case OpKind::optimizer_step:
      return "optimizer_step";
  }
  REHEARSE_UNREACHABLE("op kind");
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
  }
  REHEARSE_UNREACHABLE("lane kind");
}

bool is_communication(OpKind kind) {
  switch (kind) {
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
      return true;
    case OpKind::load_batch:
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::optimizer_step:
      return false;
  }
  REHEARSE_UNREACHABLE("op kind");
}

const RankProgram& program_of(const Plan& plan, RankId rank) {
  return plan.programs[plan.ranks[rank.index()].program.index()];
}

const Compute& compute_of(const Op& op) {
  return std::get<Compute>(op.detail);
}
const Transfer& transfer_of(const Op& op) {
  return std::get<Transfer>(op.detail);
}
const Collective& collective_of(const Op& op) {
  return std::get<Collective>(op.detail);
}
const Optimize& optimize_of(const Op& op) {
  return std::get<Optimize>(op.detail);
}

const Group& group_of(const Plan& plan, RankId rank, const Op& op) {
  const RankBinding& binding = plan.ranks[rank.index()];
  const RankProgram& program = plan.programs[binding.program.index()];
  const auto& parameter_class =
      program.parameter_classes[collective_of(op).parameter_class.index()];
  REHEARSE_CHECK(parameter_class.group.has_value(), "rank {} reduces a class it holds alone",
                 rank.index());
  return plan.groups[binding.groups[*parameter_class.group].index()];
}

std::int64_t global_micro_batch(const Plan& plan, RankId rank, MicroBatchId local) {
  return plan.ranks[rank.index()].first_micro_batch + static_cast<std::int64_t>(local.index());
}

std::int64_t samples_per_rank(const Plan& plan, RankId rank) {
  return program_of(plan, rank).micro_batches * plan.micro_batch_samples;
}

Net net_of(const Plan& plan, const Net& full, const RankProgram& program) {
  Net net = restrict(full, program.subnetwork);
  if (plan.branch_scale_in_training == 1) return net;
  return scale_branches(net, plan.branch_scale_in_training);
}

}  // namespace rehearse
