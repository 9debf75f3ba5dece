#include "cost/memory.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "cost/memory_curve.h"
#include "cost/rank_kinds.h"
#include "model/base/check.h"
#include "model/plan/layout.h"
#include "model/plan/transition.h"

namespace rehearse {
namespace {

Bytes& pool_of(RankMemory& memory, BufferKind kind) {
  switch (kind) {
    case BufferKind::parameters:
    case BufferKind::gathered:
      return memory.parameters;
    case BufferKind::gradients:
    case BufferKind::unreduced:
    case BufferKind::squares:
      return memory.gradients;
    case BufferKind::optimizer_state:
    case BufferKind::outer_state:
      return memory.optimizer_state;
    case BufferKind::value:
    case BufferKind::gradient:
    case BufferKind::saved:
    case BufferKind::kept:
    case BufferKind::deferred:
    case BufferKind::scratch:
      return memory.activations;
    case BufferKind::communication:
      return memory.communication;
  }
  REHEARSE_UNREACHABLE("buffer kind");
}

// The pools at the moment when most is alive.
RankMemory pools_at_peak(const RankProgram& program) {
  const MemoryCurve curve = memory_curve(program);
  RankMemory memory;
  for (const AliveBuffers& alive : curve.alive)
    pool_of(memory, alive.kind) += alive.size;
  memory.arena_live = curve.most();
  return memory;
}

Bytes sum_of(const std::array<Bytes, kOpKindCount>& by_kind) {
  return std::accumulate(by_kind.begin(), by_kind.end(), Bytes{});
}

}  // namespace

RankMemory memory_of(const RankProgram& program, const Device& device) {
  RankMemory memory = pools_at_peak(program);
  memory.arena = lay_out(program).arena;
  memory.workspace = device.workspace;
  memory.context = device.context;
  memory.fragmentation =
      Bytes::bytes(std::llround(device.fragmentation * static_cast<double>(memory.arena.bytes())));
  return memory;
}

bool has_gradient_stand_ins(const ModelSpec& resolved, const Training& training) {
  const auto kernels = resolved.fields.find("kernels");
  const bool is_megatron = kernels != resolved.fields.end() &&
                           kernels->second.front() == static_cast<std::int64_t>(Kernels::megatron);
  return is_megatron && training.gradients.has_value();
}

Bytes gradient_stand_ins(const Net& net, const std::vector<Stage>& stages,
                         const Training& training) {
  std::set<std::vector<std::int64_t>> shapes;
  for (const Stage& stage : stages) {
    for (const ParameterId id : parameters_of(net, stage.begin, stage.end)) {
      const Parameter& parameter = net.parameters[id.index()];
      const Block& block = net.blocks[net.segments[parameter.segment.index()].block.index()];
      if (block.identity_skip && parameter.shape.dims.size() > 1)
        shapes.insert(parameter.shape.dims);
    }
  }
  std::int64_t elements = 0;
  for (const std::vector<std::int64_t>& shape : shapes)
    elements += Shape{shape}.elements();
  return Bytes::bytes(elements * state_sizes(training).parameter);
}

Bytes gradient_stand_ins(const Plan& plan, const RankProgram& program) {
  if (!has_gradient_stand_ins(plan.model, plan.training)) return {};
  const Net net = net_of(plan, *whole_net(plan), program);
  return gradient_stand_ins(net, program.stages, plan.training);
}

std::vector<RankId> peers_of(const Plan& plan, RankId rank) {
  const RankProgram& program = program_of(plan, rank);
  std::set<RankId> peers;
  // By group and kind one list of steps, the one of most elements: it leaves nobody out.
  std::map<std::tuple<std::size_t, CollectiveKind, CollectiveAlgorithm>, std::int64_t> elements;
  for (const Op& op : program.ops) {
    if (op.kind == OpKind::send || op.kind == OpKind::receive)
      peers.insert(plan.ranks[rank.index()].peers[transfer_of(op).peer]);
    // Sums of squares are on the host.
    if (!is_collective(op.kind) || is_of_squares(program, op)) continue;
    const Collective& it = collective_of(op);
    const CollectiveShape shape = shape_of(op, group_of(plan, rank, op).members.size());
    std::int64_t& most = elements[{it.group, shape.kind, shape.algorithm}];
    // What switches add up is no message to a member.
    if (shape.algorithm == CollectiveAlgorithm::in_network || most >= it.end - it.begin) continue;
    most = it.end - it.begin;
    const Group& group = group_of(plan, rank, op);
    for (std::size_t channel = 0; channel < channel_count(shape); ++channel) {
      for (const CollectiveStep& step :
           steps_of(shape, member_number(group, rank), most, channel)) {
        if (step.send.size() > 0) peers.insert(group.members[step.to]);
        if (step.receive.size() > 0) peers.insert(group.members[step.from]);
      }
    }
  }
  return {peers.begin(), peers.end()};
}

namespace {

RankMemory memory_of(const RankProgram& program, const Device& device, bool moves_state) {
  RankMemory memory = memory_of(program, device);
  if (moves_state) memory.carried = carried_by(program);
  return memory;
}

// With kinds and ranks filled in: of ranks of a kind the most.
void count_communicators(const Plan& plan, PlanMemory& memory,
                         const std::function<const Device&(RankId)>& device_of) {
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const Bytes one = device_of(RankId(r)).communicator;
    if (one == Bytes{}) continue;
    Bytes& most = memory.kinds[memory.ranks[r]].communicators;
    most = std::max(most, one * static_cast<std::int64_t>(peers_of(plan, RankId(r)).size()));
  }
}

// With kinds and ranks filled in. A CPU's memory is its node's; a GPU's is its own.
void share_out(PlanMemory& memory, std::int64_t devices_per_node,
               const std::function<const Device&(RankId)>& device_of) {
  for (std::size_t first = 0; first < memory.ranks.size();) {
    const Device& device = device_of(RankId(first));
    const auto sharers =
        static_cast<std::size_t>(device.kind == DeviceKind::cpu ? devices_per_node : 1);
    Bytes shared;
    const std::size_t end = std::min(first + sharers, memory.ranks.size());
    for (std::size_t r = first; r < end; ++r) {
      const Bytes peak = memory.of(RankId(r)).peak();
      memory.peak = std::max(memory.peak, peak);
      shared += peak;
    }
    memory.fits = memory.fits && shared <= device.memory;
    memory.spare.resize(end, (device.memory - shared) / static_cast<std::int64_t>(end - first));
    first = end;
  }
}

}  // namespace

