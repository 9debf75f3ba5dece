#include <algorithm>

#include "model/plan/happens_before.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// One program: where gradients are clipped, their squares are summed once, when nobody changes them
// any more; then over all ranks, or where steps are local over those of a replica; then weights are
// updated.
class Squares {
 public:
  Squares(Report& report, std::size_t number, const HappensBefore& before)
      : report_(report), number_(number), program_(report.plan.programs[number]), before_(before) {
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      const Op& op = program_.ops[id];
      if (op.kind == OpKind::sum_squares) own_.emplace_back(id);
      if (is_of_squares(program_, op)) of_all_.emplace_back(id);
    }
  }

  void run() {
    const bool clips = report_.plan.training.optimizer.clip.has_value();
    const bool shares = clips && shares_a_norm();
    if (!counts("squares of gradients are summed", own_, clips) ||
        !counts("sums of squares are added up over ranks", of_all_, shares) || !clips)
      return;
    for (std::size_t id = 0; id < program_.ops.size(); ++id)
      check_order(OpId(id));
    if (shares) check_sum(of_all_[0]);
  }

 private:
  bool counts(std::string_view what, const std::vector<OpId>& ops, bool is_wanted) {
    const std::size_t wanted = is_wanted ? 1 : 0;
    if (ops.size() == wanted) return true;
    report_.add_program(number_, fmt::format("{} {} times, not {}", what, ops.size(), wanted));
    return false;
  }

  // Ranks that have a norm between them: all, or where steps are local those of one replica.
  std::size_t sharers_with(std::size_t rank) const {
    const auto& ranks = report_.plan.ranks;
    return static_cast<std::size_t>(
        std::count_if(ranks.begin(), ranks.end(), [&](const RankBinding& other) {
          return !has_local_steps(report_.plan) ||
                 other.first_micro_batch == ranks[rank].first_micro_batch;
        }));
  }

  bool shares_a_norm() const {
    for (std::size_t r = 0; r < report_.plan.ranks.size(); ++r) {
      if (report_.plan.ranks[r].program.index() == number_ && sharers_with(r) > 1) return true;
    }
    return false;
  }

  // Before the update: an outer gradient, and its average, come after it (check_meetings).
  bool changes_gradients(const Op& op) const {
    if (has_local_steps(report_.plan) &&
        (op.kind == OpKind::outer_gradient || op.kind == OpKind::all_reduce))
      return false;
    return std::any_of(op.operands.begin(), op.operands.end(), [&](const Operand& operand) {
      return operand.access != Access::read &&
             program_.buffers[operand.buffer.index()].kind == BufferKind::gradients;
    });
  }

  void check_order(OpId id) {
    const Op& op = program_.ops[id.index()];
    if (changes_gradients(op))
      follows(own_[0], id, "it squares gradients without waiting for them");
    if (op.kind != OpKind::optimizer_step) return;
    follows(id, of_all_.empty() ? own_[0] : of_all_[0],
            "it does not wait for the norm of the gradients");
  }

  void check_sum(OpId id) {
    follows(id, own_[0], "it adds up squares without waiting for its own");
    const Collective& sum = collective_of(program_.ops[id.index()]);
    const std::int64_t numbers = square_numbers(report_.plan.training);
    const bool whole = !sum.parameter_class && sum.begin == 0 && sum.end == numbers &&
                       sum.element_bytes == sizeof(double);
    if (!whole) report_.add({number_, id}, fmt::format("squares are {} doubles", numbers));
    if (sum.divisor != 1) report_.add({number_, id}, "it divides a sum of squares");
    check_members(sum.group);
  }

  // Members are distinct: as many as there are ranks are all.
  void check_members(std::size_t slot) {
    const auto& ranks = report_.plan.ranks;
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      if (ranks[r].program.index() != number_) continue;
      const auto& members = group_at(report_.plan, RankId(r), slot).members;
      const std::size_t sharers = sharers_with(r);
      if (members.size() != sharers)
        return report_.add_rank(
            r, fmt::format("it adds up squares over {} of {} ranks", members.size(), sharers));
      for (const RankId member : members) {
        const bool shares = !has_local_steps(report_.plan) ||
                            ranks[member.index()].first_micro_batch == ranks[r].first_micro_batch;
        if (shares) continue;
        return report_.add_rank(
            r, fmt::format("it adds up squares with rank {}, of another replica", member.value()));
      }
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
  std::vector<OpId> own_, of_all_;
};

}  // namespace

void check_squares(Report& report, std::size_t program, const HappensBefore& before) {
  Squares(report, program, before).run();
}

}  // namespace rehearse::verifier
