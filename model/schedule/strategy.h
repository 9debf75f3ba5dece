// One strategy entry of a scenario: how the training is split over the ranks.
//
// The functions that turn its numbers into shapes say what is wrong with them, one key each, so
// that whoever read the key can say where it stands.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/base/units.h"
#include "model/plan/plan.h"
#include "model/plan/transition.h"
#include "model/schedule/collective_choice.h"
#include "model/schedule/fraction.h"
#include "model/schedule/schedule_csv.h"

namespace rehearse {

// A number of ranks along one axis; none: auto, what the other axes leave.
using AxisSize = std::optional<std::int64_t>;

// Where a pipeline's stages begin: where the blocks' costs are shared most evenly and fit in
// memory; or at every so many layers (cut_layers()), as Megatron-LM has it.
enum class StageRule { cost, layers };
const std::vector<StageRule>& stage_rules();
std::string_view to_string(StageRule rule);

struct PipelineSpec {
  AxisSize stages;                                    // ranks; with chunks, each has several stages
  std::string schedule = "1f1b";                      // a row of pipeline_schedules() (pipeline.h)
  std::int64_t micro_batches = 1;                     // per data-parallel replica and step
  std::optional<std::int64_t> chunks = std::nullopt;  // per rank; none: the schedule's fewest
  StageRule cut = StageRule::cost;
  StageExchange exchange = StageExchange::overlapped;
  // Whether tensor-parallel ranks, which have what crosses stages alike, send a share each of it
  // and gather what they receive (Narayanan et al., arXiv 2104.04473, section 4.1).
  bool scatter_gather = false;
  // Most activations that a rank may keep, where the schedule asks (PipelineRequest::live_limit);
  // none: as many as 1F1B, one per rank of the pipeline.
  std::optional<double> live = std::nullopt;
  double kept_after_input = 1;  // PipelineRequest::kept_after_input
  // Passes, and messages if it has them, of all ranks, instead of a schedule's.
  std::optional<ScheduleTable> table = std::nullopt;
  PipelineShape table_shape = {};  // shape_of(*table)
};

struct TensorSpec {
  AxisSize ranks;
  bool sequence_parallel = false;
  // Whether what backward exchanges of a block's input is under way while its first weights'
  // gradients are computed, as in Megatron-LM (Korthikanti et al., arXiv 2205.05198, section 6).
  bool overlap = false;
};

// What a worker holds or leaves out: blocks, or parts of every inner width (model/net/width.h).
enum class Construction { block, width };
// How a branch that only C of the workers train is weighted: C times at evaluation (the default, as
// in dropout's original form), 1/C times in training, or not at all.
enum class Scaling { at_test, in_training, none };
// The load that the assignment of units to workers levels.
enum class Balance { flops, parameters, saved };
// Who holds which units: as many workers for every unit, levelled (assignment.h); or each worker
// its share of them, whoever else holds them (deal.h): the first ones, a set of its own, or a
// window that begins at the same unit for all and moves on with every draw.
enum class AssignmentKind { balanced, nested, random, rolling };
std::string_view to_string(AssignmentKind kind);
std::string_view to_string(Construction construction);
std::string_view to_string(Scaling scaling);
std::string_view to_string(Balance balance);

struct SubnetworkSpec {
  AxisSize workers;
  Construction construction = Construction::block;
  Fraction coverage;                    // of the workers that hold a unit
  std::optional<std::int64_t> holders;  // given instead of coverage
  // By worker, instead of one for all: its share of the units. They add up to the holders where
  // these are the same of every unit.
  std::vector<Fraction> coverages = {};
  AssignmentKind assignment = AssignmentKind::balanced;
  // Units of every width where they are dealt by coverage; none: as many as workers.
  std::optional<std::int64_t> width_units = std::nullopt;
  Masking masking = Masking::forward;
  Scaling scaling = Scaling::at_test;
  Balance balance = Balance::flops;
  Averaging averaging = Averaging::holders;
  std::vector<std::string> always_held = {};  // blocks, by name: everybody holds all of them
  std::vector<WidthAxis> axes = {};           // widths that are cut, ascending; empty: all
  // Steps after which who holds what is drawn anew; none: never. Which draw a plan is of.
  std::optional<std::int64_t> redraw = std::nullopt;
  std::int64_t draw = 0;
  Moments moments = Moments::keep;  // when masks are drawn anew
  // Workers that are gone, ascending: the others go on with what they hold, and with their part of
  // the batch.
  std::vector<std::int64_t> lost = {};
  // Steps that a run of it takes for one of data parallelism's, as reports compare them; none: 1/C,
  // as many FLOPs where everything is masked forward (Singh et al., arXiv 2507.09029).
  std::optional<double> step_multiplier = std::nullopt;
};

// Stochastic depth (Huang et al., ECCV 2016): in every step each replica leaves out blocks that it
// draws at random, block l of L with probability l/L (1 - keep), and has all of them at evaluation.
struct StochasticDepth {
  double keep = 0.5;      // probability that the last block runs
  std::int64_t draw = 0;  // which one a plan is of; kNothingDropped: of none
};
inline constexpr std::int64_t kNothingDropped = -1;

struct StrategySpec {
  std::string name;
  AxisSize data = 1;
  Sharding sharding = Sharding::none;  // of what the data-parallel replicas hold alike
  std::int64_t prefetch = 1;           // blocks gathered ahead, where parameters are sharded
  std::optional<PipelineSpec> pipeline;
  std::optional<TensorSpec> tensor;
  std::optional<SubnetworkSpec> subnetwork;
  std::int64_t micro_batches = 1;  // gradient accumulation, without a pipeline
  Bytes bucket = Bytes::mib(25);   // gradients per all-reduce (PyTorch's default)
  bool overlap = true;             // whether they are reduced while backward goes on
  Recomputation recomputation = Recomputation::none;
  AxisOrder order = kAxisOrder;
  // As in Plan. Which of a period's plans is built: that of its last step, or of the others.
  std::int64_t local_steps = 1;
  std::optional<OuterOptimizer> outer = std::nullopt;
  bool synchronises = true;
  std::optional<StochasticDepth> stochastic_depth = std::nullopt;
  // How gradients, weights and values are exchanged; of exact sums always pairwise.
  CollectiveAsked collectives = CollectiveAlgorithm::ring;
};

// Ranks along each axis. Errors: several axes are auto, or they do not multiply to the devices.
Result<Mesh> resolve_mesh(const StrategySpec& strategy, std::int64_t devices);

// Micro-batches of one rank and step.
std::int64_t micro_batches_of(const StrategySpec& strategy);
// Errors: the global batch does not divide among replicas and micro-batches.
Result<std::int64_t> micro_batch_samples(const StrategySpec& strategy, const Mesh& mesh,
                                         std::int64_t batch);
// The pipeline that a strategy asks for: of one rank and stage, if it asks for none.
PipelineShape pipeline_shape(const StrategySpec& strategy, const Mesh& mesh);
// What is wrong with a strategy, and which of its keys says so. Of a pipeline: more stages than
// blocks, or layers that its stages do not divide, where it is cut by them; a shape or live limit
// that the schedule, or the schedule file, cannot have.
enum class StrategyKey {
  stages,
  schedule,
  chunks,
  micro_batches,
  live,
  scatter_gather,
  tensor,
  data,
  masking,
  averaging,
  redraw,
  local_steps,
  outer,
  stochastic_depth,
  collectives
};
struct StrategyProblem {
  StrategyKey key;
  std::string message;
};
struct BlockCount {
  std::size_t blocks = 0, layers = 0;  // layers: the longest run of blocks that are alike
};
BlockCount count_blocks(const Net& net);
std::optional<StrategyProblem> check_pipeline(const StrategySpec& strategy, const Mesh& mesh,
                                              const BlockCount& net);
// Why gradients cannot be added up in one order whoever has them (Reduction::exact): tensor
// parallelism; parameters whose gradients have terms on several ranks of a pipeline; micro-batches
// of several replicas that are no power of two each; an algorithm that adds in another order.
std::optional<StrategyProblem> check_exact(const StrategySpec& strategy, const Mesh& mesh,
                                           const Net& net);
// Why replicas cannot train each for itself for several steps: an exchange that every step needs
// (ZeRO, backward masking, exact sums, gradients that several ranks of a replica have terms of);
// averages of something else than the weights; holders that are drawn anew between two
// synchronisations; weights that the exchange would round; nobody to come together with; an outer
// optimizer without local steps.
std::optional<StrategyProblem> check_local_steps(const StrategySpec& strategy, const Mesh& mesh,
                                                 const Training& training, const Net& net);
// Why replicas cannot each leave out what they draw: they are not whole and alike (other axes,
// ZeRO-2 and 3, local steps), the network has no blocks to leave out, or sums are to be exact.
std::optional<StrategyProblem> check_depth(const StrategySpec& strategy, const Mesh& mesh,
                                           const Training& training, const Net& net);
// c = C N, workers that hold each unit. Errors: not an integer, or more holders than workers;
// coverages of another number of workers.
Result<std::int64_t> holders_of(const SubnetworkSpec& subnetwork, std::int64_t workers);
// The coverage of each worker. Errors: coverages of another number of workers.
Result<std::vector<Fraction>> coverages_of(const SubnetworkSpec& subnetwork, std::int64_t workers);
// Whether somebody leaves something out. Errors: holders_of()'s where units have equally many
// holders, or else coverages_of()'s.
Result<bool> masks(const SubnetworkSpec& subnetwork, std::int64_t workers);
// What is wrong with an assignment that deals units by coverage: backward masking where units may
// have no holder, whom all others get new weights from; averages over all workers where units may
// have a single one, who adds up nothing. net: as the units are cut.
std::optional<StrategyProblem> check_dealing(const SubnetworkSpec& subnetwork, std::int64_t workers,
                                             const Net& net);
// The blocks that a subnetwork's always_held names, ascending. Errors: there is no such block.
Result<std::vector<BlockId>> always_held_blocks(const SubnetworkSpec& subnetwork, const Net& net);
// Which parts of the network are units: none, where there are no subnetworks or everybody holds
// all; where they are made width-wise every inner width has one per worker, or width_units. Errors:
// masks()'s and always_held_blocks()'s; cut_units()'s; tensor parallelism, which cuts the same
// widths; widths of one unit.
Result<UnitRule> unit_rule(const StrategySpec& strategy, const Mesh& mesh, const Net& net);
// Errors: fewer holders than workers of a network without units, which all would hold whole, or
// with so few that some workers would hold none; all replicas to be averaged over, where units have
// one holder. net: as the units are cut.
Status check_units(const StrategySpec& strategy, const Mesh& mesh, const Net& net);

}  // namespace rehearse
