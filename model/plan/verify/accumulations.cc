#include <algorithm>
#include <map>

#include "model/collective/steps.h"
#include "model/plan/happens_before.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// Elements [begin, end) of a class.
using Tile = std::pair<std::int64_t, std::int64_t>;

// The sum over micro-batches [first, end), in the buffer that its first one's passes add to.
struct Sum {
  std::size_t first = 0, end = 0;
  BufferId buffer;
};

// One class of one program whose micro-batches' gradients are kept apart: they are added up in the
// order of the fixed tree, element by element all of them, when they are complete.
class Accumulations {
 public:
  Accumulations(Report& report, std::size_t number, ParameterClassId c, const HappensBefore& before,
                const std::vector<std::optional<MicroBatchId>>& micro_batches)
      : report_(report),
        number_(number),
        program_(report.plan.programs[number]),
        class_(c),
        held_(program_.parameter_classes[c.index()]),
        before_(before),
        micro_batches_(micro_batches),
        leaves_(static_cast<std::size_t>(program_.micro_batches)) {}

  void run() {
    list_terms();
    for (std::size_t id = 0; id < program_.ops.size() && report_.ok(); ++id) {
      const Op& op = program_.ops[id];
      if (op.kind == OpKind::accumulate && accumulate_of(op).parameter_class == class_)
        add(OpId(id));
    }
    if (!report_.ok()) return;
    check_sums();
    check_takers();
  }

 private:
  void refuse(OpId op, std::string message) { report_.add({number_, op}, std::move(message)); }
  const Op& op(OpId id) const { return program_.ops[id.index()]; }
  const Buffer& buffer(BufferId id) const { return program_.buffers[id.index()]; }
  bool is_own(const Buffer& it) const { return it.parameter_class == class_; }

