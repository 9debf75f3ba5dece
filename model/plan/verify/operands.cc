#include "model/plan/verify/needs.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// The operands are those that the op's work needs, and no others.
class Operands {
 public:
  Operands(Report& report, const Net& net, std::size_t number)
      : report_(report),
        number_(number),
        program_(report.plan.programs[number]),
        net_(net),
        needs_(report.plan, net, number) {}

  void run() {
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      at_ = {number_, OpId(op)};
      check(program_.ops[op]);
    }
  }

 private:
  void check(const Op& op) {
    if (op.kind == OpKind::load_batch) {
      for (const Operand& operand : op.operands)
        check_loaded(operand);
      return;
    }
    if (op.kind == OpKind::send || op.kind == OpKind::receive) return check_transfer(op);
    if (is_collective(op.kind)) check_element_bytes(op);
    compare(op, needs_.of(op));
  }

  void check_loaded(const Operand& operand) {
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    const bool loaded = operand.access == Access::write && buffer.kind == BufferKind::value &&
                        !net_.values[buffer.value->index()].producer;
    if (!loaded)
      report_.add(at_,
                  fmt::format("buffer {} is not filled from the data set", operand.buffer.value()));
  }

  void check_transfer(const Op& op) {
    const Operand& operand = op.operands.front();
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    const Access access = op.kind == OpKind::send ? Access::read : Access::write;
    const bool carried = buffer.kind == BufferKind::value || buffer.kind == BufferKind::gradient;
    if (operand.access != access || !carried || op.operands.size() != 1) {
      report_.add(at_, fmt::format("it has to {} a value or a gradient", to_string(access)));
    }
    if (op.kind == OpKind::receive && !operand.allocates)
      report_.add(at_, fmt::format("it overwrites buffer {}", operand.buffer.value()));
    const std::int64_t moved = transfer_of(op).bytes.bytes();
    if (moved == buffer.size.bytes() || is_share(moved, buffer.size.bytes())) return;
    report_.add(at_,
                fmt::format("it moves {} bytes of a buffer of {}", moved, buffer.size.bytes()));
  }

  // Whether the ranks of all slices, which have it alike, move a part each of it: whole elements.
  bool is_share(std::int64_t moved, std::int64_t whole) const {
    const Plan& plan = report_.plan;
    const std::int64_t element = element_sizes(plan.training).activation_bytes;
    return !plan.sequence_parallel && moved % element == 0 && moved * plan.mesh.tensor == whole;
  }

  void check_element_bytes(const Op& op) {
    const std::int64_t bytes = collective_of(op).element_bytes;
    const auto right = needs_.element_bytes(op);
    if (right && *right != bytes)
      report_.add(at_, fmt::format("its elements have {} bytes, not {}", *right, bytes));
  }

  // Every need has its operand, and every operand is there for a need.
  void compare(const Op& op, const std::vector<Need>& needs) {
    std::vector<bool> wanted(op.operands.size(), false);
    for (const Need& need : needs) {
      bool served = false;
      for (std::size_t k = 0; k < op.operands.size(); ++k) {
        if (!serves(op.operands[k], need)) continue;
        // Parameters of one bucket are needed one by one; whatever else is there once.
        if (wanted[k] && !holds_range(need.kind)) continue;
        wanted[k] = served = true;
        break;
      }
      if (!served)
        report_.add(at_, fmt::format("it needs to {} {}", to_string(need.access), describe(need)));
    }
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      if (wanted[k]) continue;
      report_.add(at_,
                  fmt::format("it has no reason to {} buffer {}", to_string(op.operands[k].access),
                              op.operands[k].buffer.value()));
    }
  }

  bool serves(const Operand& operand, const Need& need) const {
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    // Whoever is first to add to a micro-batch's gradients writes them.
    const bool begins = need.kind == BufferKind::unreduced && operand.allocates;
    if (buffer.kind != need.kind || operand.access != (begins ? Access::write : need.access))
      return false;
    if (buffer.value != need.value && need.value) return false;
    if (need.parameter_class && buffer.parameter_class != need.parameter_class) return false;
    if (holds_range(need.kind)) {
      if (buffer.begin > need.begin || buffer.end < need.end) return false;
      if (need.exactly && (buffer.begin < need.begin || buffer.end > need.end)) return false;
    }
    return !need.size || buffer.size == *need.size;
  }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
  const Net& net_;
  Needs needs_;
  At at_;
};

}  // namespace

void check_operands(Report& report, const Net& net, std::size_t program) {
  Operands(report, net, program).run();
}

}  // namespace rehearse::verifier
