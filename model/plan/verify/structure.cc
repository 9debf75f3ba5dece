#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

bool stands_on(const RankProgram& program, const Op& op, LaneKind lane) {
  const auto is_of = [&](LaneKind of_class) {
    const bool of_gradients = collective_of(op).parameter_class || is_of_squares(program, op);
    return lane == (of_gradients ? of_class : LaneKind::tensor);
  };
  switch (op.kind) {
    case OpKind::load_batch:
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::backward_input:
    case OpKind::backward_weight:
    case OpKind::recompute:
    case OpKind::accumulate:
    case OpKind::clear:
    case OpKind::sum_squares:
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step:
      return lane == LaneKind::compute;
    case OpKind::send:
      return lane == LaneKind::send_forward || lane == LaneKind::send_backward;
    case OpKind::receive:
      return lane == LaneKind::receive_forward || lane == LaneKind::receive_backward;
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::broadcast:
      return is_of(LaneKind::collective);
    case OpKind::all_gather:
      return is_of(LaneKind::collective) || is_of(LaneKind::gather);
  }
  REHEARSE_UNREACHABLE("op kind");
}

bool is_between_stages(LaneKind lane) {
  switch (lane) {
    case LaneKind::send_forward:
    case LaneKind::receive_forward:
    case LaneKind::send_backward:
    case LaneKind::receive_backward:
      return true;
    case LaneKind::compute:
    case LaneKind::collective:
    case LaneKind::gather:
    case LaneKind::tensor:
      return false;
  }
  REHEARSE_UNREACHABLE("lane kind");
}

bool has_detail_of_kind(const Op& op) {
  switch (op.kind) {
    case OpKind::load_batch:
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::backward_input:
    case OpKind::backward_weight:
    case OpKind::recompute:
      return std::holds_alternative<Compute>(op.detail);
    case OpKind::send:
    case OpKind::receive:
      return std::holds_alternative<Transfer>(op.detail);
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
      return std::holds_alternative<Collective>(op.detail);
    case OpKind::accumulate:
      return std::holds_alternative<Accumulate>(op.detail);
    case OpKind::clear:
      return std::holds_alternative<Clear>(op.detail);
    case OpKind::sum_squares:
      return std::holds_alternative<SumSquares>(op.detail);
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step:
      return std::holds_alternative<Optimize>(op.detail);
  }
  REHEARSE_UNREACHABLE("op kind");
}

class ProgramStructure {
 public:
  ProgramStructure(Report& report, std::size_t number)
      : report_(report), number_(number), program_(report.plan.programs[number]) {}

