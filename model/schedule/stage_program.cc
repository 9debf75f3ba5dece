#include "model/schedule/stage_program.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "model/base/check.h"
#include "model/schedule/program_builder.h"

namespace rehearse {
namespace {

struct Chunk {
  SegmentId begin, end;
  Lowering forward, backward;
  std::set<std::size_t> classes;  // of the parameters it uses
};

// A bucket of this rank.
struct OwnBucket {
  std::size_t slot;  // of its class
  std::int64_t begin, end;
  SegmentId completes;  // full when backward has passed this segment
};

// The first segment of the stage that uses one of these parameters.
SegmentId first_use_within(const Net& net, SegmentId begin, SegmentId end,
                           const std::vector<ParameterId>& parameters) {
  for (std::size_t s = begin.index(); s < end.index(); ++s) {
    for (const ParameterId used : parameters_of(net, SegmentId(s), SegmentId(s + 1))) {
      if (std::find(parameters.begin(), parameters.end(), used) != parameters.end()) {
        return SegmentId(s);
      }
    }
  }
  REHEARSE_UNREACHABLE("a bucket that its stage does not use");
}

class StageProgram {
 public:
  StageProgram(const Net& net, const StageFrame& frame, const Training& training,
               const std::vector<StageClass>& classes, std::vector<OwnBucket> buckets)
      : net_(net),
        frame_(frame),
        sizes_(element_sizes(training)),
        state_(state_sizes(training)),
        classes_(classes),
        buckets_(std::move(buckets)),
        builder_(program_frame()),
        incoming_(crossing(frame.previous, frame.begin)),
        outgoing_(crossing(frame.next, frame.end)) {
    add_persistent_buffers();
    cut_chunks();
  }

  RankProgram run() {
    const std::vector<Slot>& order = frame_.order;
    const MicroBatchId last(frame_.micro_batches - 1);
    receive(order.front(), std::nullopt);
    std::optional<OpId> previous;  // last compute op of the slot before
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i + 1 < order.size()) receive(order[i + 1], previous);
      const Slot& slot = order[i];
      previous = slot.task == Task::forward ? forward(slot.micro_batch)
                                            : backward(slot.micro_batch, slot.micro_batch == last);
    }
    update();
    return builder_.finish();
  }

 private:
  RankProgram program_frame() const {
    RankProgram program;
    program.name = frame_.name;
    program.begin = frame_.begin;
    program.end = frame_.end;
    program.subnetwork = frame_.subnetwork;
    program.micro_batches = frame_.micro_batches;
    program.lanes = {LaneKind::compute};
    for (const StageClass& own : classes_) {
      program.parameter_classes.push_back(
          {own.holder_class->parameters, own.holder_class->elements, own.group});
    }
    return program;
  }

  void add_persistent_buffers() {
    for (std::size_t slot = 0; slot < classes_.size(); ++slot) {
      const auto add = [&](BufferKind kind, std::int64_t element) {
        const Bytes size = Bytes::bytes(classes_[slot].holder_class->elements * element);
        return builder_.add_buffer({kind, size, std::nullopt, ParameterClassId(slot)});
      };
      parameters_.push_back(add(BufferKind::parameters, state_.parameter));
      gradients_.push_back(add(BufferKind::gradients, state_.gradient));
      if (state_.optimizer > 0)
        optimizer_state_.push_back(add(BufferKind::optimizer_state, state_.optimizer));
    }
  }

  void cut_chunks() {
    std::set<SegmentId> cuts = {frame_.begin, frame_.end};
    for (const OwnBucket& bucket : buckets_)
      cuts.insert(bucket.completes);
    for (auto cut = cuts.begin(); std::next(cut) != cuts.end(); ++cut) {
      Chunk chunk{*cut, *std::next(cut), {}, {}, {}};
      chunk.forward = lower(net_, chunk.begin, chunk.end, Pass::forward, frame_.samples, sizes_);
      chunk.backward = lower(net_, chunk.begin, chunk.end, Pass::backward, frame_.samples, sizes_);
      for (const ParameterId parameter : parameters_of(net_, chunk.begin, chunk.end)) {
        chunk.classes.insert(class_of(parameter));
      }
      chunks_.push_back(std::move(chunk));
    }
  }

  std::size_t class_of(ParameterId parameter) const {
    for (std::size_t slot = 0; slot < classes_.size(); ++slot) {
      const auto& held = classes_[slot].holder_class->parameters;
      if (std::find(held.begin(), held.end(), parameter) != held.end()) return slot;
    }
    REHEARSE_UNREACHABLE("a parameter without a class");
  }

  // ---- messages between stages -----------------------------------------------------------------

  std::vector<ValueId> crossing(std::optional<std::size_t> peer, SegmentId cut) const {
    return peer ? values_across(net_, cut) : std::vector<ValueId>{};
  }

