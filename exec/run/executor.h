// Trains with a plan: issues its ops as their lanes and dependencies say, and measures them.
//
// One thread per rank. Messages are non-blocking; between any two kernels the executor looks
// whether a message has arrived and issues what has become ready, so that communication overlaps
// compute as far as the plan lets it. Every lane is a queue of the backend's device; an op has
// ended when its queue has passed it. Where one needs what another lane brings, and nothing of that
// is the host's to read, its queue waits for the other on the device. All decisions are the plan's.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "exec/backend.h"
#include "exec/batch_source.h"
#include "exec/run/arena.h"
#include "exec/run/collective.h"
#include "exec/run/compute.h"
#include "exec/run/finite_check.h"
#include "exec/run/parameters.h"
#include "exec/run/recorder.h"
#include "exec/run/state_ops.h"
#include "exec/transport.h"
#include "model/plan/plan.h"
#include "model/plan/timeline.h"

namespace rehearse::exec {

struct ExecutorOptions {
#ifdef NDEBUG
  bool poison = false;  // freed tensors become NaNs
#else
  bool poison = true;
#endif
  Seconds hang = Seconds::seconds(300);  // without any progress for this long, the job ends
  // Whether parameters get their initial values; if not, somebody else fills them in.
  bool initializes = true;
  bool records = false;  // kernels of passes are recorded and replayed (recorder.h)
};

// Payload bytes that one rank handed to the transport, and took from it.
struct Traffic {
  Bytes sent, received;
  std::vector<Bytes> sent_by_kind = std::vector<Bytes>(kOpKindCount);  // by OpKind
  std::vector<Bytes> sent_by_group;                                    // by GroupId
};

class Executor {
 public:
  // The plan must be verified; net: the whole network of plan.model; origin: zero of the spans'
  // clock.
  Executor(const Plan& plan, const Net& net, Backend& backend, Transport& transport,
           BatchSource& batches, ExecutorOptions options, std::int64_t origin_ns);
  // Takes over from another that ran a plan with the same state (keeps_state()), and goes on with
  // it and with its clock.
  Executor(const Plan& plan, const Net& net, Backend& backend, Transport& transport,
           BatchSource& batches, ExecutorOptions options, Executor&& before);
  ~Executor();

  // One period. Returns the sum of its micro-batches' mean losses, in the order of fold_tree(); 0
  // on stages without the loss. A pass that writes an infinity or a NaN ends the job, with its
  // name.
  double run_step(std::int64_t step);
  // Of all gradients of the last step, before they were clipped; none if they are not.
  std::optional<double> gradient_norm() const { return state_ops_.gradient_norm(); }
  // Leaves a pause between steps out of the spans' clock; every rank must leave out the same.
  void skip_ns(std::int64_t pause) { origin_ns_ += pause; }

  // Spans of all steps so far, in order; start is when this rank issued (align() knows better).
  const std::vector<Span>& spans() const { return spans_; }
  const Traffic& traffic() const { return traffic_; }
  const Arena& arena() const { return arena_; }
  const Parameters& parameters() const { return parameters_; }
  const Net& own_net() const { return net_; }
  std::int64_t origin_ns() const { return origin_ns_; }

  static std::int64_t now_ns();

 private:
  struct Running;
  struct Lane {
    std::vector<OpId> ops;
    std::size_t next = 0;
    std::unique_ptr<Running> running;  // of the op at `next`, once it is issued
  };

  Executor(const Plan& plan, const Net& net, Backend& backend, Transport& transport,
           BatchSource& batches, ExecutorOptions options, std::int64_t origin_ns, Arena&& arena);

  bool poll(std::size_t number);
  bool is_ready(const Op& op) const;
  bool is_read(OpId op) const;
  const Running* waited_for(OpId op) const;
  bool has_ended(const Op& op) const;
  void issue(Lane& lane, OpId id);
  bool advance(Running& running);
  bool launch_next(Running& running);
  void put_behind(Running& running);
  void free_operands(const Op& op);
  void finish(Lane& lane);
  void note_results(const Running& running);
  void begin_transfer(Running& running, const Op& op);
  void begin_collective(Running& running, const Op& op);
  void note_loss(const LossAt& at);
  void load(const Op& op);
  const Mirror& mirror_of(BufferId buffer);
  void count(const Op& op, const CollectiveRun& collective);
  void wait(std::int64_t& idle_since);
  std::string describe_wait() const;
  Time now() const;

  const Plan& plan_;
  const RankProgram& program_;
  const RankId rank_;
  const Net net_;
  Backend& backend_;
  KernelDevice& device_;
  Transport& transport_;
  BatchSource& batches_;
  const ExecutorOptions options_;
  std::int64_t origin_ns_;
  Arena arena_;
  Parameters parameters_;
  ComputeProgram compute_;
  Recorder recorder_;
  FiniteCheck finite_check_;
  StateOps state_ops_;
  std::vector<Lane> lanes_;
  std::vector<bool> ended_;
  std::size_t ended_count_ = 0;
  std::int64_t step_ = 0;
  std::vector<double> losses_;  // of the step, by micro-batch
  // Of buffers that the host fills.
  std::map<BufferId, Mirror> mirrors_;
  bool waits_for_device_ = false;
  std::vector<Span> spans_;
  Traffic traffic_;
};

}  // namespace rehearse::exec
