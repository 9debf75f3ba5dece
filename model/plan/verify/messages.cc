#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// A message carries what its sender has made to where its receiver uses it: the same micro-batch.
// A rank that has dropped all who would use it only passes it on: what is of which micro-batch
// follows there from who sends and who receives.
class Messages {
 public:
  Messages(Report& report, const RankClasses& classes, const Pairs& pairs)
      : report_(report), classes_(classes) {
    for (std::size_t c = 0; c < pairs.size(); ++c) {
      micro_batches_.push_back(micro_batch_of_buffers(classes.program(report.plan, c)));
      for (std::size_t op = 0; op < pairs[c].size(); ++op) {
        if (pairs[c][op])
          ends_.push_back({{c, OpId(op)}, {pairs[c][op]->first, pairs[c][op]->second}});
      }
    }
  }

  void run() {
    while (spread()) {
    }
    for (const auto& [one, other] : ends_)
      compare(one, other);
  }

 private:
  struct End {
    std::size_t rank_class;
    OpId op;
  };
  using Known = std::optional<MicroBatchId>;

  At at(const End& end) const {
    const RankId rank = classes_.first[end.rank_class];
    return {report_.plan.ranks[rank.index()].program.index(), end.op, rank};
  }

  Known& micro_batch(const End& end) {
    const Op& op = classes_.program(report_.plan, end.rank_class).ops[end.op.index()];
    return micro_batches_[end.rank_class][op.operands.front().buffer.index()];
  }

  // Whether anything is known now that was not.
  bool spread() {
    bool learned = false;
    for (const auto& [one, other] : ends_) {
      const Known& from = micro_batch(one);
      Known& to = micro_batch(other);
      if (!from || to) continue;
      to = from;
      learned = true;
    }
    return learned;
  }

  void compare(const End& one, const End& other) {
    const Known a = micro_batch(one), b = micro_batch(other);
    const At here = at(one), there = at(other);
    if (a == b || here.rank > there.rank) return;
    const auto number = [](const Known& of) { return of ? fmt::to_string(of->value()) : "none"; };
    report_.add(here, fmt::format("it belongs to micro-batch {}", number(a)),
                {report_.note(there, fmt::format("but this to micro-batch {}", number(b)))});
  }

  Report& report_;
  const RankClasses& classes_;
  std::vector<std::pair<End, End>> ends_;          // from both sides
  std::vector<std::vector<Known>> micro_batches_;  // by class and buffer
};

}  // namespace

void check_messages(Report& report, const RankClasses& classes, const Pairs& pairs) {
  Messages(report, classes, pairs).run();
}

}  // namespace rehearse::verifier
