#include "cost/closed_form/point_estimate.h"

#include <algorithm>

#include "cost/closed_form/gradient_norm.h"
#include "cost/closed_form/played_plan.h"
#include "cost/closed_form/rank_memory.h"
#include "cost/closed_form/step.h"
#include "cost/memory.h"

namespace rehearse {
namespace {

class PointEstimate {
 public:
  PointEstimate(EstimateTables& tables, const StrategySpec& strategy, const EstimateRule& rule)
      : tables_(tables), strategy_(strategy), rule_(rule) {}

  Estimate run();
  std::vector<std::int64_t> live();

 private:
  bool is_too_large();
  void price_sharded(const ShardedStep& step);
  Estimate run_sharded();
  Estimate run_played_pipeline();
  bool shares_links(const MeshCosts& mesh) const;
  void note_unplayed(const MeshCosts& mesh);
  bool merges_replicas();  // in what is played
  void play();
  // The parts of its step; none: see the verdict.
  std::optional<StepParts> parts();
  // Beside gradients, for the sums of their squares.
  std::int64_t squares_bytes() const;
  void take_memory(const StepParts& parts);
  Estimate run_workers();
  void note_times(const StepTimes& times, bool shares_links);
  // Of the ranks the one that needs most.
  void take_rank(std::size_t rank, const RankPeak& peak, std::int64_t memory) {
    estimate_.arena_live = std::max(estimate_.arena_live, peak.live);
    if (memory <= estimate_.memory) return;
    estimate_.memory = memory;
    estimate_.worst_rank = static_cast<std::uint32_t>(rank);
    estimate_.worst_stage = peak.stage;
    estimate_.worst_action = peak.action;
  }
  void note_fits() {
    estimate_.fits = estimate_.memory <= tables_.device().memory.bytes();
    if (!estimate_.fits) estimate_.binding = Binding::memory;
  }
  Estimate refusal(Verdict verdict) {
    estimate_.verdict = verdict;
    return estimate_;
  }

