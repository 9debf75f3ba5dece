#include <algorithm>
#include <set>

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
    const std::vector<std::vector<BufferUse>> uses = collect_uses();
    for (std::size_t buffer = 0; buffer < uses.size(); ++buffer) {
      if (is_persistent(program_.buffers[buffer].kind)) {
        check_persistent(buffer, uses[buffer]);
      } else if (!uses[buffer].empty()) {
        check_transient(buffer, uses[buffer]);
      }
    }
  }

 private:
  // By buffer, in the order of ops.
  std::vector<std::vector<BufferUse>> collect_uses() {
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
    return uses;
  }

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
    if (program_.buffers[buffer].kind == BufferKind::gradient) check_sum(uses);
  }

  // A gradient is a sum over the value's consumers: complete before anybody takes it, and taken by
  // somebody.
  void check_sum(const std::vector<BufferUse>& uses) {
    const auto takes = [&](const BufferUse& use) {
      return !writes(use.operand.access) ||
             program_.ops[use.op.index()].kind == OpKind::reduce_scatter;
    };
    const auto taker = std::find_if(uses.begin(), uses.end(), takes);
    if (taker == uses.end())
      return report_.add({number_, uses.back().op}, "nobody reads the gradient that it adds to");
    const auto late =
        std::find_if(taker + 1, uses.end(), [&](const BufferUse& use) { return !takes(use); });
    if (late == uses.end()) return;
    report_.add({number_, late->op}, "it adds to a gradient that has been read before",
                {report_.note({number_, taker->op}, "by this op")});
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

}  // namespace

void check_lifetimes(Report& report, std::size_t program) {
  Lifetimes(report, program).run();
}

}  // namespace rehearse::verifier
