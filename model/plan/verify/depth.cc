// Stochastic depth: a rank holds all units and runs some; to the gradients of the others it adds
// zeros, which it writes itself.
#include <algorithm>
#include <map>
#include <set>

#include "model/plan/happens_before.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

class Clears {
 public:
  Clears(Report& report, const Net& net, std::size_t number, const HappensBefore& before)
      : report_(report),
        net_(net),
        number_(number),
        program_(report.plan.programs[number]),
        before_(before) {}

  void run() {
    for (const Stage& stage : program_.stages) {
      const auto used = parameters_of(net_, stage.begin, stage.end);
      used_.insert(used.begin(), used.end());
    }
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      if (program_.ops[id].kind == OpKind::clear)
        clears_[clear_of(program_.ops[id]).parameter_class].emplace_back(id);
    }
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c)
      check(ParameterClassId(c));
  }

 private:
  // Element by element, parameters decide.
  void check(ParameterClassId c) {
    std::int64_t begin = 0;
    for (const ParameterId parameter : program_.parameter_classes[c.index()].parameters) {
      const std::int64_t end = begin + net_.parameters[parameter.index()].shape.elements();
      const bool runs = used_.count(parameter) > 0;
      std::int64_t cleared = 0;
      for (const OpId id : clears_[c]) {
        const Clear& it = clear_of(program_.ops[id.index()]);
        const std::int64_t common = std::min(end, it.end) - std::max(begin, it.begin);
        if (common <= 0) continue;
        cleared += common;
        if (runs)
          report_.add({number_, id}, fmt::format("it clears gradients of parameter {}, which runs",
                                                 parameter.value()));
      }
      if (!runs && cleared != end - begin)
        report_.add_program(
            number_,
            fmt::format("parameter {} does not run, and {} of its {} gradients are cleared",
                        parameter.value(), cleared, end - begin));
      begin = end;
    }
    for (const OpId id : clears_[c])
      check_order(c, id);
  }

  // Whatever sums them up, or steps along them, comes later.
  void check_order(ParameterClassId c, OpId clear) {
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      const Op& op = program_.ops[id];
      const bool reduces = is_collective(op.kind) && collective_of(op).parameter_class == c &&
                           (op.kind == OpKind::all_reduce || op.kind == OpKind::reduce_scatter) &&
                           collective_of(op).begin < clear_of(program_.ops[clear.index()]).end &&
                           clear_of(program_.ops[clear.index()]).begin < collective_of(op).end;
      const bool updates =
          op.kind == OpKind::optimizer_step && optimize_of(op).parameter_class == c;
      if ((!reduces && !updates) || before_(clear, OpId(id))) continue;
      report_.add({number_, OpId(id)}, "it does not wait for gradients that are cleared",
                  {report_.note({number_, clear}, "by this op")});
    }
  }

  Report& report_;
  const Net& net_;
  const std::size_t number_;
  const RankProgram& program_;
  const HappensBefore& before_;
  std::set<ParameterId> used_;
  std::map<ParameterClassId, std::vector<OpId>> clears_;
};

}  // namespace

void check_depth(Report& report) {
  const Plan& plan = report.plan;
  if (!plan.survival) return;
  const Mesh& mesh = plan.mesh;
  if (mesh.workers * mesh.pipeline * mesh.tensor != 1 || plan.units.of_width != 1 ||
      plan.masking != Masking::forward || has_local_steps(plan))
    report.add_program(0, "stochastic depth is of replicas of the whole network, in every step");
  for (std::size_t p = 0; p < plan.programs.size(); ++p) {
    for (const ParameterClass& held : plan.programs[p].parameter_classes) {
      if (!held.is_held || held.sharding >= Sharding::gradients)
        report.add_program(p, "under stochastic depth every replica has all gradients");
    }
  }
}

void check_clears(Report& report, const Net& net, std::size_t program,
                  const HappensBefore& before) {
  Clears(report, net, program, before).run();
}

}  // namespace rehearse::verifier
