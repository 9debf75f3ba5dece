// A whole training run, and what was measured in it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "exec/backend.h"
#include "exec/batch_source.h"
#include "exec/plan_source.h"
#include "exec/run/alignment.h"
#include "exec/run/assemble.h"
#include "exec/run/evaluate.h"
#include "exec/run/executor.h"
#include "exec/transport.h"
#include "model/plan/timeline.h"

namespace rehearse::exec {

struct TrainOptions {
  std::int64_t steps = 1;
  std::int64_t evaluate_every = 0;          // steps; 0: never
  std::set<std::int64_t> evaluate_at = {};  // ... and after so many
  std::int64_t align_every = 0;             // the same, of the subnetworks' gradients
  std::function<void(std::int64_t step, double loss)>
      progress;  // on the first rank that has the loss
  bool keep_first_step = false, keep_weights = false, hash_weights = false;  // in the result
  ExecutorOptions executor;
};

// What the first step begins with, and the gradients that it finds.
struct FirstStep {
  Weights weights, gradients;
};

// Of one rank, over the whole run.
struct RankMeasurement {
  Traffic traffic;           // of steps; by group: of those with the last plan
  Bytes arena_extent;        // high-water mark of the tensor arena
  Bytes arena_live;          // largest sum of live tensors
  Bytes workspace;           // of the libraries, for steps alone
  Bytes carried;             // most state put aside while plans changed
  std::string class_hashes;  // of its copies
};

// Steps of one plan, one after the other.
struct Stretch {
  std::shared_ptr<const Plan> plan;
  std::int64_t first_step = 0;
  Timeline timeline;  // of all ranks, on one clock
};

// Changes of plans in which state moved.
struct Transitions {
  std::int64_t count = 0;  // of redraws, also of those that moved nothing
  Bytes received;          // by all ranks together, of all of them
  Seconds time;            // of all of them
};

struct EvaluationAt {
  std::int64_t step = 0;  // steps done
  Evaluation evaluation;
};

inline constexpr std::size_t kKeptStretches = 64;

// On rank 0; empty elsewhere.
struct TrainingRun {
  // The last ones, and no more than kKeptStretches; one where the plan does not change.
  std::vector<Stretch> stretches;
  Transitions transitions;
  std::vector<double> losses;                // by step: mean over the global batch
  std::vector<double> gradient_norms;        // by step, where they are clipped: before
  std::vector<std::uint64_t> weight_hashes;  // by step, if they are asked for: weight_hash()
  std::vector<EvaluationAt> evaluations;
  std::vector<AlignmentAt> alignments;
  std::vector<RankMeasurement> ranks;
  Weights weights;                      // of the whole model, at the end, if they are asked for
  std::optional<FirstStep> first_step;  // if it was asked for
};

// Everybody calls this with the same plans. net: the whole network of their model.
TrainingRun train(PlanSource& plans, const Net& net, Backend& backend, Transport& transport,
                  BatchSource& batches, EvaluationSource* evaluation, const TrainOptions& options);
// ... with one plan.
TrainingRun train(const Plan& plan, const Net& net, Backend& backend, Transport& transport,
                  BatchSource& batches, EvaluationSource* evaluation, const TrainOptions& options);

// Whether all holders of a class have the same copy, by their hashes; empty if so, else what
// differs.
std::string differing_copies(const std::vector<RankMeasurement>& ranks);

}  // namespace rehearse::exec
