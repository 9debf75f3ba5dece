#include <algorithm>
#include <map>
#include <set>

#include "model/collective/steps.h"
#include "model/plan/happens_before.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

bool reads(Access access) {
  return access != Access::write;
}
bool writes(Access access) {
  return access != Access::read;
}

struct BufferUse {
  OpId op;
  Operand operand;
};

// Allocated by the first user, freed by the last, and no two users race.
class Lifetimes {
 public:
  Lifetimes(Report& report, std::size_t number)
      : report_(report),
        number_(number),
        program_(report.plan.programs[number]),
        before_(program_) {}

  void run() {
    std::vector<std::vector<BufferUse>> uses(program_.buffers.size());
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      std::set<BufferId> seen;
      for (const Operand& operand : program_.ops[op].operands) {
        if (!seen.insert(operand.buffer).second) {
          report_.add({number_, OpId(op)},
                      fmt::format("it names buffer {} twice", operand.buffer.value()));
        }
        uses[operand.buffer.index()].push_back({OpId(op), operand});
      }
    }
    for (std::size_t buffer = 0; buffer < uses.size(); ++buffer) {
      if (is_persistent(program_.buffers[buffer].kind)) {
        check_persistent(buffer, uses[buffer]);
      } else if (!uses[buffer].empty()) {
        check_transient(buffer, uses[buffer]);
      }
    }
  }

 private:
  void check_persistent(std::size_t buffer, const std::vector<BufferUse>& uses) {
    for (const BufferUse& use : uses) {
      if (!use.operand.allocates && !use.operand.frees) continue;
      report_.add({number_, use.op}, fmt::format("buffer {} lives for the whole run", buffer));
    }
  }

  void check_transient(std::size_t buffer, const std::vector<BufferUse>& uses) {
    const auto allocations = std::count_if(uses.begin(), uses.end(),
                                           [](const BufferUse& u) { return u.operand.allocates; });
    const auto frees =
        std::count_if(uses.begin(), uses.end(), [](const BufferUse& u) { return u.operand.frees; });
    if (allocations != 1 || !uses.front().operand.allocates) {
      return report_.add(
          {number_, uses.front().op},
          fmt::format("buffer {} is used before it is allocated, or allocated {} times", buffer,
                      allocations));
    }
    if (frees != 1 || !uses.back().operand.frees) {
      return report_.add(
          {number_, uses.back().op},
          fmt::format("buffer {} is not freed by its last user, or freed {} times", buffer, frees));
    }
    if (reads(uses.front().operand.access)) {
      return report_.add({number_, uses.front().op},
                         fmt::format("it reads buffer {}, which nobody has written", buffer));
    }
    for (std::size_t later = 1; later < uses.size(); ++later) {
      for (std::size_t earlier = 0; earlier < later; ++earlier)
        check_order(buffer, uses[earlier], uses[later]);
    }
  }

  void check_order(std::size_t buffer, const BufferUse& earlier, const BufferUse& later) {
    const bool shares =
        !writes(earlier.operand.access) && !writes(later.operand.access) && !later.operand.frees;
    if (shares || before_(earlier.op, later.op)) return;
    report_.add({number_, later.op}, fmt::format("it uses buffer {} without waiting", buffer),
                {report_.note({number_, earlier.op}, "for this op")});
  }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
  const HappensBefore before_;
};

// The operands are those that the op's work needs, with the right sizes.
class Operands {
 public:
  Operands(Report& report, const Net& full, std::size_t number)
      : report_(report),
        number_(number),
        program_(report.plan.programs[number]),
        net_(net_of(report.plan, full, program_)),
        sizes_(element_sizes(report.plan.training)),
        state_(state_sizes(report.plan.training)) {}

