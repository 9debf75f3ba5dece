#include <algorithm>

#include "model/base/check.h"
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

// Numbers that an op names are there, on a lane of its kind.
class OpStructure {
 public:
  OpStructure(Report& report, std::size_t number)
      : report_(report), number_(number), program_(report.plan.programs[number]) {}

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

 private:
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

}  // namespace

void check_ops(Report& report, std::size_t program) {
  OpStructure structure(report, program);
  for (std::size_t op = 0; op < report.plan.programs[program].ops.size(); ++op)
    structure.check(OpId(op));
}

}  // namespace rehearse::verifier
