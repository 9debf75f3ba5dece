#include <algorithm>
#include <set>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

bool stands_on(OpKind kind, LaneKind lane) {
  switch (kind) {
    case OpKind::load_batch:
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::optimizer_step:
      return lane == LaneKind::compute;
    case OpKind::send:
      return lane == LaneKind::send_forward || lane == LaneKind::send_backward;
    case OpKind::receive:
      return lane == LaneKind::receive_forward || lane == LaneKind::receive_backward;
    case OpKind::all_reduce:
      return lane == LaneKind::collective;
  }
  REHEARSE_UNREACHABLE("op kind");
}

bool has_detail_of_kind(const Op& op) {
  switch (op.kind) {
    case OpKind::load_batch:
    case OpKind::forward:
    case OpKind::backward:
      return std::holds_alternative<Compute>(op.detail);
    case OpKind::send:
    case OpKind::receive:
      return std::holds_alternative<Transfer>(op.detail);
    case OpKind::all_reduce:
      return std::holds_alternative<Collective>(op.detail);
    case OpKind::optimizer_step:
      return std::holds_alternative<Optimize>(op.detail);
  }
  REHEARSE_UNREACHABLE("op kind");
}

class ProgramStructure {
 public:
  ProgramStructure(Report& report, std::size_t number)
      : report_(report), number_(number), program_(report.plan.programs[number]) {}

  void run() {
    std::set<LaneKind> lanes(program_.lanes.begin(), program_.lanes.end());
    if (lanes.size() != program_.lanes.size())
      report_.add_program(number_, "two lanes of one kind");
    if (program_.begin >= program_.end) report_.add_program(number_, "it has no segments");
    if (program_.micro_batches < 1) report_.add_program(number_, "it has no micro-batches");
    for (const Buffer& buffer : program_.buffers) {
      const bool known = !buffer.parameter_class ||
                         buffer.parameter_class->index() < program_.parameter_classes.size();
      if (!known) {
        report_.add_program(number_, fmt::format("a buffer of parameter class {}, but there are {}",
                                                 buffer.parameter_class->value(),
                                                 program_.parameter_classes.size()));
      }
    }
    for (std::size_t op = 0; op < program_.ops.size(); ++op)
      check(OpId(op));
  }

 private:
  void check(OpId id) {
    const Op& op = program_.ops[id.index()];
    REHEARSE_CHECK(has_detail_of_kind(op), "op {} of kind {} has another kind's detail", id.value(),
                   to_string(op.kind));
    if (op.lane.index() >= program_.lanes.size()) {
      return report(id, "lane", op.lane.value(), program_.lanes.size());
    }
    const LaneKind lane = program_.lanes[op.lane.index()];
    if (!stands_on(op.kind, lane)) {
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
        return check_compute(id, op.kind, compute_of(op));
      case OpKind::send:
      case OpKind::receive:
        if (op.operands.empty()) report_.add({number_, id}, "it has no buffer");
        return;
      case OpKind::all_reduce:
        return check_collective(id, collective_of(op));
      case OpKind::optimizer_step:
        return check_class(id, optimize_of(op).parameter_class);
    }
  }

  void check_compute(OpId id, OpKind kind, const Compute& compute) {
    if (static_cast<std::int64_t>(compute.micro_batch.index()) >= program_.micro_batches) {
      report(id, "micro-batch", compute.micro_batch.value(),
             static_cast<std::size_t>(program_.micro_batches));
    }
    if (kind == OpKind::load_batch) return;
    const bool inside = program_.begin <= compute.begin && compute.begin < compute.end &&
                        compute.end <= program_.end;
    if (!inside) {
      report_.add({number_, id}, fmt::format("its segments are not among the program's, {}..{}",
                                             program_.begin.value(), program_.end.value()));
    }
  }

  void check_class(OpId id, ParameterClassId parameter_class) {
    if (parameter_class.index() < program_.parameter_classes.size()) return;
    report(id, "parameter class", parameter_class.value(), program_.parameter_classes.size());
  }

  void check_collective(OpId id, const Collective& collective) {
    check_class(id, collective.parameter_class);
    if (collective.parameter_class.index() >= program_.parameter_classes.size()) return;
    const auto& held = program_.parameter_classes[collective.parameter_class.index()];
    if (!held.group) report_.add({number_, id}, "its parameter class has no group");
    const bool inside = collective.begin >= 0 && collective.begin < collective.end &&
                        collective.end <= held.elements;
    if (!inside)
      report_.add({number_, id}, fmt::format("its class has {} elements", held.elements));
    if (collective.divisor < 1) report_.add({number_, id}, "its divisor is below 1");
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
  }
  for (const Op& op : program.ops) {
    const auto* transfer = std::get_if<Transfer>(&op.detail);
    if (transfer != nullptr) slots.peers = std::max(slots.peers, transfer->peer + 1);
  }
  return slots;
}

void check_rank(Report& report, std::size_t r) {
  const RankBinding& rank = report.plan.ranks[r];
  if (rank.program.index() >= report.plan.programs.size()) {
    return report.add_rank(
        r, fmt::format("program {} of {}", rank.program.value(), report.plan.programs.size()));
  }
  const Slots slots = slots_of(report.plan.programs[rank.program.index()]);
  if (rank.peers.size() < slots.peers || rank.groups.size() < slots.groups) {
    report.add_rank(
        r, fmt::format("its program uses {} peers and {} groups, it binds {} and {}", slots.peers,
                       slots.groups, rank.peers.size(), rank.groups.size()));
  }
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

}  // namespace

void check_structure(Report& report) {
  const Plan& plan = report.plan;
  if (plan.mesh.ranks() != static_cast<std::int64_t>(plan.ranks.size())) {
    report.add_mesh(fmt::format("the mesh has {} ranks, the plan binds {}", plan.mesh.ranks(),
                                plan.ranks.size()));
  }
  if (plan.micro_batch_samples < 1) report.add("micro-batches have no samples");
  check_groups(report);
  for (std::size_t p = 0; p < plan.programs.size(); ++p)
    ProgramStructure(report, p).run();
  for (std::size_t r = 0; r < plan.ranks.size(); ++r)
    check_rank(report, r);
}

// Numbers that refer to the network.
void check_net(Report& report, const Net& net) {
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p) {
    const RankProgram& program = report.plan.programs[p];
    if (program.end > end_segment(net)) {
      report.add_program(p, fmt::format("segments up to {}, the network has {}",
                                        program.end.value(), net.segments.size()));
    }
    if (program.subnetwork.holds.size() != net.units.size()) {
      report.add_program(p, fmt::format("it describes {} units, the network has {}",
                                        program.subnetwork.holds.size(), net.units.size()));
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
