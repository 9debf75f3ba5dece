#include "tools/predict/fit_stages.h"

#include <algorithm>
#include <map>
#include <set>

#include "cost/memory.h"

namespace rehearse {
namespace {

constexpr int kMostCuts = 8;

// By stage: most micro-batches that are between the first op of their forward and the last of their
// backward.
std::vector<std::int64_t> live_of(const Plan& plan) {
  std::map<StageId, std::int64_t> most;
  for (const RankProgram& program : plan.programs) {
    std::map<std::pair<std::size_t, MicroBatchId>, std::size_t> last;
    const auto key = [&](const Op& op) {
      const Compute& compute = compute_of(op);
      return std::pair(*stage_with(program, compute.begin), compute.micro_batch);
    };
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      if (is_pass(program.ops[op].kind)) last[key(program.ops[op])] = op;
    }
    std::vector<std::set<MicroBatchId>> now(program.stages.size());
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      if (!is_pass(program.ops[op].kind)) continue;
      const auto [stage, micro_batch] = key(program.ops[op]);
      now[stage].insert(micro_batch);
      std::int64_t& of_stage = most[program.stages[stage].number];
      of_stage = std::max(of_stage, static_cast<std::int64_t>(now[stage].size()));
      if (last.at({stage, micro_batch}) == op) now[stage].erase(micro_batch);
    }
  }
  std::vector<std::int64_t> live;
  for (const auto& [stage, count] : most)
    live.push_back(count);
  return live;
}

// What the ranks' stages take now, and what they have left or lack.
StageLimit limit_of(const Plan& plan, const StageCut& cut, const BlockMemory& blocks,
                    const PlanMemory& memory) {
  const std::size_t stages = cut.size() - 1;
  StageLimit limit{blocks, live_of(plan), std::vector<std::size_t>(stages), {}};
  limit.live.resize(stages, 0);          // nothing is kept of one that every worker has dropped
  std::map<StageId, std::size_t> ranks;  // of the pipeline, by their first stage
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const std::vector<Stage>& own = program_of(plan, RankId(r)).stages;
    const auto [rank, is_new] = ranks.try_emplace(own.front().number, ranks.size());
    Bytes room = memory.spare[r];
    for (const Stage& stage : own) {
      const std::size_t s = stage.number.index();
      limit.rank[s] = rank->second;
      room += memory_of_stage(limit, s, cut[s], cut[s + 1]);
    }
    if (is_new) limit.room.push_back(room);
    limit.room[rank->second] = std::min(limit.room[rank->second], room);
  }
  return limit;
}

}  // namespace

Result<FittedPlan> fit_stages(const BuildCut& build, const BlockMemory& blocks,
                              const MemoryOfPlan& memory_of_plan) {
  Result<Plan> built = build(std::nullopt);
  if (!built) return built.errors();
  FittedPlan first{*std::move(built), std::nullopt};
  if (first.plan.stage_costs.forward.empty()) return first;  // nothing is cut
  const Net net = *whole_net(first.plan);
  const std::vector<double> costs = total_of(first.plan.stage_costs);
  std::set<StageCut> tried;
  std::optional<FittedPlan> other;
  for (int k = 0; k < kMostCuts; ++k) {
    FittedPlan& fitted = other ? *other : first;
    const PlanMemory& memory = fitted.memory.emplace(memory_of_plan(fitted.plan));
    if (memory.fits) return std::move(fitted);
    const StageCut cut = cut_of(fitted.plan, net);
    tried.insert(cut);
    const auto next = cut_stages(costs, static_cast<std::int64_t>(cut.size()) - 1,
                                 limit_of(fitted.plan, cut, blocks, memory));
    if (!next || tried.count(*next) > 0) break;
    built = build(*next);
    if (!built) return built.errors();
    other = {*std::move(built), std::nullopt};
  }
  return first;
}

}  // namespace rehearse