  EstimateTables& tables_;
  const StrategySpec& strategy_;
  const EstimateRule& rule_;
  StrategyPoint point_;
  Estimate estimate_;
};

Estimate PointEstimate::run() {
  const auto refused = tables_.resolve(strategy_, point_);
  if (refused) return refusal(*refused);
  if (has_workers(strategy_)) return run_workers();
  if (rule_.only_fitting && is_too_large()) return refusal(Verdict::memory);
  if (is_sharded(strategy_) && is_flat(strategy_, point_)) return run_sharded();
  if (tables_.is_played(strategy_, point_)) return run_played_pipeline();
  const auto step = parts();
  if (!step) return refusal(Verdict::shared_parameters);
  take_memory(*step);
  if (!estimate_.fits && rule_.only_fitting) return refusal(Verdict::memory);
  const bool shares_links = step->model->passes().shares_links(*step->mesh) ||
                            step->model->updates(*step->mesh, step->sharding).shares_links;
  estimate_.replicas_differ = step->model->passes().merges_replicas(*step->mesh);
  note_times(step_times(*step), shares_links);
  note_unplayed(*step->mesh);
  if (rule_.plays && estimate_.unplayed_passes > 0) play();
  return estimate_;
}

// Where there is more to it than the shares that those who do the same have.
void PointEstimate::note_unplayed(const MeshCosts& mesh) {
  constexpr double kLittle = 0.005;
  constexpr std::int64_t kMostPasses = 1024;  // of plans that are played
  const PipelineShape shape = shape_played(point_.shape);
  const std::int64_t passes = shape.stages() * shape.micro_batches;
  if (passes > kMostPasses) return;
  estimate_.may_be_shorter = mesh.exchanges_take_turns;
  if (estimate_.may_be_shorter || estimate_.contention > kLittle * estimate_.step_time)
    estimate_.unplayed_passes = static_cast<std::int32_t>(passes * kinds_played(mesh));
}

void PointEstimate::play() {
  const auto& played = tables_.played_pipeline(strategy_, point_);
  estimate_.unplayed_passes = 0;
  estimate_.may_be_shorter = false;
  if (!played) return;
  estimate_.replicas_differ = merges_replicas();
  note_times(played->times, estimate_.shares_links);
}

bool PointEstimate::merges_replicas() {
  return tables_.costs(point_.mesh).replica_kinds.size() > kMostReplicaKinds;
}

// Before anything else is known of it.
bool PointEstimate::is_too_large() {
  const std::int64_t least = least_state(strategy_, point_, tables_.training());
  if (least <= tables_.device().memory.bytes()) return false;
  estimate_.memory = least;
  note_fits();
  return true;
}

std::vector<std::int64_t> PointEstimate::live() {
  std::vector<std::int64_t> live;
  if (tables_.resolve(strategy_, point_)) return live;
  if (has_workers(strategy_)) {
    const auto call = EstimateTables::call(strategy_, point_);
    for (const auto& rank : tables_.workers().ranks(call, tables_.states(point_)))
      live.push_back(rank.peak.live);
    return live;
  }
  if (is_sharded(strategy_) && is_flat(strategy_, point_))
    return {tables_.sharded(strategy_, point_).live};
  if (tables_.is_played(strategy_, point_)) {
    const auto& step = tables_.played_pipeline(strategy_, point_);
    for (std::size_t r = 0; step && r < step->peaks.size(); ++r)
      live.push_back(step->peaks[r].live);
    return live;
  }
  const auto step = parts();
  if (!step) return live;
  const std::vector<LiveStates>& states = tables_.states(point_);
  for (std::size_t r = 0; r < states.size(); ++r)
    live.push_back(rank_peak(*step, states, r, squares_bytes()).live);
  return live;
}

// ---- pipelines ---------------------------------------------------------------------------------

std::optional<StepParts> PointEstimate::parts() {
  const MeshCosts& mesh = tables_.costs(point_.mesh);
  StagedModel* const model = tables_.staged(strategy_, point_);
  if (model == nullptr) return std::nullopt;
  StepParts parts;
  parts.model = model;
  parts.schedule = point_.schedule;
  parts.micro_batches = point_.shape.micro_batches;
  parts.mesh = &mesh;
  parts.sharding = strategy_.sharding;
  parts.overlap = strategy_.overlap;
  parts.norm = tables_.norm(point_.mesh);
  return parts;
}

std::int64_t PointEstimate::squares_bytes() const {
  return norm_bytes(point_.mesh.ranks(), tables_.training());
}

void PointEstimate::take_memory(const StepParts& parts) {
  const StagedCut& cut = parts.model->cut();
  const bool wraps = cut.stages_of.front().size() > 1;
  const std::vector<LiveStates>& states = tables_.states(point_);
  const std::int64_t squares = squares_bytes();
  for (std::size_t r = 0; r < states.size(); ++r) {
    if (is_peak_covered(parts, states, r)) continue;
    const RankPeak peak = rank_peak(parts, states, r, squares);
    const std::int64_t memory =
        rank_memory(tables_.device(), {point_.mesh, r, wraps}, peak.live, cut.kinds[r]->stand_ins);
    take_rank(r, peak, memory);
  }
  note_fits();
}

void PointEstimate::note_times(const StepTimes& times, bool shares_links) {
  estimate_.step_time = times.step_time;
  estimate_.bubble_fraction = times.bubble_fraction;
  estimate_.compute = times.compute;
  estimate_.link = times.link;
  // Of sums that cancel something is left.
  constexpr double kNothing = 1e-9;
  estimate_.contention = times.contention > kNothing * times.step_time ? times.contention : 0;
  estimate_.shares_links = shares_links;
  const double bubble = times.step_time - times.compute - times.link;
  if (!estimate_.fits) return;
  if (times.link > times.compute && times.link >= bubble) estimate_.binding = Binding::link;
  if (bubble > times.compute && bubble > times.link) estimate_.binding = Binding::bubble;
}

// ---- subnetworks and local steps ---------------------------------------------------------------

Estimate PointEstimate::run_workers() {
  const auto call = EstimateTables::call(strategy_, point_);
  WorkerEstimates& workers = tables_.workers();
  for (const WorkerEstimates::Rank& rank : workers.ranks(call, tables_.states(point_))) {
    const std::int64_t memory =
        rank_memory(tables_.device(), rank.peers, rank.peak.live, rank.stand_ins);
    take_rank(rank.rank, rank.peak, memory);
  }
  note_fits();
  if (!estimate_.fits && rule_.only_fitting) return refusal(Verdict::memory);
  estimate_.replicas_differ = workers.merges_replicas(call);
  note_times(workers.times(call), workers.shares_links(call));
  return estimate_;
}

// ---- ZeRO-2 and 3 ------------------------------------------------------------------------------

Estimate PointEstimate::run_sharded() {
  const ShardedStep& step = tables_.sharded(strategy_, point_);
  estimate_.arena_live = step.live;
  estimate_.memory = rank_memory(tables_.device(), {point_.mesh, 0, false}, step.live,
                                 tables_.stand_ins(*point_.net));
  estimate_.worst_action = step.is_backward ? StageAction::backward : StageAction::forward;
  note_fits();
  if (!estimate_.fits && rule_.only_fitting) return refusal(Verdict::memory);
  price_sharded(step);
  return estimate_;
}

void PointEstimate::price_sharded(const ShardedStep& step) {
  const MeshCosts& mesh = tables_.costs(point_.mesh);
  estimate_.step_time = step.step;
  estimate_.bubble_fraction = std::max(0.0, 1 - step.busy / step.span);  // rounded
  estimate_.compute = step.busy + step.optimizer;
  estimate_.link = step.step - estimate_.compute;
  estimate_.shares_links =
      mesh.tensor.paths.most_shared() > 1 || mesh.holders.front().paths.most_shared() > 1;
  if (estimate_.fits && estimate_.link > estimate_.compute) estimate_.binding = Binding::link;
}

Estimate PointEstimate::run_played_pipeline() {
  const auto& step = tables_.played_pipeline(strategy_, point_);
  if (!step) return refusal(Verdict::shared_parameters);
  for (std::size_t r = 0; r < step->peaks.size(); ++r) {
    const RankPeak& peak = step->peaks[r];
    const PlacedRank placed{point_.mesh, r, point_.shape.chunks > 1};
    take_rank(r, peak, rank_memory(tables_.device(), placed, peak.live, step->stand_ins[r]));
  }
  note_fits();
  if (!estimate_.fits && rule_.only_fitting) return refusal(Verdict::memory);
  estimate_.replicas_differ = merges_replicas();
  note_times(step->times, shares_links(tables_.costs(point_.mesh)));
  return estimate_;
}

// Of the messages that there are.
bool PointEstimate::shares_links(const MeshCosts& mesh) const {
  bool shares = mesh.tensor.paths.most_shared() > 1;
  const std::size_t ranks = mesh.holders.size();
  for (std::size_t r = 0; r < ranks; ++r) {
    shares = shares || mesh.holders[r].paths.most_shared() > 1;
    const bool sends_on = r + 1 < ranks || point_.shape.chunks > 1;
    if (sends_on)
      shares = shares || mesh.messages.forward[r].most_shared() > 1 ||
               mesh.messages.backward[r].most_shared() > 1;
  }
  return shares;
}

}  // namespace

Estimate estimate_point(EstimateTables& tables, const StrategySpec& strategy,
                        const EstimateRule& rule) {
  return PointEstimate(tables, strategy, rule).run();
}

std::vector<std::int64_t> live_bytes(EstimateTables& tables, const StrategySpec& strategy) {
  return PointEstimate(tables, strategy, {}).live();
}

}  // namespace rehearse