  void run() {
    const std::set<Lane> lanes(program_.lanes.begin(), program_.lanes.end());
    if (lanes.size() != program_.lanes.size())
      report_.add_program(number_, "two lanes of one kind and stage");
    // Ops that work on one class, or meet over one group, are in order by their lane.
    for (const Lane& lane : program_.lanes) {
      if (is_between_stages(lane.kind) || lane.stage == StageId(0)) continue;
      report_.add_program(number_, fmt::format("a {} lane of stage {}: a rank has one of them",
                                               to_string(lane.kind), lane.stage.value()));
    }
    check_stages();
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c)
      check_sharding(c);
    check_micro_batches();
    for (std::size_t b = 0; b < program_.buffers.size(); ++b)
      check_buffer(b);
    for (std::size_t op = 0; op < program_.ops.size(); ++op)
      check(OpId(op));
  }

 private:
  void check_stages() {
    if (program_.stages.empty()) report_.add_program(number_, "it has no stages");
    for (std::size_t s = 0; s < program_.stages.size(); ++s) {
      const Stage& stage = program_.stages[s];
      if (stage.begin >= stage.end)
        report_.add_program(number_, fmt::format("stage {} has no segments", stage.number.value()));
      if (s == 0) continue;
      const Stage& before = program_.stages[s - 1];
      if (before.number >= stage.number || before.end > stage.begin) {
        report_.add_program(number_, fmt::format("stage {} does not come after stage {}",
                                                 stage.number.value(), before.number.value()));
      }
    }
  }

  // Every micro-batch has ops of its own, if only to pass it on.
  void check_micro_batches() {
    if (program_.micro_batches < 1) report_.add_program(number_, "it has no micro-batches");
    if (program_.micro_batches <= static_cast<std::int64_t>(program_.ops.size())) return;
    report_.add_program(number_, fmt::format("{} micro-batches, but {} ops", program_.micro_batches,
                                             program_.ops.size()));
  }

  void check_sharding(std::size_t c) {
    const ParameterClass& held = program_.parameter_classes[c];
    const bool masks_backward = report_.plan.masking == Masking::backward;
    if (held.readers && !masks_backward)
      report_.add_program(number_, fmt::format("class {} has readers, but what is not held is "
                                               "absent: its masking is forward",
                                               c));
    if (is_parked(held) && masks_backward)
      report_.add_program(number_, fmt::format("class {} is only read, but has no readers", c));
    if (!held.is_held && (held.group || held.sharding != Sharding::none))
      report_.add_program(number_, fmt::format("class {} is {}, but has holders' group or shards",
                                               c, held.readers ? "only read" : "parked"));
    if (is_parked(held) && held.holders != 0)
      report_.add_program(number_,
                          fmt::format("class {} is parked, but has {} holders", c, held.holders));
    if (held.sharding == Sharding::none) {
      if (!held.buckets.empty())
        report_.add_program(number_, fmt::format("class {} has buckets, but is not sharded", c));
      return;
    }
    const bool ascending =
        std::is_sorted(held.buckets.begin(), held.buckets.end(), std::less_equal<std::int64_t>());
    const bool whole =
        !held.buckets.empty() && held.buckets.front() > 0 && held.buckets.back() == held.elements;
    if (!held.group || !ascending || !whole) {
      report_.add_program(
          number_,
          fmt::format("class {} is sharded, but {}", c,
                      held.group ? "its buckets do not make up the whole of it" : "has no group"));
    }
  }

  void check_buffer(std::size_t b) {
    const Buffer& buffer = program_.buffers[b];
    const bool of_value = buffer.kind == BufferKind::value || buffer.kind == BufferKind::gradient;
    const bool of_class = is_persistent(buffer.kind) || holds_range(buffer.kind);
    if (of_value != buffer.value.has_value() || of_class != buffer.parameter_class.has_value()) {
      return report_.add_program(number_,
                                 fmt::format("buffer {} ({}) has {}", b, to_string(buffer.kind),
                                             of_value   ? "no value, or a parameter class"
                                             : of_class ? "no parameter class, or a value"
                                                        : "a value or a parameter class"));
    }
    if (!of_class) return;
    const std::size_t classes = program_.parameter_classes.size();
    if (buffer.parameter_class->index() >= classes) {
      return report_.add_program(number_,
                                 fmt::format("a buffer of parameter class {}, but there are {}",
                                             buffer.parameter_class->value(), classes));
    }
    const auto& held = program_.parameter_classes[buffer.parameter_class->index()];
    const bool reads = buffer.kind == BufferKind::parameters || buffer.kind == BufferKind::gathered;
    const bool waits = is_parked(held) && (buffer.kind == BufferKind::optimizer_state ||
                                           buffer.kind == BufferKind::outer_state);
    if (!reads && !waits && !held.is_held)
      report_.add_program(
          number_,
          fmt::format("a buffer of {} of class {}, which is {}", to_string(buffer.kind),
                      buffer.parameter_class->value(), held.readers ? "only read" : "parked"));
    if (!holds_range(buffer.kind)) return;
    if (buffer.begin < 0 || buffer.begin >= buffer.end || buffer.end > held.elements)
      report_.add_program(number_, fmt::format("a buffer of elements {}..{} of {}", buffer.begin,
                                               buffer.end, held.elements));
  }

  void check(OpId id) {
    const Op& op = program_.ops[id.index()];
    REHEARSE_CHECK(has_detail_of_kind(op), "op {} of kind {} has another kind's detail", id.value(),
                   to_string(op.kind));
    if (op.lane.index() >= program_.lanes.size()) {
      return report(id, "lane", op.lane.value(), program_.lanes.size());
    }
    const LaneKind lane = program_.lanes[op.lane.index()].kind;
    if (!stands_on(program_, op, lane)) {
      report_.add({number_, id},
                  fmt::format("it stands on lane {} ({})", op.lane.value(), to_string(lane)));
    }
    for (const OpId before : op.after) {
      if (before >= id)
        report_.add({number_, id}, fmt::format("it waits for op {}, which does not stand before it",
                                               before.value()));
    }
    for (const Operand& operand : op.operands) {
      if (operand.buffer.index() < program_.buffers.size()) continue;
      report(id, "buffer", operand.buffer.value(), program_.buffers.size());
    }
    check_detail(id, op);
  }

  void check_detail(OpId id, const Op& op) {
    switch (op.kind) {
      case OpKind::load_batch:
      case OpKind::forward:
      case OpKind::backward:
      case OpKind::backward_input:
      case OpKind::backward_weight:
      case OpKind::recompute:
        return check_compute(id, op.kind, compute_of(op));
      case OpKind::send:
      case OpKind::receive:
        if (op.operands.empty()) report_.add({number_, id}, "it has no buffer");
        return;
      case OpKind::all_reduce:
      case OpKind::reduce_scatter:
      case OpKind::all_gather:
      case OpKind::broadcast:
        if (op.operands.empty()) report_.add({number_, id}, "it has no buffer");
        if (moves_weights(op) && collective_of(op).divisor != 1)
          report_.add({number_, id}, "it moves weights, and divides");
        if (op.kind != OpKind::all_reduce && is_all_reduces_only(op))
          report_.add({number_, id}, "only an all-reduce is of squares, or by doubling");
        return check_collective(id, op);
      case OpKind::accumulate:
        return check_accumulate(id, op);
      case OpKind::clear:
        return check_clear(id, clear_of(op));
      case OpKind::sum_squares:
        return;
      case OpKind::optimizer_step:
      case OpKind::outer_gradient:
      case OpKind::outer_step:
        return check_class(id, optimize_of(op).parameter_class);
    }
  }

  static bool moves_weights(const Op& op) {
    return op.kind == OpKind::all_gather || op.kind == OpKind::broadcast;
  }

  bool is_all_reduces_only(const Op& op) const {
    return is_of_squares(program_, op) ||
           collective_of(op).algorithm == CollectiveAlgorithm::doubling;
  }

  void check_compute(OpId id, OpKind kind, const Compute& compute) {
    if (static_cast<std::int64_t>(compute.micro_batch.index()) >= program_.micro_batches) {
      report(id, "micro-batch", compute.micro_batch.value(),
             static_cast<std::size_t>(program_.micro_batches));
    }
    if (kind == OpKind::load_batch) return;
    const bool inside =
        std::any_of(program_.stages.begin(), program_.stages.end(), [&](const Stage& stage) {
          return stage.begin <= compute.begin && compute.begin < compute.end &&
                 compute.end <= stage.end;
        });
    if (!inside) report_.add({number_, id}, "its segments are not all of one stage of the program");
  }

  void check_class(OpId id, ParameterClassId parameter_class) {
    if (parameter_class.index() < program_.parameter_classes.size()) return;
    report(id, "parameter class", parameter_class.value(), program_.parameter_classes.size());
  }

  void check_accumulate(OpId id, const Op& op) {
    const Accumulate& it = accumulate_of(op);
    if (op.operands.size() != 2) report_.add({number_, id}, "it does not add one sum to another");
    if (it.divisor < 1) report_.add({number_, id}, "its divisor is below 1");
    check_range(id, it.parameter_class, it.begin, it.end);
  }

  void check_clear(OpId id, const Clear& it) {
    if (!report_.plan.survival)
      report_.add({number_, id}, "everything runs in every step: there is nothing to clear");
    check_range(id, it.parameter_class, it.begin, it.end);
  }

  void check_range(OpId id, ParameterClassId c, std::int64_t begin, std::int64_t end) {
    if (begin < 0 || begin >= end) report_.add({number_, id}, "it has no elements");
    check_class(id, c);
    if (c.index() >= program_.parameter_classes.size()) return;
    const std::int64_t elements = program_.parameter_classes[c.index()].elements;
    if (end > elements)
      report_.add({number_, id}, fmt::format("its class has {} elements", elements));
  }

  void check_collective(OpId id, const Op& op) {
    const Collective& collective = collective_of(op);
    const bool broadcasts = op.kind == OpKind::broadcast;
    if (collective.divisor < 1) report_.add({number_, id}, "its divisor is below 1");
    if (collective.element_bytes < 1) report_.add({number_, id}, "its elements have no bytes");
    if (!broadcasts && collective.sources != 0)
      report_.add({number_, id}, "only a broadcast has sources");
    if (broadcasts &&
        (!collective.parameter_class || collective.algorithm != CollectiveAlgorithm::ring))
      return report_.add({number_, id}, "a broadcast is of a class, and by ring");
    if (!collective.parameter_class) {
      if (collective.begin < 0 || collective.begin >= collective.end)
        report_.add({number_, id}, "it has no elements");
      return;
    }
    check_range(id, *collective.parameter_class, collective.begin, collective.end);
    if (collective.parameter_class->index() >= program_.parameter_classes.size()) return;
    const auto& held = program_.parameter_classes[collective.parameter_class->index()];
    if ((broadcasts ? held.readers : held.group) != collective.group)
      report_.add({number_, id}, "its group is not its class's");
    if (broadcasts && collective.sources != held.holders)
      report_.add({number_, id}, fmt::format("{} members send, but its class has {} holders",
                                             collective.sources, held.holders));
  }

  void report(OpId id, std::string_view what, std::uint32_t number, std::size_t count) {
    report_.add({number_, id}, fmt::format("{} {} of {}", what, number, count));
  }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
};

