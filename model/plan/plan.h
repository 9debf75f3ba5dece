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

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/base/ids.h"
#include "model/base/units.h"
#include "model/collective/steps.h"
#include "model/net/model_spec.h"
#include "model/net/net.h"
#include "model/plan/training.h"

namespace rehearse {

// ---- buffers ---------------------------------------------------------------------------------

enum class BufferKind {
  parameters,       // flat, one per parameter class; persistent
  gradients,        // flat, one per parameter class; persistent
  optimizer_state,  // flat, one per parameter class; persistent
  value,            // a boundary value of one micro-batch
  gradient,         // its gradient
  saved,            // what a forward op keeps for its backward op
  scratch,          // lives while one op runs
  communication,    // chunks that a collective receives
};
std::string_view to_string(BufferKind kind);
// Persistent buffers live for the whole run; the others are allocated and freed by ops.
bool is_persistent(BufferKind kind);

struct Buffer {
  BufferKind kind = BufferKind::scratch;
  Bytes size;
  std::optional<ValueId> value;                     // of value and gradient
  std::optional<ParameterClassId> parameter_class;  // of the persistent kinds
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

enum class OpKind { load_batch, forward, backward, send, receive, all_reduce, optimizer_step };
inline constexpr int kOpKindCount = 7;
std::string_view to_string(OpKind kind);

// load_batch, forward, backward: micro-batch numbers count from 0 on each rank.
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
// all_reduce of elements [begin, end) of a parameter class's gradients: sum / divisor everywhere.
struct Collective {
  ParameterClassId parameter_class;
  std::int64_t begin = 0, end = 0;
  std::int64_t divisor = 1;
  CollectiveAlgorithm algorithm = CollectiveAlgorithm::ring;
};
// optimizer_step
struct Optimize {
  ParameterClassId parameter_class;
};

struct Op {
  OpKind kind = OpKind::forward;
  LaneId lane;
  std::vector<OpId> after;
  std::vector<Operand> operands;
  std::variant<Compute, Transfer, Collective, Optimize> detail;
};

// ---- programs --------------------------------------------------------------------------------

// Parameters with the same holders, in one flat buffer without padding, in the order in which
// backward finishes their gradients.
struct ParameterClass {
  std::vector<ParameterId> parameters;
  std::int64_t elements = 0;
  std::optional<std::size_t> group;  // slot of the holders' group; none: this rank alone
};

// One lane computes; each other lane carries one kind of message in one direction, so that a
// message that waits holds up only its like.
enum class LaneKind {
  compute,
  send_forward,
  receive_forward,
  send_backward,
  receive_backward,
  collective
};
std::string_view to_string(LaneKind kind);

struct RankProgram {
  std::string name;       // "stage2", "worker1"
  SegmentId begin, end;   // of the network: this rank's stage
  Subnetwork subnetwork;  // units it holds
  std::int64_t micro_batches = 1;
  std::vector<LaneKind> lanes;
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
};

// Members in the order collectives number them.
struct Group {
  std::vector<RankId> members;
};

struct Mesh {
  std::int64_t data = 1, stages = 1, workers = 1;  // workers: of subnetwork data parallelism
  std::int64_t ranks() const { return data * stages * workers; }
};

struct Plan {
  static constexpr int kVersion = 1;
  std::string strategy;
  ModelSpec model;
  Training training;
  Mesh mesh;
  std::int64_t micro_batch_samples = 1;
  double branch_scale_at_test = 1;  // multiplies the branches of units at evaluation
  double branch_scale_in_training = 1;
  std::vector<double> stage_costs;  // per block, as used to cut stages; empty if they were not
  std::vector<Group> groups;
  std::vector<RankProgram> programs;
  std::vector<RankBinding> ranks;
};

// ---- queries ---------------------------------------------------------------------------------

const RankProgram& program_of(const Plan& plan, RankId rank);
const Compute& compute_of(const Op& op);
const Transfer& transfer_of(const Op& op);
const Collective& collective_of(const Op& op);
const Optimize& optimize_of(const Op& op);
bool is_communication(OpKind kind);
// The group of a collective op on this rank.
const Group& group_of(const Plan& plan, RankId rank, const Op& op);
// Real micro-batch number in the global batch.
std::int64_t global_micro_batch(const Plan& plan, RankId rank, MicroBatchId local);
// Divisor of the loss on this rank, so that its gradients are means over its samples and labels.
std::int64_t samples_per_rank(const Plan& plan, RankId rank);
// The network as a program trains it: restricted to what is held, branches scaled.
Net net_of(const Plan& plan, const Net& full, const RankProgram& program);

}  // namespace rehearse
