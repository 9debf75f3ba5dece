#include "tools/predict/memory_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "model/plan/plan_text.h"
#include "model/plan/verify.h"

namespace rehearse {
namespace {

// A change of a strategy that may save memory, and what it is called.
struct Change {
  std::string name;
  std::function<void(StrategySpec&)> make;
};

std::vector<Change> recomputations(const StrategySpec& spec) {
  std::vector<Change> changes;
  for (const Recomputation way : {Recomputation::selective, Recomputation::full}) {
    if (way <= spec.recomputation) continue;
    changes.push_back({fmt::format("recompute: {}", to_string(way)),
                       [way](StrategySpec& changed) { changed.recomputation = way; }});
  }
  return changes;
}

std::vector<Change> shardings(const ScenarioStrategy& strategy) {
  std::vector<Change> changes;
  if (strategy.mesh.data * strategy.mesh.workers == 1) return changes;
  for (const Sharding level :
       {Sharding::optimizer_state, Sharding::gradients, Sharding::parameters}) {
    if (level <= strategy.spec.sharding) continue;
    changes.push_back({fmt::format("zero: {}", static_cast<int>(level)),
                       [level](StrategySpec& changed) { changed.sharding = level; }});
  }
  return changes;
}

// So many times more and smaller micro-batches, down to one sample each.
std::vector<Change> micro_batches(const ScenarioStrategy& strategy, std::int64_t samples) {
  std::vector<Change> changes;
  const std::int64_t now = micro_batches_of(strategy.spec);
  for (std::int64_t factor = 2; factor <= samples; factor *= 2) {
    if (samples % factor != 0) break;
    const std::int64_t number = now * factor;
    changes.push_back({fmt::format("micro_batches: {}", number), [number](StrategySpec& changed) {
                         (changed.pipeline ? changed.pipeline->micro_batches
                                           : changed.micro_batches) = number;
                       }});
  }
  return changes;
}

class Remedies {
 public:
  Remedies(const Scenario& scenario, const ScenarioStrategy& strategy, const Cluster& cluster)
      : scenario_(scenario), strategy_(strategy), cluster_(cluster) {}

  std::vector<Remedy> run(std::int64_t samples) {
    const std::vector<std::vector<Change>> kinds = {
        recomputations(strategy_.spec), shardings(strategy_), micro_batches(strategy_, samples)};
    std::vector<Change> strongest;
    for (const std::vector<Change>& changes : kinds) {
      for (const Change& change : changes)
        try_out({change});
      if (!changes.empty()) strongest.push_back(changes.back());
    }
    const auto fits = [](const Remedy& remedy) { return remedy.fits(); };
    const bool any = std::any_of(found_.begin(), found_.end(), fits);
    if (!any && strongest.size() > 1) try_out(strongest);
    return std::move(found_);
  }

 private:
  void try_out(const std::vector<Change>& changes) {
    ScenarioStrategy changed = strategy_;
    Remedy remedy;
    for (const Change& change : changes) {
      change.make(changed.spec);
      remedy.change += (remedy.change.empty() ? "" : ", ") + change.name;
    }
    const Result<Plan> plan = plan_of(scenario_, changed);
    if (!plan) return;  // it cannot be had
    const PlanMemory memory = memory_of(*plan, cluster_);
    remedy.peak = memory.peak;
    remedy.spare = *std::min_element(memory.spare.begin(), memory.spare.end());
    found_.push_back(std::move(remedy));
  }

  const Scenario& scenario_;
  const ScenarioStrategy& strategy_;
  const Cluster& cluster_;
  std::vector<Remedy> found_;
};

std::vector<MemoryOfRanks> kinds_of(const Plan& plan, const PlanMemory& memory) {
  std::vector<MemoryOfRanks> kinds(memory.kinds.size());
  for (std::size_t r = 0; r < memory.ranks.size(); ++r) {
    MemoryOfRanks& kind = kinds[memory.ranks[r]];
    kind.spare = kind.ranks.empty() ? memory.spare[r] : std::min(kind.spare, memory.spare[r]);
    kind.ranks.emplace_back(r);
  }
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    MemoryOfRanks& kind = kinds[k];
    kind.memory = memory.kinds[k];
    if (kind.ranks.empty()) continue;
    const RankProgram& program = program_of(plan, kind.ranks.front());
    kind.curve = memory_curve(program);
    kind.peak_op = program.ops.empty() ? "-" : describe_op(program, kind.curve.peak);
    kind.device = kind.memory.peak() + kind.spare;
  }
  std::erase_if(kinds, [](const MemoryOfRanks& kind) { return kind.ranks.empty(); });
  std::sort(kinds.begin(), kinds.end(),
            [](const auto& a, const auto& b) { return a.ranks.front() < b.ranks.front(); });
  return kinds;
}

}  // namespace

Result<MemoryReport> memory_report(const Scenario& scenario, const ScenarioStrategy& strategy) {
  if (scenario.prices)
    return error(fmt::format("{} states its prices: its tensors have no size", scenario.path));
  const Result<Plan> plan = plan_of(scenario, strategy);
  if (!plan) return plan.errors();
  const Result<Cluster> cluster = Cluster::build(scenario.cluster);
  if (!cluster) return cluster.errors();
  const bool redraws = strategy.spec.subnetwork && strategy.spec.subnetwork->redraw;
  const PlanMemory memory = memory_of(*plan, *cluster, redraws);
  MemoryReport report;
  report.strategy = plan->strategy;
  report.plan_hash = plan_hash(*plan);
  report.fits = memory.fits;
  report.kinds = kinds_of(*plan, memory);
  for (std::size_t k = 1; k < report.kinds.size(); ++k) {
    if (report.kinds[k].memory.peak() > report.kinds[report.worst].memory.peak()) report.worst = k;
  }
  if (!memory.fits)
    report.remedies = Remedies(scenario, strategy, *cluster).run(plan->micro_batch_samples);
  return report;
}

}  // namespace rehearse