void check_groups(Report& report) {
  for (std::size_t g = 0; g < report.plan.groups.size(); ++g) {
    const auto& members = report.plan.groups[g].members;
    if (members.size() < 2) report.add_group(g, "it has fewer than two members");
    const std::set<RankId> distinct(members.begin(), members.end());
    if (distinct.size() != members.size()) report.add_group(g, "a rank is in it twice");
    for (const RankId rank : members) {
      if (rank.index() < report.plan.ranks.size()) continue;
      report.add_group(g, fmt::format("rank {} of {}", rank.value(), report.plan.ranks.size()));
    }
  }
}

// The peer and group slots that a program uses.
struct Slots {
  std::size_t peers = 0, groups = 0;
};

Slots slots_of(const RankProgram& program) {
  Slots slots;
  for (const ParameterClass& held : program.parameter_classes) {
    if (held.group) slots.groups = std::max(slots.groups, *held.group + 1);
    if (held.readers) slots.groups = std::max(slots.groups, *held.readers + 1);
  }
  for (const Op& op : program.ops) {
    const auto* transfer = std::get_if<Transfer>(&op.detail);
    if (transfer != nullptr) slots.peers = std::max(slots.peers, transfer->peer + 1);
    const auto* collective = std::get_if<Collective>(&op.detail);
    if (collective != nullptr) slots.groups = std::max(slots.groups, collective->group + 1);
  }
  return slots;
}