  // Both ends of a cut number its values alike; gradients travel under odd tags.
  static std::int64_t tag(Slot slot, std::size_t values, std::size_t k) {
    const auto message = static_cast<std::int64_t>(slot.micro_batch.index() * values + k);
    return 2 * message + (slot.task == Task::backward ? 1 : 0);
  }

  void transfer(OpKind kind, Slot slot, const std::vector<OpId>& after) {
    const bool is_forward = slot.task == Task::forward;
    const bool sends = kind == OpKind::send;
    const auto& values = is_forward == sends ? outgoing_ : incoming_;
    const auto peer = is_forward == sends ? frame_.next : frame_.previous;
    const Access access = sends ? Access::read : Access::write;
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (!is_forward && !net_.values[values[k].index()].needs_gradient) continue;
      const BufferId buffer = is_forward ? value_of(values[k], slot.micro_batch)
                                         : gradient_of(values[k], slot.micro_batch);
      builder_.add(kind, lane_of(kind, slot.task), {{buffer, access}},
                   Transfer{*peer, tag(slot, values.size(), k), size_of_value(values[k])}, after);
    }
  }

  static LaneKind lane_of(OpKind kind, Task task) {
    if (kind == OpKind::send) {
      return task == Task::forward ? LaneKind::send_forward : LaneKind::send_backward;
    }
    return task == Task::forward ? LaneKind::receive_forward : LaneKind::receive_backward;
  }

  void receive(Slot slot, std::optional<OpId> after) {
    transfer(OpKind::receive, slot, after ? std::vector<OpId>{*after} : std::vector<OpId>{});
  }

  // ---- passes ----------------------------------------------------------------------------------

  void load(MicroBatchId micro_batch) {
    std::set<ValueId> values;
    for (const Chunk& chunk : chunks_) {
      for (const auto* reads : {&chunk.forward.reads_values, &chunk.backward.reads_values}) {
        for (const ValueId value : *reads) {
          if (!net_.values[value.index()].producer) values.insert(value);
        }
      }
    }
    std::vector<Use> uses;
    for (const ValueId value : values)
      uses.push_back({value_of(value, micro_batch), Access::write});
    if (uses.empty()) return;
    builder_.add(OpKind::load_batch, LaneKind::compute, uses, Compute{{}, {}, micro_batch});
  }

  std::optional<OpId> forward(MicroBatchId micro_batch) {
    load(micro_batch);
    std::optional<OpId> last;
    for (std::size_t number = 0; number < chunks_.size(); ++number) {
      const Chunk& chunk = chunks_[number];
      std::vector<Use> uses = slabs(chunk.forward, number, micro_batch, Access::write);
      for (const ValueId value : chunk.forward.reads_values) {
        uses.push_back({value_of(value, micro_batch), Access::read});
      }
      for (const ValueId value : chunk.forward.writes_values) {
        uses.push_back({value_of(value, micro_batch), Access::write});
      }
      for (const std::size_t slot : chunk.classes)
        uses.push_back({parameters_[slot], Access::read});
      if (uses.empty()) continue;  // everything here is dropped
      last = builder_.add(OpKind::forward, LaneKind::compute, uses,
                          Compute{chunk.begin, chunk.end, micro_batch});
    }
    transfer(OpKind::send, {Task::forward, {}, micro_batch}, {});
    return last;
  }

  std::optional<OpId> backward(MicroBatchId micro_batch, bool is_last) {
    std::optional<OpId> last;
    for (std::size_t number = chunks_.size(); number-- > 0;) {
      const Chunk& chunk = chunks_[number];
      const std::vector<Use> uses = backward_uses(chunk, number, micro_batch);
      if (!uses.empty()) {
        last = builder_.add(OpKind::backward, LaneKind::compute, uses,
                            Compute{chunk.begin, chunk.end, micro_batch});
      }
      if (is_last) reduce(chunk.begin, last);
    }
    transfer(OpKind::send, {Task::backward, {}, micro_batch}, {});
    return last;
  }

  std::vector<Use> backward_uses(const Chunk& chunk, std::size_t number, MicroBatchId micro_batch) {
    const Lowering& lowering = chunk.backward;
    const std::set<ValueId> read(lowering.reads_gradients.begin(), lowering.reads_gradients.end());
    const std::set<ValueId> written(lowering.writes_gradients.begin(),
                                    lowering.writes_gradients.end());
    std::vector<Use> uses = slabs(lowering, number, micro_batch, Access::read);
    for (const ValueId value : lowering.reads_values) {
      uses.push_back({value_of(value, micro_batch), Access::read});
    }
    for (const ValueId value : read) {
      const Access access = written.count(value) > 0 ? Access::update : Access::read;
      uses.push_back({gradient_of(value, micro_batch), access});
    }
    for (const ValueId value : written) {
      if (read.count(value) == 0) uses.push_back({gradient_of(value, micro_batch), Access::write});
    }
    for (const std::size_t slot : chunk.classes) {
      uses.push_back({parameters_[slot], Access::read});
      uses.push_back({gradients_[slot], Access::update});
    }
    return uses;
  }

  // The saved slab, which both passes of a micro-batch share, and this op's scratch.
  std::vector<Use> slabs(const Lowering& lowering, std::size_t chunk, MicroBatchId micro_batch,
                         Access saved_access) {
    std::vector<Use> uses;
    if (lowering.saved > Bytes{}) {
      auto [known, is_new] = saved_.try_emplace({chunk, micro_batch});
      if (is_new) known->second = builder_.add_buffer({BufferKind::saved, lowering.saved, {}, {}});
      uses.push_back({known->second, saved_access});
    }
    if (lowering.scratch > Bytes{}) {
      const BufferId scratch = builder_.add_buffer({BufferKind::scratch, lowering.scratch, {}, {}});
      uses.push_back({scratch, Access::write});
    }
    return uses;
  }

  Bytes size_of_value(ValueId value) const { return size_of(net_, value, frame_.samples, sizes_); }
  BufferId value_of(ValueId value, MicroBatchId micro_batch) {
    return builder_.value(value, micro_batch, size_of_value(value));
  }
  BufferId gradient_of(ValueId value, MicroBatchId micro_batch) {
    return builder_.gradient(value, micro_batch, size_of_value(value));
  }

  // ---- reductions and updates ------------------------------------------------------------------

  // Issues, in the common order, every bucket that is full now that backward has passed `begin`.
  void reduce(SegmentId begin, std::optional<OpId> after) {
    for (; issued_ < buckets_.size() && buckets_[issued_].completes >= begin; ++issued_) {
      const OwnBucket& bucket = buckets_[issued_];
      const StageClass& own = classes_[bucket.slot];
      constexpr auto kAlgorithm = CollectiveAlgorithm::ring;
      const auto steps = steps_of(kAlgorithm, 0, own.members, bucket.end - bucket.begin);
      std::vector<Use> uses = {{gradients_[bucket.slot], Access::update}};
      const Bytes received = Bytes::bytes(longest_receive(steps) * state_.gradient);
      uses.push_back(
          {builder_.add_buffer({BufferKind::communication, received, {}, {}}), Access::write});
      const Collective detail{ParameterClassId(bucket.slot), bucket.begin, bucket.end, own.divisor,
                              kAlgorithm};
      last_reduce_[bucket.slot] =
          builder_.add(OpKind::all_reduce, LaneKind::collective, uses, detail, {*after});
    }
  }

  // Classes that this rank holds alone first, then as their last buckets arrive.
  void update() {
    std::vector<std::size_t> order(classes_.size());
    std::iota(order.begin(), order.end(), 0);
    const auto ready = [&](std::size_t slot) {
      const auto reduce = last_reduce_.find(slot);
      return reduce == last_reduce_.end() ? std::optional<OpId>{} : std::optional(reduce->second);
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return ready(a) < ready(b); });
    for (const std::size_t slot : order) {
      std::vector<Use> uses = {{parameters_[slot], Access::update},
                               {gradients_[slot], Access::read}};
      if (state_.optimizer > 0) uses.push_back({optimizer_state_[slot], Access::update});
      builder_.add(OpKind::optimizer_step, LaneKind::compute, uses,
                   Optimize{ParameterClassId(slot)},
                   ready(slot) ? std::vector<OpId>{*ready(slot)} : std::vector<OpId>{});
    }
  }

  const Net& net_;
  const StageFrame& frame_;
  const ElementSizes sizes_;
  const StateSizes state_;
  const std::vector<StageClass>& classes_;
  const std::vector<OwnBucket> buckets_;  // in the common order
  ProgramBuilder builder_;
  const std::vector<ValueId> incoming_, outgoing_;  // cross to and from the neighbours
  std::vector<Chunk> chunks_;
  std::vector<BufferId> parameters_, gradients_, optimizer_state_;  // by class
  std::map<std::pair<std::size_t, MicroBatchId>, BufferId> saved_;
  std::map<std::size_t, OpId> last_reduce_;  // by class
  std::size_t issued_ = 0;                   // buckets
};

}  // namespace

RankProgram stage_program(const Net& net, const StageFrame& frame, const Training& training,
                          const std::vector<StageClass>& classes,
                          const std::vector<Bucket>& buckets,
                          const std::vector<std::optional<std::size_t>>& class_slots) {
  std::vector<OwnBucket> own;
  for (const Bucket& bucket : buckets) {
    const auto slot = class_slots[bucket.holder_class];
    if (!slot || !classes[*slot].group) continue;
    own.push_back({*slot, bucket.begin, bucket.end,
                   first_use_within(net, frame.begin, frame.end, bucket.parameters)});
  }
  return StageProgram(net, frame, training, classes, std::move(own)).run();
}

}  // namespace rehearse
