// The figures of a plan: predicted and measured ones in the same form, with the same meaning.
//
// JSON: {scenario, source, strategies: [...]} with the units in the keys (README, "What the figures
// mean"). Figures that were not taken are null.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "cost/error_band.h"
#include "cost/missing_prices.h"
#include "model/base/diagnostic.h"
#include "model/base/styled_text.h"
#include "model/base/units.h"
#include "model/cluster/device.h"
#include "model/net/net.h"
#include "model/plan/plan.h"
#include "model/plan/timeline.h"
#include "tools/summary/pictures.h"

namespace rehearse {

struct MemorySummary {
  Bytes peak, arena, arena_live;
};

struct TrafficSummary {  // per step
  Bytes sent, received;
  friend bool operator==(const TrafficSummary&, const TrafficSummary&) = default;
};

// Memory and traffic: none where prices are stated, for ops on tensors of no size.
struct RankSummary {
  std::int64_t rank = 0;
  std::optional<MemorySummary> memory = std::nullopt;
  std::optional<TrafficSummary> traffic = std::nullopt;
  Seconds compute, exposed_communication, idle;
};

struct KindSummary {
  OpKind kind = OpKind::forward;
  std::int64_t ops = 0;  // per step, over all ranks
  Seconds busy;          // per rank and step, from start to end
};

struct LinkSummary {
  std::string name;
  Bytes bytes;             // per step
  double utilisation = 0;  // of its bandwidth over a step
};

struct PoolSummary {
  std::string name;
  Bytes size;  // on the worst rank
};

// One op of the step of median length, for pictures.
struct PictureSpan {
  std::int64_t rank = 0;
  LaneKind lane = LaneKind::compute;
  OpKind kind = OpKind::forward;
  std::string label;
  Seconds start, end;  // from the step's beginning
};

struct AccuracyAt {
  std::int64_t step = 0;
  double accuracy = 0, loss = 0;
};

// Where workers hold parts of the network.
struct SubnetworkSummary {
  std::int64_t workers = 1, holders = 1;  // holders: of a unit, or the fewest
  double step_multiplier = 1;             // steps of its run for one of data parallelism's
  std::optional<double> equal_flops = std::nullopt;  // the same, of runs that execute as many FLOPs
  struct UnitHolders {
    std::string name;
    std::vector<std::int64_t> workers;                  // that hold it, ascending
    std::optional<std::int64_t> parked = std::nullopt;  // the worker that keeps it if nobody does
  };
  std::vector<UnitHolders> units;
  // Where masks are redrawn: after so many steps; what a rank receives then, and how long it takes:
  // means over ranks and draws.
  struct Redraw {
    std::int64_t every = 1;
    Bytes received;
    Seconds time;
    std::vector<Bytes> by_redraw = {};  // by all ranks together, in each of the first
  };
  std::optional<Redraw> redraw;
};

// Holders of a unit.
struct HolderCount {
  std::int64_t least = 1, most = 1;
  double mean = 1;
  bool is_same() const { return least == most; }
};
HolderCount count_holders(const SubnetworkSummary& summary);

// Where replicas train each for itself and then come together: a period of so many steps, of which
// the last one synchronises. Figures are means over it, memory the larger, op counts and the
// picture of the step that synchronises; the hash is that of the plan which a period, and a run,
// begins with.
struct LocalStepsSummary {
  std::int64_t steps = 1;
  Seconds local_step, synchronising_step;
};

// Changes of plans in which state moved, of a measured run.
struct TransitionsSummary {
  std::int64_t count = 0;
  Bytes received;  // by a rank in one of them: means over ranks and changes
  Seconds time;    // of one of them: mean
};

// Of steps that differ by chance.
struct StepTimesSummary {
  std::int64_t steps = 1;
  Seconds mean, p50, p99;  // the k-th percentile: the shortest that k % of the steps do not exceed
};

// What the rank has that has most of it, each of them for itself: not one rank's memory.
struct LargestSummary {
  Bytes state;        // parameters, gradients and the optimizer's state
  Bytes activations;  // at the moment of the rank's peak
};

struct StrategySummary {
  std::string strategy, plan_hash;
  std::optional<SubnetworkSummary> subnetwork;
  std::optional<LocalStepsSummary> local_steps;
  bool data_parallel = false;  // replicas and nothing else: what others are held against
  // Stochastic depth: steps of a run of as many FLOPs as one that leaves nothing out.
  std::optional<double> step_multiplier = std::nullopt;
  Seconds step_time;
  // Of predictions on devices whose profiles say how far off they are.
  std::optional<TimeBand> step_time_band = std::nullopt;
  // Of predictions with bands: the others, by number in the summary, whose runs take longer or less
  // long by no more than the profile's errors may be off. Ascending.
  std::vector<std::size_t> alike = {};
  std::optional<StepTimesSummary> step_times = std::nullopt;  // where the machine has jitter
  double samples_per_s = 0;
  std::optional<double> tokens_per_s, mfu;
  // Of what is computed, by the kinds of numbers that it is priced by (Provenance's order);
  // predictions only.
  std::optional<std::array<double, kProvenanceCount>> price_shares = std::nullopt;
  // What was had for nothing since a profile does not price it; predictions only.
  std::vector<MissingPrice> missing_prices = {};
  double bubble_fraction = 0;
  Seconds compute, exposed_communication, idle;  // of the rank that computes longest
  std::optional<MemorySummary> memory;           // of the worst rank
  std::vector<PoolSummary> pools;
  std::optional<LargestSummary> largest;  // of predictions
  std::optional<bool> fits;
  std::vector<RankSummary> ranks;
  std::vector<LinkSummary> links;
  std::vector<KindSummary> kinds;
  std::vector<PictureSpan> picture;
  StrategyPictures pictures;  // empty, or as far as they were asked for
  // Measured runs only.
  std::vector<double> losses;
  std::vector<AccuracyAt> evaluations;
  std::optional<TransitionsSummary> transitions;
  std::vector<std::string> weight_hashes;  // by step, 16 hexadecimal digits each
};

struct Summary {
  std::string scenario;
  std::string source;  // "predicted" or "measured"
  std::string device;  // name of the profile, or of the backend
  std::vector<StrategySummary> strategies;
  std::optional<std::string> transport = std::nullopt;  // of measured runs: what messages went over
  std::optional<TopologyPicture> topology = std::nullopt;
  // Of predictions: of each device, where all have as much and it is theirs alone.
  std::optional<Bytes> device_memory = std::nullopt;
};

// What follows from the plan and its timeline; memory, bytes and links are left to the caller.
StrategySummary summarize(const Plan& plan, const Net& net, const Timeline& timeline,
                          std::int64_t warm_up);
// The same, where the timeline has been broken down.
StrategySummary summarize(const Plan& plan, const Net& net, const Timeline& timeline,
                          std::int64_t warm_up, const Breakdown& breakdown);

StepTimesSummary step_times_of(std::vector<Seconds> steps);

// Of a period of so many steps, by what one of its first ones and its last one take alone.
StrategySummary over_period(const StrategySummary& local, const StrategySummary& synchronising,
                            std::int64_t steps);
// Of steps that differ by chance: means, and what has none is the first one's.
StrategySummary mean_of(const std::vector<StrategySummary>& steps);
// The memory of another step of the same strategy, instead of its own.
void take_memory_of(StrategySummary& summary, const StrategySummary& other);

// The largest of what the ranks have; none if none has any.
void take_worst_memory(StrategySummary& summary);
// The most that a rank sends, and what all of them do.
std::optional<Bytes> most_sent(const StrategySummary& summary);
std::optional<Bytes> total_sent(const StrategySummary& summary);

std::string print_json(const Summary& summary);
Result<Summary> parse_summary(const std::string& text, const std::string& path);
// The same of a file among others: none where it is JSON that does not mean to be a summary.
Result<std::optional<Summary>> parse_if_summary(const std::string& text, const std::string& path);

// The table people read.
StyledText print_table(const Summary& summary);

}  // namespace rehearse