PlanMemory memory_of(const Plan& plan, const Device& device, std::int64_t devices_per_node,
                     bool moves_state) {
  PlanMemory memory;
  for (const RankProgram& program : plan.programs) {
    memory.kinds.push_back(memory_of(program, device, moves_state));
    memory.kinds.back().stand_ins = gradient_stand_ins(plan, program);
  }
  for (const RankBinding& rank : plan.ranks)
    memory.ranks.push_back(rank.program.value());
  const auto device_of = [&](RankId) -> const Device& { return device; };
  count_communicators(plan, memory, device_of);
  share_out(memory, devices_per_node, device_of);
  return memory;
}

PlanMemory memory_of(const Plan& plan, const Cluster& cluster, bool moves_state) {
  PlanMemory memory;
  RankKinds ranks = rank_kinds(plan, cluster);
  for (const RankKind& kind : ranks.kinds) {
    const RankProgram& program = plan.programs[kind.program.index()];
    memory.kinds.push_back(memory_of(program, cluster.numbered_device(kind.device), moves_state));
    memory.kinds.back().stand_ins = gradient_stand_ins(plan, program);
  }
  memory.ranks = std::move(ranks.of_rank);
  const auto device_of = [&](RankId rank) -> const Device& { return cluster.device(rank); };
  count_communicators(plan, memory, device_of);
  share_out(memory, cluster.spec().devices_per_node, device_of);
  return memory;
}

Bytes RankTraffic::total_sent() const {
  return sum_of(sent);
}
Bytes RankTraffic::total_received() const {
  return sum_of(received);
}

RankTraffic traffic_of(const Plan& plan, RankId rank) {
  RankTraffic traffic;
  // The same collective comes again for every micro-batch and layer.
  using Key = std::tuple<OpKind, CollectiveAlgorithm, std::size_t, std::int64_t, std::int64_t,
                         std::int64_t, std::int64_t>;
  std::map<Key, ElementTraffic> known;
  for (const Op& op : program_of(plan, rank).ops) {
    const auto kind = static_cast<std::size_t>(op.kind);
    if (op.kind == OpKind::send) traffic.sent[kind] += transfer_of(op).bytes;
    if (op.kind == OpKind::receive) traffic.received[kind] += transfer_of(op).bytes;
    if (!is_collective(op.kind)) continue;
    const Collective& collective = collective_of(op);
    const Group& group = group_of(plan, rank, op);
    const std::int64_t n = collective.end - collective.begin;
    const auto [entry, is_new] =
        known.try_emplace({op.kind, collective.algorithm, collective.group, collective.sources,
                           collective.node_members, collective.pieces, n});
    if (is_new) {
      entry->second = traffic_of(shape_of(op, group.members.size()), member_number(group, rank), n);
    }
    const ElementTraffic& elements = entry->second;
    traffic.sent[kind] += Bytes::bytes(elements.sent * collective.element_bytes);
    traffic.received[kind] += Bytes::bytes(elements.received * collective.element_bytes);
  }
  return traffic;
}

}  // namespace rehearse