  void run() {
    check_buffer_sizes();
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      at_ = {number_, OpId(op)};
      check(program_.ops[op]);
    }
  }

 private:
  void check_buffer_sizes() {
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
      const std::optional<Bytes> right = size_of_buffer(program_.buffers[b]);
      if (!right || *right == program_.buffers[b].size) continue;
      report_.add_program(number_, fmt::format("buffer {} has {} bytes, its content {}", b,
                                               program_.buffers[b].size.bytes(), right->bytes()));
    }
  }

  std::optional<Bytes> size_of_buffer(const Buffer& buffer) const {
    const auto flat = [&](std::int64_t element) {
      return Bytes::bytes(program_.parameter_classes[buffer.parameter_class->index()].elements *
                          element);
    };
    switch (buffer.kind) {
      case BufferKind::parameters:
        return flat(state_.parameter);
      case BufferKind::gradients:
        return flat(state_.gradient);
      case BufferKind::optimizer_state:
        return flat(state_.optimizer);
      case BufferKind::value:
      case BufferKind::gradient:
        return size_of(net_, *buffer.value, report_.plan.micro_batch_samples, sizes_);
      case BufferKind::saved:
      case BufferKind::scratch:
      case BufferKind::communication:
        return std::nullopt;
    }
    REHEARSE_UNREACHABLE("buffer kind");
  }

  void check(const Op& op) {
    switch (op.kind) {
      case OpKind::load_batch:
        for (const Operand& operand : op.operands)
          check_loaded(operand);
        return;
      case OpKind::forward:
        return check_pass(op, Pass::forward);
      case OpKind::backward:
        return check_pass(op, Pass::backward);
      case OpKind::send:
      case OpKind::receive:
        return check_transfer(op);
      case OpKind::all_reduce:
        return check_collective(op);
      case OpKind::optimizer_step:
        return check_update(op);
    }
  }

  void check_loaded(const Operand& operand) {
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    const bool loaded =
        buffer.kind == BufferKind::value && !net_.values[buffer.value->index()].producer;
    if (!loaded)
      report_.add(at_,
                  fmt::format("buffer {} is not filled from the data set", operand.buffer.value()));
  }

  void check_pass(const Op& op, Pass pass) {
    const Compute& compute = compute_of(op);
    const Lowering work =
        lower(net_, compute.begin, compute.end, pass, report_.plan.micro_batch_samples, sizes_);
    for (const ValueId v : work.reads_values)
      need(op, BufferKind::value, v, Access::read);
    for (const ValueId v : work.writes_values)
      need(op, BufferKind::value, v, Access::write);
    for (const ValueId v : work.reads_gradients)
      need(op, BufferKind::gradient, v, Access::read);
    for (const ValueId v : work.writes_gradients)
      need(op, BufferKind::gradient, v, Access::write);
    need_slab(op, BufferKind::saved, work.saved,
              pass == Pass::forward ? Access::write : Access::read);
    need_slab(op, BufferKind::scratch, work.scratch, Access::write);
    for (const ParameterId parameter : parameters_of(net_, compute.begin, compute.end)) {
      need_class(op, BufferKind::parameters, class_of(parameter), Access::read);
      if (pass == Pass::backward)
        need_class(op, BufferKind::gradients, class_of(parameter), Access::update);
    }
  }

  ParameterClassId class_of(ParameterId parameter) const {
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
      const auto& held = program_.parameter_classes[c].parameters;
      if (std::find(held.begin(), held.end(), parameter) != held.end()) return ParameterClassId(c);
    }
    REHEARSE_UNREACHABLE("parameter without a class");
  }

  // update serves where read or write is needed.
  static bool serves(Access has, Access needed) { return has == needed || has == Access::update; }

  void need(const Op& op, BufferKind kind, ValueId value, Access access) {
    for (const Operand& operand : op.operands) {
      const Buffer& buffer = program_.buffers[operand.buffer.index()];
      if (buffer.kind == kind && buffer.value == value && serves(operand.access, access)) return;
    }
    report_.add(at_, fmt::format("it needs to {} the {} of value {}", to_string(access),
                                 to_string(kind), value.value()));
  }

  void need_slab(const Op& op, BufferKind kind, Bytes size, Access access) {
    if (size == Bytes{}) return;
    for (const Operand& operand : op.operands) {
      const Buffer& buffer = program_.buffers[operand.buffer.index()];
      if (buffer.kind == kind && buffer.size == size && serves(operand.access, access)) return;
    }
    report_.add(at_, fmt::format("it needs to {} a {} buffer of {} bytes", to_string(access),
                                 to_string(kind), size.bytes()));
  }

  void need_class(const Op& op, BufferKind kind, ParameterClassId c, Access access) {
    for (const Operand& operand : op.operands) {
      const Buffer& buffer = program_.buffers[operand.buffer.index()];
      if (buffer.kind == kind && buffer.parameter_class == c && serves(operand.access, access))
        return;
    }
    report_.add(at_, fmt::format("it needs to {} the {} of class {}", to_string(access),
                                 to_string(kind), c.value()));
  }

  void check_transfer(const Op& op) {
    const Operand& operand = op.operands.front();
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    const Access access = op.kind == OpKind::send ? Access::read : Access::write;
    if (operand.access != access || !buffer.value) {
      report_.add(at_, fmt::format("it has to {} a value or a gradient", to_string(access)));
    }
    if (buffer.size == transfer_of(op).bytes) return;
    report_.add(at_, fmt::format("it moves {} bytes of a buffer of {}",
                                 transfer_of(op).bytes.bytes(), buffer.size.bytes()));
  }

  void check_collective(const Op& op) {
    const Collective& detail = collective_of(op);
    need_class(op, BufferKind::gradients, detail.parameter_class, Access::update);
    const auto steps = steps_of(detail.algorithm, 0, members_of(detail), detail.end - detail.begin);
    need_slab(op, BufferKind::communication, Bytes::bytes(longest_receive(steps) * state_.gradient),
              Access::write);
  }

  // All ranks of a program have groups of one size: pairing has compared the members' reductions.
  std::size_t members_of(const Collective& detail) const {
    const auto slot = program_.parameter_classes[detail.parameter_class.index()].group;
    for (const RankBinding& rank : report_.plan.ranks) {
      if (rank.program.index() == number_)
        return report_.plan.groups[rank.groups[*slot].index()].members.size();
    }
    return 2;
  }

  void check_update(const Op& op) {
    const ParameterClassId c = optimize_of(op).parameter_class;
    need_class(op, BufferKind::parameters, c, Access::update);
    need_class(op, BufferKind::gradients, c, Access::read);
    if (state_.optimizer > 0) need_class(op, BufferKind::optimizer_state, c, Access::update);
  }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
  const Net net_;
  const ElementSizes sizes_;
  const StateSizes state_;
  At at_;
};

}  // namespace

void check_buffers(Report& report, const Net& net) {
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p) {
    Lifetimes(report, p).run();
    if (report.ok()) Operands(report, net, p).run();
  }
}

}  // namespace rehearse::verifier
