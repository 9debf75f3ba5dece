#include "model/plan/plan.h"

#include <algorithm>

#include "model/base/check.h"
#include "model/net/tensor.h"
#include "model/net/width.h"

namespace rehearse {

bool is_of_squares(const RankProgram& program, const Op& op) {
  if (!is_collective(op.kind) || op.operands.empty()) return false;
  const std::size_t first = op.operands.front().buffer.index();
  return first < program.buffers.size() && program.buffers[first].kind == BufferKind::squares;
}

CollectiveShape shape_of(const Op& collective, std::size_t members) {
  const Collective& detail = collective_of(collective);
  return {collective_kind(collective.kind),
          detail.algorithm,
          members,
          static_cast<std::size_t>(detail.sources),
          static_cast<std::size_t>(detail.node_members),
          static_cast<std::size_t>(detail.pieces)};
}

Pass pass_of(const RankProgram& program, const Op& op) {
  switch (op.kind) {
    case OpKind::forward:
    case OpKind::recompute: {
      const bool keeps =
          std::any_of(op.operands.begin(), op.operands.end(), [&](const Operand& operand) {
            return program.buffers[operand.buffer.index()].kind == BufferKind::kept;
          });
      return keeps ? Pass::split_forward : Pass::forward;
    }
    case OpKind::backward:
      return Pass::backward;
    case OpKind::backward_input:
      return Pass::backward_input;
    case OpKind::backward_weight:
      return Pass::backward_weight;
    case OpKind::load_batch:
    case OpKind::accumulate:
    case OpKind::clear:
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
    case OpKind::sum_squares:
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step:
      break;
  }
  REHEARSE_UNREACHABLE("no pass");
}

std::int64_t Mesh::size(Axis axis) const {
  switch (axis) {
    case Axis::data:
      return data;
    case Axis::subnetwork:
      return workers;
    case Axis::pipeline:
      return pipeline;
    case Axis::tensor:
      return tensor;
  }
  REHEARSE_UNREACHABLE("axis");
}

std::int64_t shard_offset(const ParameterClass& parameter_class, std::int64_t bucket_begin) {
  const std::int64_t c = parameter_class.holders;
  std::int64_t offset = 0, begin = 0;
  for (const std::int64_t end : parameter_class.buckets) {
    if (begin >= bucket_begin) break;
    offset += (end - begin + c - 1) / c;
    begin = end;
  }
  return offset;
}

std::int64_t shard_elements(const ParameterClass& parameter_class) {
  return shard_offset(parameter_class, parameter_class.elements);
}

ElementRange chunk_of(std::int64_t begin, std::int64_t end, std::size_t members,
                      std::size_t member) {
  const auto c = static_cast<std::int64_t>(members), k = static_cast<std::int64_t>(member);
  return {begin + k * (end - begin) / c, begin + (k + 1) * (end - begin) / c};
}

namespace {

void learn(const RankProgram& program, const Op& op, MicroBatchId micro_batch,
           std::vector<std::optional<MicroBatchId>>& of) {
  for (const Operand& operand : op.operands) {
    auto& known = of[operand.buffer.index()];
    if (!known && is_of_a_micro_batch(program.buffers[operand.buffer.index()].kind))
      known = micro_batch;
  }
}

}  // namespace

std::vector<std::optional<MicroBatchId>> micro_batch_of_buffers(const RankProgram& program) {
  std::vector<std::optional<MicroBatchId>> of(program.buffers.size());
  std::vector<const Op*> exchanges;
  for (const Op& op : program.ops) {
    if (is_pass(op.kind) || op.kind == OpKind::load_batch)
      learn(program, op, compute_of(op).micro_batch, of);
    if (is_collective(op.kind) && !collective_of(op).parameter_class) exchanges.push_back(&op);
  }
  // Rows are scattered from one buffer into another: either may be the one that a pass uses.
  for (const Op* op : exchanges) {
    const auto known =
        std::find_if(op->operands.begin(), op->operands.end(),
                     [&](const Operand& o) { return of[o.buffer.index()].has_value(); });
    if (known != op->operands.end()) learn(program, *op, *of[known->buffer.index()], of);
  }
  return of;
}

std::size_t member_number(const Group& group, RankId rank) {
  const auto found = std::find(group.members.begin(), group.members.end(), rank);
  REHEARSE_CHECK(found != group.members.end(), "rank {} is not a member", rank.value());
  return static_cast<std::size_t>(found - group.members.begin());
}

std::optional<std::size_t> stage_with(const RankProgram& program, SegmentId segment) {
  for (std::size_t s = 0; s < program.stages.size(); ++s) {
    if (program.stages[s].begin <= segment && segment < program.stages[s].end) return s;
  }
  return std::nullopt;
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
const Clear& clear_of(const Op& op) {
  return std::get<Clear>(op.detail);
}
const Accumulate& accumulate_of(const Op& op) {
  return std::get<Accumulate>(op.detail);
}
const Optimize& optimize_of(const Op& op) {
  return std::get<Optimize>(op.detail);
}

bool is_parked(const ParameterClass& parameter_class) {
  return !parameter_class.is_held && !parameter_class.readers;
}

const Group& group_at(const Plan& plan, RankId rank, std::size_t slot) {
  return plan.groups[plan.ranks[rank.index()].groups[slot].index()];
}

const Group& group_of(const Plan& plan, RankId rank, const Op& op) {
  return group_at(plan, rank, collective_of(op).group);
}

std::int64_t global_micro_batch(const Plan& plan, RankId rank, MicroBatchId local) {
  return plan.ranks[rank.index()].first_micro_batch + static_cast<std::int64_t>(local.index());
}

std::int64_t samples_of_loss(const Plan& plan, RankId rank) {
  if (plan.training.reduction == Reduction::exact) return plan.micro_batch_samples;
  return program_of(plan, rank).micro_batches * plan.micro_batch_samples;
}

bool accumulates_exactly(const Training& training, std::int64_t micro_batches) {
  return training.reduction == Reduction::exact && micro_batches > 1;
}

bool adds_to_flat(const Training& training, const RankProgram& program, const ParameterClass& held,
                  MicroBatchId micro_batch) {
  if (held.sharding >= Sharding::gradients) return false;
  return micro_batch == MicroBatchId(0) || !accumulates_exactly(training, program.micro_batches);
}

bool has_local_steps(const Plan& plan) {
  return plan.local_steps > 1;
}

bool copies_agree(const Plan& plan) {
  return !has_local_steps(plan) || plan.synchronises;
}

bool synchronises(const Plan& plan, const ParameterClass& held) {
  return has_local_steps(plan) && plan.synchronises && held.is_held && (held.group || plan.outer);
}

Result<Net> whole_net(const Plan& plan) {
  Result<Net> net = build_net(plan.model);
  if (!net) return net;
  return whole_net(plan, std::move(net).value());
}

namespace {

Result<Net> unsliced(const Plan& plan, const Net& model) {
  Result<Net> net = cut_units(model, plan.units);
  if (net && plan.recomputation == Recomputation::selective) net = recompute_attention(*net);
  return net;
}

}  // namespace

Result<Net> whole_net(const Plan& plan, Net model) {
  if (plan.units.of_width > 1 && plan.mesh.tensor > 1)
    return error("tensor parallelism cuts the widths that the plan's units are parts of");
  Result<Net> net = unsliced(plan, model);
  if (!net || plan.mesh.tensor == 1) return net;
  return shard(*net, plan.mesh.tensor, plan.sequence_parallel);
}

Result<Net> unsliced_net(const Plan& plan) {
  const Result<Net> net = build_net(plan.model);
  if (!net) return net;
  return unsliced(plan, *net);
}

double survival_of(std::size_t unit, const Net& net, double last) {
  const double depth = static_cast<double>(unit + 1) / static_cast<double>(net.units.size());
  return 1 - depth * (1 - last);
}

std::vector<double> branch_scales_at_test(const Plan& plan, const Net& net) {
  std::vector<double> scales(net.units.size(), plan.branch_scale_at_test);
  for (std::size_t unit = 0; plan.survival && unit < scales.size(); ++unit)
    scales[unit] = survival_of(unit, net, *plan.survival);
  return scales;
}

Net net_of(const Plan& plan, const Net& full, const RankProgram& program) {
  if (plan.masking == Masking::backward) return freeze(full, program.subnetwork);
  Net net = restrict(full, program.subnetwork);
  const double scale = program.branch_scale_in_training.value_or(plan.branch_scale_in_training);
  if (scale == 1) return net;
  return scale_branches(net, scale);
}

Net net_of(const Plan& plan, const Net& full, RankId rank) {
  Net net = net_of(plan, full, program_of(plan, rank));
  if (plan.mesh.tensor == 1) return net;
  return slice_of(std::move(net), plan.ranks[rank.index()].slice);
}

}  // namespace rehearse
