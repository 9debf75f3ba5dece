// The plan: which operations every rank runs, in what order, on which buffers, with whom.
//
// Ranks that run the same program up to renaming of peers and groups are one class; a rank binds
// the class's peer slots and group slots to real ranks and groups. A program's ops are listed in
// issue order. Each op stands on one lane; the ops of a lane run one after another in list order,
// and an op waits for the ops in `after` as well, all of which stand before it. The program is one
// period; the next one starts on a rank when its last op has ended there.
//
// There are no durations in a plan: Prices has them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/base/ids.h"
#include "model/base/units.h"
#include "model/collective/steps.h"
#include "model/net/lowering.h"
#include "model/net/model_spec.h"
#include "model/net/net.h"
#include "model/net/width.h"
#include "model/plan/training.h"

namespace rehearse {

// ---- buffers ---------------------------------------------------------------------------------

enum class BufferKind {
  parameters,       // flat, one per parameter class, or this rank's shard of it; persistent
  gradients,        // the same for gradients; persistent
  optimizer_state,  // the same for the optimizer's state; persistent
  outer_state,      // what the outer optimizer keeps of a class: arrays_of() arrays; persistent
  gathered,         // parameters of a range of a class, gathered from the shards
  unreduced,        // gradients of a range of a class, of one micro-batch (or summed up from it)
  value,            // a boundary value of one micro-batch
  gradient,         // its gradient
  saved,            // what a forward op keeps for its backward (its input gradients)
  kept,             // what it keeps for its weight gradients, where backward is split
  deferred,         // output gradients kept for the weight gradients
  squares,          // a sum of gradients' squares (square_numbers())
  scratch,          // lives while one op runs
  communication,    // chunks that a collective receives
};
std::string_view to_string(BufferKind kind);
// Persistent buffers live for the whole run; the others are allocated and freed by ops.
bool is_persistent(BufferKind kind);
// Whether it holds a range of a class: gathered and unreduced.
bool holds_range(BufferKind kind);

struct Buffer {
  BufferKind kind = BufferKind::scratch;
  Bytes size;
  std::optional<ValueId> value = std::nullopt;  // of value and gradient
  // Of the persistent kinds, gathered and unreduced; the last two hold elements [begin, end).
  std::optional<ParameterClassId> parameter_class = std::nullopt;
  std::int64_t begin = 0, end = 0;
};

enum class Access { read, write, update };  // update: reads and writes
std::string_view to_string(Access access);

struct Operand {
  BufferId buffer;
  Access access = Access::read;
  bool allocates = false;  // the buffer's life begins with this op
  bool frees = false;      // ... ends with it
  friend bool operator==(const Operand&, const Operand&) = default;
};

// ---- ops -------------------------------------------------------------------------------------

enum class OpKind {
  load_batch,
  forward,
  backward,         // all gradients
  backward_input,   // of a split backward: what the stage before waits for
  backward_weight,  // ... and the rest
  recompute,        // forward once more, for what backward needs of it
  accumulate,       // adds one micro-batch's gradients to another's, where sums are exact
  clear,            // of what does not run in this step: its gradients are 0
  send,
  receive,
  all_reduce,
  reduce_scatter,
  all_gather,
  broadcast,    // of weights, to those who read a class and do not train it
  sum_squares,  // of all gradients, where their norm is clipped
  optimizer_step,
  outer_gradient,  // where steps are local: what the holders of a class exchange when they meet
  outer_step       // ... and how its weights follow from it
};
inline constexpr OpKind kLastOpKind = OpKind::outer_step;
inline constexpr int kOpKindCount = static_cast<int>(kLastOpKind) + 1;
std::string_view to_string(OpKind kind);

// load_batch, forward to recompute: micro-batch numbers count from 0 on each rank.
struct Compute {
  SegmentId begin, end;  // empty for load_batch
  MicroBatchId micro_batch;
};
// send, receive: the pair is (sender, receiver, tag), unique in a plan. The buffer is operand 0.
struct Transfer {
  std::size_t peer = 0;  // slot in the rank's binding
  std::int64_t tag = 0;
  Bytes bytes;
};
// all_reduce, reduce_scatter, all_gather, broadcast over a group, of elements [begin, end) of a
// parameter class, of a value (or its gradient) as a whole, or of sums of squares. Operand 0 is
// worked on in place, or is the source where operand 1 is the destination:
//   all_reduce      of gradients, a value or sums of squares: sum / divisor on every member
//   reduce_scatter  of gradients: member i gets sum / divisor of chunk i, in place, or in its shard
//                   (added to it if the shard is updated, not written); of a value: its rows
//   all_gather      of parameters: everybody gets all chunks, in place, or from the shards; of a
//                   value: all rows, or in place all shares of it
//   broadcast       of parameters, over their readers: what the first `sources` members have,
//                   everybody gets
struct Collective {
  std::size_t group = 0;                            // slot in the rank's binding
  std::optional<ParameterClassId> parameter_class;  // none: a value, or squares
  std::int64_t begin = 0, end = 0;
  std::int64_t element_bytes = 0;
  std::int64_t divisor = 1;
  CollectiveAlgorithm algorithm = CollectiveAlgorithm::ring;
  std::int64_t sources = 0;       // of a broadcast
  std::int64_t node_members = 1;  // CollectiveShape's, of a hierarchical one
  std::int64_t pieces = 1;        // ... of a double tree
};
// accumulate, of elements [begin, end) of a class: operand 0, the sum over a run of micro-batches
// (a class's flat gradients, or an unreduced buffer), becomes it plus operand 1, the sum over the
// run after it, divided where the result is over all of them and nobody else adds to it.
struct Accumulate {
  ParameterClassId parameter_class;
  std::int64_t begin = 0, end = 0;
  std::int64_t divisor = 1;
};
// clear, of elements [begin, end) of a class: operand 0, its gradients, becomes 0 there.
struct Clear {
  ParameterClassId parameter_class;
  std::int64_t begin = 0, end = 0;
};
// sum_squares: operand 0 becomes the sum of the squares of the reduced gradients that this rank
// answers for, so that all ranks' sums add up to the square of the gradients' norm: of what is
// sharded its share; of a class with a group its chunk of [0, elements), as of a shard; all of a
// class without, and of any class where steps are local: there the ranks of one replica have a norm
// between them. Of parameters that tensor-parallel ranks hold alike (Spread::replicated) slice 0
// counts them.
struct SumSquares {};
// optimizer_step; where gradients are clipped, they are scaled by what the squares say.
//
// outer_gradient: the class's gradients become what is to be averaged over its holders: with an
// outer optimizer its anchor - the weights (the master copy, if there is one), without the weights.
// outer_step: the weights, with their master copy, become what follows from the average.
struct Optimize {
  ParameterClassId parameter_class;
};

struct Op {
  OpKind kind = OpKind::forward;
  LaneId lane;
  std::vector<OpId> after;
  std::vector<Operand> operands;
  std::variant<Compute, Transfer, Accumulate, Clear, Collective, SumSquares, Optimize> detail;
};

// ---- programs --------------------------------------------------------------------------------

// What the holders of a class share out among themselves (Rajbhandari et al., ZeRO, SC 2020,
// section 5): each level adds to the one before.
enum class Sharding { none, optimizer_state, gradients, parameters };
std::string_view to_string(Sharding sharding);

// Parameters with the same holders (who train them), in one flat buffer without padding, in the
// order in which backward finishes their gradients.
//
// A sharded class is cut into buckets, every bucket into as many chunks as there are holders: chunk
// k of n elements over c holders is [k n / c, (k+1) n / c), and member k's. Its shard has room for
// ceil(n / c) elements per bucket, in the order of the buckets.
struct ParameterClass {
  std::vector<ParameterId> parameters;
  std::int64_t elements = 0;
  std::optional<std::size_t> group;  // slot of the holders' group; none: this rank alone
  std::int64_t holders = 1;
  Sharding sharding = Sharding::none;
  std::vector<std::int64_t> buckets;  // ends, ascending, the last is `elements`; empty: not sharded
  // Slot of the group of all ranks that read it, holders first, where some of them do not hold it:
  // holders broadcast the new weights to it.
  std::optional<std::size_t> readers = std::nullopt;
  // Whether this rank is a holder: computes gradients, keeps the optimizer's state and updates.
  // Otherwise it has the weights only, and `holders` are others; or there are none of either, and
  // it is parked (is_parked()).
  bool is_held = true;
};

// One lane computes; each other lane carries one kind of message in one direction, so that a
// message that waits holds up only its like.
enum class LaneKind {
  compute,
  send_forward,
  receive_forward,
  send_backward,
  receive_backward,
  collective,  // of gradients, and of the weights they change
  gather,      // of parameters that are sharded
  tensor       // between tensor-parallel ranks
};
std::string_view to_string(LaneKind kind);

// stage: of the lanes between stages, the one whose input or output is carried. 0 on the others.
struct Lane {
  LaneKind kind = LaneKind::compute;
  StageId stage;
  friend auto operator<=>(const Lane&, const Lane&) = default;
};

// One stage of the pipeline, on one rank: segments [begin, end).
struct Stage {
  StageId number;
  SegmentId begin, end;
};

struct RankProgram {
  std::string name;           // "stage2", "worker1"
  std::vector<Stage> stages;  // ascending
  Subnetwork subnetwork;      // units it holds; under stochastic depth those that it runs
  // Instead of the plan's, where workers hold different shares of the units.
  std::optional<double> branch_scale_in_training = std::nullopt;
  std::int64_t micro_batches = 1;
  std::vector<Lane> lanes;
  std::vector<ParameterClass> parameter_classes;
  std::vector<Buffer> buffers;
  std::vector<Op> ops;
};

struct RankBinding {
  RankClassId program;
  std::vector<RankId> peers;
  std::vector<GroupId> groups;
  // Number, in the global batch, of its first micro-batch.
  std::int64_t first_micro_batch = 0;
  // Which slice it has of what tensor parallelism slices.
  std::int64_t slice = 0;
};

// Members in the order collectives number them.
struct Group {
  std::vector<RankId> members;
};

// The axes along which ranks are laid out.
enum class Axis { data, subnetwork, pipeline, tensor };
inline constexpr int kAxisCount = 4;
std::string_view to_string(Axis axis);
// Outermost first: neighbours along the last axis are neighbouring ranks.
using AxisOrder = std::array<Axis, kAxisCount>;
inline constexpr AxisOrder kAxisOrder = {Axis::data, Axis::subnetwork, Axis::pipeline,
                                         Axis::tensor};

// How a subnetwork leaves out what it does not hold: it is absent from forward, backward and
// update; or the whole network runs, but weight gradients are computed for the held part only.
enum class Masking { forward, backward };
std::string_view to_string(Masking masking);

// By what the sum of a unit's gradients is divided: the replicas that hold it, or all.
enum class Averaging { holders, all };
std::string_view to_string(Averaging averaging);

struct Mesh {
  // Ranks along each axis; workers: of subnetwork data parallelism.
  std::int64_t data = 1, workers = 1, pipeline = 1, tensor = 1;
  AxisOrder order = kAxisOrder;
  std::int64_t size(Axis axis) const;
  std::int64_t ranks() const { return data * workers * pipeline * tensor; }
};

// What is computed again in backward instead of being kept: nothing; the cores of attention, inside
// their kernels (Korthikanti et al., arXiv 2205.05198, section 5); or all but the inputs of blocks.
enum class Recomputation { none, selective, full };
std::string_view to_string(Recomputation recomputation);

// Relative times of the blocks' passes, and of a message between stages: what stages are cut and
// passes placed by. Plain numbers: whoever builds a plan gets them from elsewhere.
struct StageCosts {
  std::vector<double> forward, backward_input, backward_weight;  // by block
  double transfer = 0;
};

struct Plan {
  static constexpr int kVersion = 4;
  std::string strategy;
  ModelSpec model;
  Training training;
  Mesh mesh;
  bool sequence_parallel = false;  // between tensor-parallel ranks
  Recomputation recomputation = Recomputation::none;
  UnitRule units;  // of the network
  Masking masking = Masking::forward;
  Averaging averaging = Averaging::holders;
  // 1: gradients are averaged over their holders in every step. More: replicas train for as many
  // steps each for itself, and at the end of the last one the holders' weights come together, by
  // their mean or an outer optimizer; there is a plan of that step and one of those before it.
  std::int64_t local_steps = 1;
  bool synchronises = true;  // whether it is that step's
  std::optional<OuterOptimizer> outer = std::nullopt;
  std::int64_t micro_batch_samples = 1;
  double branch_scale_at_test = 1;  // multiplies the branches of units at evaluation
  double branch_scale_in_training = 1;
  // Stochastic depth (Huang et al., ECCV 2016, equation 4): every replica holds all units, and runs
  // in a step those that it has drawn, the last one with this probability (survival_of()); it adds
  // zeros to the gradients of the others. A plan is of one draw.
  std::optional<double> survival = std::nullopt;
  // Steps after which another plan takes this one's place, of the same strategy with masks drawn
  // anew; none: this one's stay.
  std::optional<std::int64_t> redraw = std::nullopt;
  StageCosts stage_costs;  // as used; empty if they were not
  std::vector<Group> groups;
  std::vector<RankProgram> programs;
  std::vector<RankBinding> ranks;
};

// ---- queries ---------------------------------------------------------------------------------

const RankProgram& program_of(const Plan& plan, RankId rank);
const Compute& compute_of(const Op& op);
const Transfer& transfer_of(const Op& op);
const Collective& collective_of(const Op& op);
const Accumulate& accumulate_of(const Op& op);
const Clear& clear_of(const Op& op);
const Optimize& optimize_of(const Op& op);
bool is_communication(OpKind kind);
bool is_collective(OpKind kind);
CollectiveKind collective_kind(OpKind kind);
// What its step lists follow from, over a group of so many members.
CollectiveShape shape_of(const Op& collective, std::size_t members);
// Whether a collective is of sums of squares: its first operand says so.
bool is_of_squares(const RankProgram& program, const Op& op);
// Whether it runs kernels of the network: forward, backward of all kinds, recompute.
bool is_pass(OpKind kind);
// How a pass is lowered. A forward op that keeps something for weight gradients has a split
// backward; where there is nothing to keep, both lower alike.
Pass pass_of(const RankProgram& program, const Op& op);
// Elements that each holder of a sharded class has room for; where the bucket that begins at an
// element starts in them; and the elements of a member's chunk of [begin, end).
std::int64_t shard_elements(const ParameterClass& parameter_class);
std::int64_t shard_offset(const ParameterClass& parameter_class, std::int64_t bucket_begin);
ElementRange chunk_of(std::int64_t begin, std::int64_t end, std::size_t members,
                      std::size_t member);
// Number of a rank in a group that it is a member of.
std::size_t member_number(const Group& group, RankId rank);
// Whether a buffer of this kind is made for one micro-batch and used for no other.
bool is_of_a_micro_batch(BufferKind kind);
// By buffer: its micro-batch, by the first pass that uses it or what it is exchanged with; none: of
// none, or only passed on.
std::vector<std::optional<MicroBatchId>> micro_batch_of_buffers(const RankProgram& program);
// The stage that a segment belongs to in this program.
std::optional<std::size_t> stage_with(const RankProgram& program, SegmentId segment);
// Whether it is of units that nobody holds under forward masking: one rank keeps the weights, and
// the optimizer's state where somebody may hold them later, and no op touches them.
bool is_parked(const ParameterClass& parameter_class);
// The group of a collective op on this rank, or of a parameter class.
const Group& group_at(const Plan& plan, RankId rank, std::size_t slot);
const Group& group_of(const Plan& plan, RankId rank, const Op& op);
// Real micro-batch number in the global batch.
std::int64_t global_micro_batch(const Plan& plan, RankId rank, MicroBatchId local);
// Divisor of the loss on this rank, so that its gradients are means over its samples and labels:
// over those of one micro-batch where sums are exact.
std::int64_t samples_of_loss(const Plan& plan, RankId rank);
// Whether gradients of several micro-batches are kept apart and added up by accumulate ops.
bool accumulates_exactly(const Training& training, std::int64_t micro_batches);
// Whether passes of a micro-batch add to the class's flat buffer of gradients: where they are kept
// apart only the first one's, whose sum grows there. Otherwise they add to an unreduced buffer.
bool adds_to_flat(const Training& training, const RankProgram& program, const ParameterClass& held,
                  MicroBatchId micro_batch);
// Whether replicas train each for itself between synchronisations, and whether all holders of a
// class have the same weights when a step ends: not between these.
bool has_local_steps(const Plan& plan);
bool copies_agree(const Plan& plan);
// Whether the weights of a class come together at the end of the step: by an outer gradient and an
// outer step, with reductions between them where others hold it, too.
bool synchronises(const Plan& plan, const ParameterClass& held);
// Probability that unit l of L runs, counted from 1 as they follow one another: 1 - l/L (1 - last).
double survival_of(std::size_t unit, const Net& net, double last);
// By unit: what its branch is multiplied by at evaluation.
std::vector<double> branch_scales_at_test(const Plan& plan, const Net& net);
// The network that the plan's segments and values refer to: its model, cut into units, sliced and
// recomputing as the plan says.
Result<Net> whole_net(const Plan& plan);
// The same of a network that stands for what plan.model builds.
Result<Net> whole_net(const Plan& plan, Net model);
// The same before tensor-parallel ranks slice it.
Result<Net> unsliced_net(const Plan& plan);
// The network as a program trains it: of the whole net, what is held, branches scaled; or all of
// it, with what is not held frozen.
Net net_of(const Plan& plan, const Net& full, const RankProgram& program);
// The same of a rank, with its slices.
Net net_of(const Plan& plan, const Net& full, RankId rank);

}  // namespace rehearse