template <class Id>
bool are_distinct(std::vector<Id> ids) {
  std::sort(ids.begin(), ids.end());
  return std::adjacent_find(ids.begin(), ids.end()) == ids.end();
}

void check_rank(Report& report, std::size_t r, const std::vector<Slots>& needed) {
  const RankBinding& rank = report.plan.ranks[r];
  if (rank.program.index() >= report.plan.programs.size()) {
    return report.add_rank(
        r, fmt::format("program {} of {}", rank.program.value(), report.plan.programs.size()));
  }
  const Slots& slots = needed[rank.program.index()];
  if (rank.peers.size() < slots.peers || rank.groups.size() < slots.groups) {
    report.add_rank(
        r, fmt::format("its program uses {} peers and {} groups, it binds {} and {}", slots.peers,
                       slots.groups, rank.peers.size(), rank.groups.size()));
  }
  if (!are_distinct(rank.peers) || !are_distinct(rank.groups))
    report.add_rank(r, "it binds a peer or a group twice");
  if (rank.first_micro_batch < 0 || rank.first_micro_batch >= report.plan.training.batch) {
    report.add_rank(r, fmt::format("micro-batch {} of a batch of {} samples",
                                   rank.first_micro_batch, report.plan.training.batch));
  }
  if (rank.slice < 0 || rank.slice >= report.plan.mesh.tensor)
    report.add_rank(r, fmt::format("slice {} of {}", rank.slice, report.plan.mesh.tensor));
  for (const RankId peer : rank.peers) {
    if (peer.index() >= report.plan.ranks.size() || peer.index() == r) {
      report.add_rank(r, fmt::format("its peer is rank {}", peer.value()));
    }
  }
  for (const GroupId group : rank.groups) {
    if (group.index() >= report.plan.groups.size()) {
      report.add_rank(r, fmt::format("group {} of {}", group.value(), report.plan.groups.size()));
      continue;
    }
    const auto& members = report.plan.groups[group.index()].members;
    if (std::find(members.begin(), members.end(), RankId(r)) == members.end()) {
      report.add_rank(r, fmt::format("it is not a member of its group {}", group.value()));
    }
  }
}

// What a shard has of a class depends on the number of its holders.
void check_group_sizes(Report& report) {
  const Plan& plan = report.plan;
  std::vector<std::vector<std::size_t>> sizes;
  for (std::size_t p = 0; p < plan.programs.size(); ++p) {
    sizes.push_back(group_sizes(plan, p));
    const bool runs =
        std::any_of(plan.ranks.begin(), plan.ranks.end(),
                    [&](const RankBinding& binding) { return binding.program.index() == p; });
    if (!runs) report.add_program(p, "no rank runs it");
  }
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankBinding& rank = plan.ranks[r];
    const auto& expected = sizes[rank.program.index()];
    for (const ParameterClass& held : plan.programs[rank.program.index()].parameter_classes) {
      if (!held.is_held) continue;
      const std::size_t members =
          held.group ? plan.groups[rank.groups[*held.group].index()].members.size() : 1;
      if (static_cast<std::int64_t>(members) == held.holders) continue;
      report.add_rank(r, fmt::format("a class of its program has {} holders, its group {} members",
                                     held.holders, members));
    }
    for (std::size_t slot = 0; slot < std::min(rank.groups.size(), expected.size()); ++slot) {
      const std::size_t members = plan.groups[rank.groups[slot].index()].members.size();
      if (members == expected[slot]) continue;
      report.add_rank(r,
                      fmt::format("its group {} has {} members, another rank's of its program {}",
                                  rank.groups[slot].value(), members, expected[slot]));
    }
  }
}

