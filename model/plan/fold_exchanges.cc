#include "model/plan/fold_exchanges.h"

#include <algorithm>

namespace rehearse {
namespace {

class Folder {
 public:
  explicit Folder(const RankProgram& program) : program_(program), users_(program.ops.size()) {
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      for (const OpId before : program.ops[op].after)
        users_[before.index()].push_back(op);
    }
  }

  // The ops of each folded op, by the last one of each.
  std::vector<std::vector<OpId>> runs() {
    std::vector<std::vector<OpId>> runs;
    std::size_t open = 0;              // number of the run that a pass may go on with ...
    bool is_open = false;              // ... if there is one
    std::vector<std::size_t> between;  // exchanges since its last pass
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      if (is_exchange(op) && is_open && waits_only_for(op, runs[open].back().index())) {
        between.push_back(op);
        continue;
      }
      if (is_open && continues(runs[open], between, op)) {
        for (const std::size_t exchange : between)
          runs[open].emplace_back(exchange);
        runs[open].emplace_back(op);
        between.clear();
        continue;
      }
      for (const std::size_t exchange : between)
        runs.push_back({OpId(exchange)});
      between.clear();
      runs.push_back({OpId(op)});
      if (!on_compute_lane(op)) continue;
      is_open = is_pass(program_.ops[op].kind);
      open = runs.size() - 1;
    }
    for (const std::size_t exchange : between)
      runs.push_back({OpId(exchange)});
    // Whatever stands between the ops of a run stood before its last one, too.
    std::sort(runs.begin(), runs.end(),
              [](const auto& a, const auto& b) { return a.back() < b.back(); });
    return runs;
  }

 private:
  bool is_exchange(std::size_t op) const {
    return program_.lanes[program_.ops[op].lane.index()].kind == LaneKind::tensor;
  }
  bool on_compute_lane(std::size_t op) const {
    return program_.lanes[program_.ops[op].lane.index()].kind == LaneKind::compute;
  }
  bool waits_only_for(std::size_t op, std::size_t before) const {
    const std::vector<OpId>& after = program_.ops[op].after;
    return std::all_of(after.begin(), after.end(),
                       [&](OpId other) { return other.index() == before; });
  }

  bool continues(const std::vector<OpId>& run, const std::vector<std::size_t>& between,
                 std::size_t op) const {
    const Op &next = program_.ops[op], &last = program_.ops[run.back().index()];
    if (!is_pass(next.kind) || next.kind != last.kind || next.lane != last.lane) return false;
    if (compute_of(next).micro_batch != compute_of(last).micro_batch) return false;
    const auto is_inside = [&](std::size_t other) {
      return other == run.back().index() ||
             std::find(between.begin(), between.end(), other) != between.end();
    };
    const auto is_used_inside = [&](std::size_t inner) {
      return std::all_of(users_[inner].begin(), users_[inner].end(),
                         [&](std::size_t user) { return user == op || is_inside(user); });
    };
    const bool waits_inside = std::all_of(next.after.begin(), next.after.end(),
                                          [&](OpId other) { return is_inside(other.index()); });
    return waits_inside && is_used_inside(run.back().index()) &&
           std::all_of(between.begin(), between.end(), is_used_inside);
  }

  const RankProgram& program_;
  std::vector<std::vector<std::size_t>> users_;
};

// By op, the run that it is in.
std::vector<OpId> folded_numbers(std::size_t ops, const std::vector<std::vector<OpId>>& runs) {
  std::vector<OpId> folded_of(ops);
  for (std::size_t r = 0; r < runs.size(); ++r) {
    for (const OpId op : runs[r])
      folded_of[op.index()] = OpId(r);
  }
  return folded_of;
}

// What is left of the tensor lane comes after what stood there before it: after all of its run, if
// that has gone into one.
void keep_order(const RankProgram& program, const std::vector<OpId>& folded_of,
                std::vector<Op>& folded) {
  std::optional<OpId> before;
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (program.lanes[program.ops[op].lane.index()].kind != LaneKind::tensor) continue;
    const OpId own = folded_of[op];
    const bool is_left = folded[own.index()].lane == program.ops[op].lane;
    if (before && is_left && *before < own && folded[before->index()].lane != program.ops[op].lane)
      folded[own.index()].after.push_back(*before);
    before = own;
  }
}

// One op for each run.
std::vector<Op> fold(const std::vector<Op>& ops, const std::vector<std::vector<OpId>>& runs,
                     const std::vector<OpId>& folded_of) {
  std::vector<Op> folded;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    Op op = ops[runs[r].front().index()];
    for (OpId& before : op.after)
      before = folded_of[before.index()];
    if (auto* compute = std::get_if<Compute>(&op.detail); compute != nullptr && is_pass(op.kind)) {
      const Compute& last = compute_of(ops[runs[r].back().index()]);
      compute->begin = std::min(compute->begin, last.begin);
      compute->end = std::max(compute->end, last.end);
    }
    folded.push_back(std::move(op));
  }
  return folded;
}

}  // namespace

FoldedPlan fold_exchanges(const Plan& plan) {
  FoldedPlan folded{plan, {}};
  for (RankProgram& program : folded.plan.programs) {
    folded.parts.push_back(Folder(program).runs());
    const auto& runs = folded.parts.back();
    const std::vector<OpId> folded_of = folded_numbers(program.ops.size(), runs);
    std::vector<Op> ops = fold(program.ops, runs, folded_of);
    keep_order(program, folded_of, ops);
    program.ops = std::move(ops);
  }
  return folded;
}

}  // namespace rehearse
