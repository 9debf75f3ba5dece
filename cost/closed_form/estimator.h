// Step time and memory of strategies in closed form: their plans are not built and nothing is
// simulated (of ZeRO-2 and 3, and of exchanges with both neighbours at once, programs of few
// micro-batches are played: sharded_step.h, played_pipeline.h).
//
// What a stage's passes take and keep is read once off a small program of it and kept
// (stage_passes.h), as are prices of groups (mesh_costs.h), orders of passes (pass_order.h) and
// buckets (rank_buckets.h); an estimate puts them together. It is the simulation's step on an idle
// network, and the plan's live bytes exactly, of stages that are cut by cost alone: where these do
// not fit, a simulation looks for a cut that does (tools/predict/fit_stages.h).
//
// Not thread-safe: one for each thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cost/closed_form/refusal.h"
#include "cost/closed_form/stage_program.h"
#include "model/base/diagnostic.h"
#include "model/net/model_spec.h"

namespace rehearse {

// What most of the step goes into on the rank that computes longest: computing, exchanges and the
// reductions after its last pass, or the wait for other stages. Memory: it does not fit.
enum class Binding : std::uint8_t { compute, link, bubble, memory };
std::string_view to_string(Binding binding);

struct Estimate {
  double step_time = 0;        // seconds
  double bubble_fraction = 0;  // of the rank with the longest stretch of passes
  // Of the rank that computes longest, seconds of a step.
  double compute = 0, link = 0;
  // Seconds of messages that may be under way beside others on the same links, of the same rank or
  // of others; where these are played, that they take longer than alone, which the step has in it.
  // The step may be off by as much: an estimate, no bound (README.md).
  double contention = 0;
  // Of the rank that needs most: live bytes of its arena, and with the libraries' pools: at least
  // this, since an arena has gaps.
  std::int64_t arena_live = 0, memory = 0;
  std::uint32_t worst_rank = 0;   // of the pipeline
  std::uint32_t worst_stage = 0;  // whose pass runs when most is alive
  StageAction worst_action = StageAction::forward;
  Verdict verdict = Verdict::estimated;
  Binding binding = Binding::compute;
  bool fits = true;
  // Ranks that do the same meet on links, each with its share of them.
  bool shares_links = false;
  // Messages between stages take other times in so many kinds of replicas that of each boundary the
  // slowest counted.
  bool replicas_differ = false;
  // Passes of the plan that would tell more if it were played (Contention::played): of a step that
  // takes as long or longer, but where it may be shorter. 0: nothing more is known.
  std::int32_t unplayed_passes = 0;
  bool may_be_shorter = false;
  // Whether what is not priced may be a matter of more than a few per cent, either way.
  bool is_marked() const {
    return shares_links || replicas_differ || contention > 0.02 * step_time;
  }
  bool ok() const { return verdict == Verdict::estimated; }
};

class EstimateTables;

// Messages that meet on links: what they may cost is said; or, where ranks of one pipeline meet
// each other and have few passes, their plan is played with what they leave each other (some
// milliseconds to a second).
enum class Contention : std::uint8_t { marked, played };

class Estimator {
 public:
  // steps: that a simulation plays, of which the first two are warm-up: where workers hold
  // different parts, steps differ. Errors: those of building the network or the cluster.
  static Result<Estimator> make(const ModelSpec& model, const Training& training,
                                const ClusterSpec& cluster, std::int64_t steps = 6);
  Estimator(Estimator&&) noexcept;
  ~Estimator();

  // Checks come first, from the cheapest: of what cannot be no more is found out.
  Estimate estimate(const StrategySpec& strategy, Contention contention = Contention::marked);
  // The same; what does not fit is not priced: verdict `memory`, with the bytes that say so.
  Estimate estimate_fitting(const StrategySpec& strategy);
  // Whether its estimate takes no longer than most: those of ZeRO-2 and 3 in pipelines play plans.
  bool is_quick(const StrategySpec& strategy);
  // For people; empty of what is estimated and fits.
  std::string reason(const StrategySpec& strategy, const Estimate& estimate);

  // Figures of an estimate that follow from the strategy alone.
  double samples_per_second(const Estimate& estimate) const;
  std::optional<double> mfu(const StrategySpec& strategy, const Estimate& estimate);
  std::int64_t labels_per_sample() const;
  // By rank of the pipeline, of subnetworks those of every worker after one another: live bytes of
  // the arena.
  std::vector<std::int64_t> arena_live(const StrategySpec& strategy);

 private:
  explicit Estimator(std::unique_ptr<EstimateTables> tables);
  std::unique_ptr<EstimateTables> tables_;
};

}  // namespace rehearse
