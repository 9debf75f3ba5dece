#include <algorithm>
#include <map>
#include <set>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// Under forward masking a unit that nobody holds is parked: its weights stand on one rank (of every
// slice), and no op knows of them. What is held is nowhere parked.
class Parked {
 public:
  Parked(Report& report, const Net& net) : report_(report), plan_(report.plan), net_(net) {}

  void run() {
    for (std::size_t p = 0; p < plan_.programs.size(); ++p) {
      for (std::size_t c = 0; c < plan_.programs[p].parameter_classes.size(); ++c) {
        if (is_parked(plan_.programs[p].parameter_classes[c])) check_class(p, ParameterClassId(c));
      }
    }
    if (!report_.ok()) return;
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r)
      collect(r);
    for (const ParameterId parameter : parameters_of(net_, SegmentId(0), end_segment(net_))) {
      if (net_.parameters[parameter.index()].unit) check_place(parameter);
    }
  }

 private:
  using Key = std::pair<ParameterId, std::int64_t>;  // and slice

  // Its weights, and at most its optimizers' state, all of them, which nobody uses.
  void check_class(std::size_t p, ParameterClassId c) {
    const RankProgram& program = plan_.programs[p];
    const std::int64_t elements = program.parameter_classes[c.index()].elements;
    const StateSizes sizes = state_sizes(plan_.training);
    std::map<BufferKind, int> buffers;
    for (const Buffer& buffer : program.buffers) {
      if (buffer.parameter_class != c) continue;
      const std::int64_t element = buffer.kind == BufferKind::parameters ? sizes.parameter
                                   : buffer.kind == BufferKind::outer_state
                                       ? outer_state_bytes(plan_.training, plan_.outer)
                                       : sizes.optimizer;
      const Bytes whole = Bytes::bytes(elements * element);
      const bool is_persistent = ++buffers[buffer.kind] == 1 && !holds_range(buffer.kind);
      if (is_persistent && buffer.size == whole) continue;
      return report_.add_program(
          p, fmt::format("parked class {} has a buffer of {} with {} bytes: all of its weights are "
                         "kept once, and of its optimizers' state",
                         c.value(), to_string(buffer.kind), buffer.size.bytes()));
    }
    if (buffers.count(BufferKind::parameters) == 0)
      report_.add_program(p, fmt::format("parked class {} has no weights", c.value()));
    check_untouched(p, c);
  }

  void check_untouched(std::size_t p, ParameterClassId c) {
    const RankProgram& program = plan_.programs[p];
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      const auto& operands = program.ops[op].operands;
      const bool touches =
          std::any_of(operands.begin(), operands.end(), [&](const Operand& operand) {
            return program.buffers[operand.buffer.index()].parameter_class == c;
          });
      if (!touches) continue;
      report_.add({p, OpId(op)}, fmt::format("it uses class {}, which is parked", c.value()));
    }
  }

  void collect(std::size_t r) {
    const RankBinding& rank = plan_.ranks[r];
    const bool is_new = seen_.insert({rank.program, rank.slice}).second;
    for (const ParameterClass& own : program_of(plan_, RankId(r)).parameter_classes) {
      for (const ParameterId parameter : own.parameters) {
        if (is_parked(own)) keepers_[{parameter, rank.slice}].push_back(r);
        if (own.is_held && is_new) held_.insert({parameter, rank.slice});
      }
      // What is only read has holders (check_readers).
    }
  }

  void check_place(ParameterId parameter) {
    if (plan_.masking == Masking::backward) return;
    const std::string& name = net_.parameters[parameter.index()].name;
    for (std::int64_t slice = 0; slice < plan_.mesh.tensor; ++slice) {
      const bool is_held = held_.count({parameter, slice}) > 0;
      const auto found = keepers_.find({parameter, slice});
      const std::size_t keepers = found == keepers_.end() ? 0 : found->second.size();
      if (keepers == (is_held ? 0 : 1)) continue;
      if (keepers == 0)
        return report_.add_mesh(
            fmt::format("parameter {} ({}) is lost: nobody holds it, and it is parked nowhere",
                        parameter.value(), name));
      const std::size_t last = found->second.back();
      if (is_held)
        return report_.add_rank(last, fmt::format("parameter {} ({}) is parked here, and held",
                                                  parameter.value(), name));
      return report_.add_rank(last, fmt::format("parameter {} ({}) is parked here and on rank {}",
                                                parameter.value(), name, found->second.front()));
    }
  }

  Report& report_;
  const Plan& plan_;
  const Net& net_;
  std::set<std::pair<RankClassId, std::int64_t>> seen_;  // programs, by slice
  std::set<Key> held_;
  std::map<Key, std::vector<std::size_t>> keepers_;  // ranks
};

}  // namespace

void check_parked(Report& report, const Net& net) {
  Parked(report, net).run();
}

}  // namespace rehearse::verifier