void check_mesh(Report& report) {
  const Mesh& mesh = report.plan.mesh;
  const auto bound = static_cast<std::int64_t>(report.plan.ranks.size());
  std::vector<std::int64_t> sizes;
  std::int64_t ranks = 1;  // as far as they are no more than are bound: four sizes may overflow
  for (const Axis axis : mesh.order) {
    sizes.push_back(mesh.size(axis));
    if (ranks <= bound) ranks *= std::min(sizes.back(), bound + 1);
  }
  if (ranks == bound && ranks > 0) return;
  report.add_mesh(
      fmt::format("the mesh has {} ranks, the plan binds {}", fmt::join(sizes, " x "), bound));
}

}  // namespace

void check_structure(Report& report) {
  const Plan& plan = report.plan;
  check_mesh(report);
  check_local_steps(report);
  check_depth(report);
  if (plan.micro_batch_samples < 1 || plan.micro_batch_samples > plan.training.batch) {
    report.add_micro_batch(fmt::format("{} samples per micro-batch of a batch of {}",
                                       plan.micro_batch_samples, plan.training.batch));
  }
  check_groups(report);
  for (std::size_t p = 0; p < plan.programs.size(); ++p)
    ProgramStructure(report, p).run();
  std::vector<Slots> slots;
  for (const RankProgram& program : plan.programs)
    slots.push_back(slots_of(program));
  for (std::size_t r = 0; r < plan.ranks.size(); ++r)
    check_rank(report, r, slots);
  if (report.ok()) check_group_sizes(report);
}

std::vector<std::size_t> group_sizes(const Plan& plan, std::size_t program) {
  std::vector<std::size_t> sizes;
  const auto rank =
      std::find_if(plan.ranks.begin(), plan.ranks.end(),
                   [&](const RankBinding& binding) { return binding.program.index() == program; });
  if (rank == plan.ranks.end()) return sizes;
  for (const GroupId group : rank->groups)
    sizes.push_back(plan.groups[group.index()].members.size());
  return sizes;
}

// A width needs one of its units on every rank, or its sum would have no terms.
void check_widths_held(Report& report, std::size_t program, const Net& net) {
  if (report.plan.masking == Masking::backward) return;  // all of it runs everywhere
  const std::vector<bool>& holds = report.plan.programs[program].subnetwork.holds;
  std::set<std::size_t> widths, held;
  for (std::size_t u = 0; u < net.units.size(); ++u) {
    if (!net.units[u].width) continue;
    widths.insert(*net.units[u].width);
    if (holds[u]) held.insert(*net.units[u].width);
  }
  if (held.size() == widths.size()) return;
  report.add_program(program, fmt::format("it holds units of {} of the {} widths: one of each is "
                                          "needed",
                                          held.size(), widths.size()));
}

// Numbers that refer to the network.
void check_net(Report& report, const Net& net) {
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p) {
    const RankProgram& program = report.plan.programs[p];
    if (program.stages.back().end > end_segment(net)) {
      report.add_program(p, fmt::format("segments up to {}, the network has {}",
                                        program.stages.back().end.value(), net.segments.size()));
    }
    if (program.subnetwork.holds.size() != net.units.size()) {
      report.add_program(p, fmt::format("it describes {} units, the network has {}",
                                        program.subnetwork.holds.size(), net.units.size()));
    } else {
      check_widths_held(report, p, net);
    }
    for (const Buffer& buffer : program.buffers) {
      if (!buffer.value || buffer.value->index() < net.values.size()) continue;
      report.add_program(p, fmt::format("a buffer of value {}, the network has {}",
                                        buffer.value->value(), net.values.size()));
    }
    for (const ParameterClass& held : program.parameter_classes) {
      for (const ParameterId parameter : held.parameters) {
        if (parameter.index() < net.parameters.size()) continue;
        report.add_program(p, fmt::format("parameter {}, the network has {}", parameter.value(),
                                          net.parameters.size()));
      }
    }
  }
}

}  // namespace rehearse::verifier