  // What each micro-batch's passes add to.
  void list_terms() {
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      if (!is_pass(program_.ops[id].kind)) continue;
      for (const Operand& operand : program_.ops[id].operands) {
        if (is_own(buffer(operand.buffer)) && operand.access != Access::read)
          adders_[operand.buffer].push_back(OpId(id));
      }
    }
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
      const Buffer& it = program_.buffers[b];
      if (!is_own(it) || it.kind != BufferKind::unreduced || !micro_batches_[b]) continue;
      const std::size_t m = micro_batches_[b]->index();
      terms_[{it.begin, it.end}].push_back({m, m + 1, BufferId(b)});
    }
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
      const Buffer& it = program_.buffers[b];
      if (!is_own(it) || it.kind != BufferKind::gradients) continue;
      if (held_.sharding >= Sharding::gradients) continue;
      for (auto& [tile, sums] : terms_)
        sums.push_back({0, 1, BufferId(b)});
    }
  }

  Sum* find(const Tile& tile, const Operand& operand, Access access) {
    const auto sums = terms_.find(tile);
    if (sums == terms_.end() || operand.access != access) return nullptr;
    for (Sum& sum : sums->second) {
      if (sum.buffer == operand.buffer) return &sum;
    }
    return nullptr;
  }

  // Left and right child of a node of the tree, both complete.
  bool are_siblings(const Sum& left, const Sum& right) const {
    const std::size_t half = left.end - left.first;
    return left.first % (2 * half) == 0 && right.first == left.end &&
           right.end == std::min(left.first + 2 * half, leaves_);
  }

  void add(OpId id) {
    const Accumulate& it = accumulate_of(op(id));
    const Tile tile{it.begin, it.end};
    Sum* left = find(tile, op(id).operands[0], Access::update);
    Sum* right = find(tile, op(id).operands[1], Access::read);
    if (left == nullptr || right == nullptr || left == right)
      return refuse(id, "it does not add one sum of its elements to another");
    if (!are_siblings(*left, *right)) {
      return refuse(id, fmt::format("micro-batches {}..{} and {}..{} do not follow one another in "
                                    "the fixed tree",
                                    left->first, left->end, right->first, right->end));
    }
    for (const Sum* sum : {left, right})
      check_complete(*sum, tile, id);
    left->end = right->end;
    const bool is_last = left->first == 0 && left->end == leaves_;
    const std::int64_t divisor = is_last && !held_.group ? program_.micro_batches : 1;
    if (it.divisor != divisor)
      refuse(id, fmt::format("it divides by {}, not by {}", it.divisor, divisor));
    if (is_last) last_[tile] = id;
    last_use_[left->buffer][tile] = id;
    last_use_[right->buffer][tile] = id;
    auto& sums = terms_[tile];
    sums.erase(sums.begin() + (right - sums.data()));
  }

  // Whoever adds to a term, or has added terms to it, has ended.
  void check_complete(const Sum& sum, const Tile& tile, OpId taker) {
    for (const OpId adder : adders_[sum.buffer])
      check_order(adder, taker);
    const auto known = last_use_.find(sum.buffer);
    if (known == last_use_.end()) return;
    const auto before = known->second.find(tile);
    if (before != known->second.end()) check_order(before->second, taker);
  }

  void check_order(OpId first, OpId second) {
    if (before_(first, second)) return;
    report_.add({number_, second}, "it takes a sum without waiting for one of its terms",
                {report_.note({number_, first}, "added by this op")});
  }

  // One sum is left of every element, over all micro-batches.
  void check_sums() {
    std::int64_t covered = 0;
    for (const auto& [tile, sums] : terms_) {
      const bool is_whole =
          sums.size() == 1 && sums.front().first == 0 && sums.front().end == leaves_;
      if (tile.first != covered || !is_whole) {
        return report_.add_program(
            number_, fmt::format("of class {} elements {}..{} are not added up over all "
                                 "micro-batches",
                                 class_.value(), tile.first, tile.second));
      }
      covered = tile.second;
    }
    if (covered == held_.elements) return;
    report_.add_program(number_, fmt::format("of class {} elements from {} on are not added up",
                                             class_.value(), covered));
  }

  // Reductions and the update take what is added up.
  void check_takers() {
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      const Op& it = program_.ops[id];
      if (it.kind == OpKind::optimizer_step && optimize_of(it).parameter_class == class_) {
        for (const auto& [tile, sum] : last_)
          check_order(sum, OpId(id));
      }
      if (it.kind != OpKind::all_reduce && it.kind != OpKind::reduce_scatter) continue;
      const Collective& taken = collective_of(it);
      if (taken.parameter_class != class_) continue;
      for (const auto& [tile, sum] : last_) {
        if (taken.begin < tile.second && tile.first < taken.end) check_order(sum, OpId(id));
      }
    }
  }

  Report& report_;
  const std::size_t number_;
  const RankProgram& program_;
  const ParameterClassId class_;
  const ParameterClass& held_;
  const HappensBefore& before_;
  const std::vector<std::optional<MicroBatchId>>& micro_batches_;  // by buffer
  const std::size_t leaves_;
  std::map<BufferId, std::vector<OpId>> adders_;  // passes
  std::map<Tile, std::vector<Sum>> terms_;        // not yet added to others
  std::map<Tile, OpId> last_;                     // that completes the sum
  std::map<BufferId, std::map<Tile, OpId>> last_use_;
};

}  // namespace

void check_accumulations(Report& report, std::size_t program, const HappensBefore& before,
                         const std::vector<std::optional<MicroBatchId>>& micro_batches) {
  const RankProgram& it = report.plan.programs[program];
  const Training& training = report.plan.training;
  const bool exact = training.reduction == Reduction::exact;
  for (std::size_t id = 0; id < it.ops.size(); ++id) {
    const Op& op = it.ops[id];
    if (op.kind == OpKind::accumulate && !accumulates_exactly(training, it.micro_batches))
      report.add({program, OpId(id)}, "its program adds micro-batches up as they come");
    if (op.kind != OpKind::all_reduce && op.kind != OpKind::reduce_scatter) continue;
    const Collective& reduction = collective_of(op);
    const bool in_tree = reduction.algorithm == CollectiveAlgorithm::pairwise;
    if (reduction.parameter_class && exact && !in_tree)
      report.add({program, OpId(id)}, "exact sums are made by pairwise exchanges");
  }
  if (!report.ok() || !accumulates_exactly(training, it.micro_batches)) return;
  for (std::size_t c = 0; c < it.parameter_classes.size(); ++c) {
    if (!it.parameter_classes[c].is_held) continue;  // it is only read: there are no gradients
    Accumulations(report, program, ParameterClassId(c), before, micro_batches).run();
  }
}

}  // namespace rehearse::verifier
