#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// A message carries what its sender has made to where its receiver uses it: the same micro-batch.
class Messages {
 public:
  Messages(Report& report, const RankClasses& classes, const Pairs& pairs)
      : report_(report), classes_(classes), pairs_(pairs) {
    for (const RankProgram& program : report.plan.programs)
      micro_batches_.push_back(micro_batch_of_buffers(program));
  }

  void run() {
    for (std::size_t c = 0; c < pairs_.size(); ++c) {
      for (std::size_t op = 0; op < pairs_[c].size(); ++op) {
        if (pairs_[c][op])
          compare(at(c, OpId(op)), at(pairs_[c][op]->first, pairs_[c][op]->second));
      }
    }
  }

 private:
  At at(std::size_t c, OpId op) const {
    const RankId rank = classes_.first[c];
    return {report_.plan.ranks[rank.index()].program.index(), op, rank};
  }

  std::optional<MicroBatchId> micro_batch(const At& at) const {
    const Op& op = report_.plan.programs[at.program].ops[at.op.index()];
    return micro_batches_[at.program][op.operands.front().buffer.index()];
  }

  void compare(const At& one, const At& other) {
    const auto a = micro_batch(one), b = micro_batch(other);
    // A value may pass through a rank that has dropped all who would use it.
    if (!a || !b || a == b || one.rank > other.rank) return;
    report_.add(one, fmt::format("it belongs to micro-batch {}", a->value()),
                {report_.note(other, fmt::format("but this to micro-batch {}", b->value()))});
  }

  Report& report_;
  const RankClasses& classes_;
  const Pairs& pairs_;
  std::vector<std::vector<std::optional<MicroBatchId>>> micro_batches_;  // by program
};

}  // namespace

void check_messages(Report& report, const RankClasses& classes, const Pairs& pairs) {
  Messages(report, classes, pairs).run();
}

}  // namespace rehearse::verifier
