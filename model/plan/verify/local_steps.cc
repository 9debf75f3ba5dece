#include <algorithm>

#include "model/plan/happens_before.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// One program: at the end of a step in which holders come together, of every class that others
// hold, too, or that an outer optimizer moves, one outer gradient follows the update, its average
// follows that, and one outer step follows both. In other steps there are none.
class Meetings {
 public:
  Meetings(Report& report, std::size_t number, const HappensBefore& before)
      : report_(report), number_(number), program_(report.plan.programs[number]), before_(before) {}

  void run() {
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c)
      check(ParameterClassId(c));
  }

 private:
  std::vector<OpId> ops_of(OpKind kind, ParameterClassId c) const {
    std::vector<OpId> found;
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      const Op& op = program_.ops[id];
      if (op.kind != kind) continue;
      const bool is_own = is_collective(kind) ? collective_of(op).parameter_class == c
                                              : optimize_of(op).parameter_class == c;
      if (is_own) found.emplace_back(id);
    }
    return found;
  }

  void check(ParameterClassId c) {
    const std::size_t wanted =
        synchronises(report_.plan, program_.parameter_classes[c.index()]) ? 1 : 0;
    const auto gradients = ops_of(OpKind::outer_gradient, c), steps = ops_of(OpKind::outer_step, c);
    if (gradients.size() != wanted || steps.size() != wanted) {
      return report_.add_program(
          number_, fmt::format("class {} has {} outer gradients and {} outer steps, not {} each",
                               c.value(), gradients.size(), steps.size(), wanted));
    }
    if (wanted == 0) return;
    for (const OpId update : ops_of(OpKind::optimizer_step, c))
      follows(gradients[0], update, "it takes weights without waiting for their update");
    follows(steps[0], gradients[0], "it does not wait for its outer gradient");
    for (const OpId reduction : ops_of(OpKind::all_reduce, c)) {
      follows(reduction, gradients[0], "it averages an outer gradient without waiting for it");
      follows(steps[0], reduction, "it does not wait for the average of its outer gradient");
    }
  }

  void follows(OpId later, OpId earlier, std::string problem) {
    if (before_(earlier, later)) return;
    report_.add({number_, later}, std::move(problem),
                {report_.note({number_, earlier}, "this op")});
  }

  Report& report_;
  const std::size_t number_;
  const RankProgram& program_;
  const HappensBefore& before_;
};

}  // namespace

void check_meetings(Report& report, std::size_t program, const HappensBefore& before) {
  Meetings(report, program, before).run();
}

void check_local_steps(Report& report) {
  const Plan& plan = report.plan;
  if (!has_local_steps(plan)) {
    if (plan.outer) report.add_local_steps("an outer optimizer, but no local steps");
    return;
  }
  if (plan.training.reduction == Reduction::exact)
    report.add_local_steps("where steps are local, sums over the batch cannot be exact");
  if (plan.masking == Masking::backward)
    report.add_local_steps("under backward masking readers need new weights in every step");
  if (plan.averaging == Averaging::all)
    report.add_local_steps("weights are averaged over their holders, not over all");
  const StateSizes sizes = state_sizes(plan.training);
  if (sizes.moment > sizes.gradient && !plan.outer)
    report.add_local_steps(
        "an average of weights as long as gradients would lose their master copy's precision: an "
        "outer optimizer averages differences");
  for (std::size_t p = 0; p < plan.programs.size(); ++p) {
    const auto& classes = plan.programs[p].parameter_classes;
    const auto sharded = std::find_if(classes.begin(), classes.end(), [](const ParameterClass& c) {
      return c.sharding != Sharding::none;
    });
    if (sharded == classes.end()) continue;
    report.add_program(p,
                       fmt::format("class {} is sharded: shards need the gradients of every step",
                                   sharded - classes.begin()));
  }
}

}  // namespace rehearse::verifier
