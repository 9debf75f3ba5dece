#include "model/schedule/updates.h"

#include <algorithm>

namespace rehearse {
namespace {

class Updates {
 public:
  Updates(const RankFrame& frame, const Training& training, const std::vector<OwnClass>& classes,
          const std::vector<OwnBucket>& buckets, const ClassBuffers& buffers,
          const UpdatesFollow& follow, ProgramBuilder& builder)
      : frame_(frame),
        training_(training),
        state_(state_sizes(training)),
        classes_(classes),
        buckets_(buckets),
        buffers_(buffers),
        follow_(follow),
        builder_(builder) {}

  void run() {
    step();
    gather_updated();
    broadcast_updated();
  }

 private:
  std::vector<OpId> after_last_pass() const {
    return follow_.last_pass ? std::vector<OpId>{*follow_.last_pass} : std::vector<OpId>{};
  }

  // When a class's gradients are there; none: this rank holds it alone.
  std::optional<OpId> reduced(std::size_t slot) const {
    const auto reduction = follow_.reductions.find(slot);
    return reduction == follow_.reductions.end() ? std::nullopt : std::optional(reduction->second);
  }

  // Classes that this rank holds alone first, then as their last buckets arrive.
  void step() {
    std::vector<std::size_t> order;
    for (const auto& [slot, gradients] : buffers_.gradients)
      order.push_back(slot);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return reduced(a) < reduced(b); });
    const auto squares = sum_squares();
    for (const std::size_t slot : order) {
      std::vector<Use> uses = {{buffers_.parameters[slot], Access::update},
                               {buffers_.gradients.at(slot), Access::read}};
      if (state_.optimizer > 0) uses.push_back({buffers_.optimizer.at(slot), Access::update});
      if (squares) uses.push_back({*squares, Access::read});
      steps_[slot] = builder_.add(
          OpKind::optimizer_step, {LaneKind::compute, {}}, uses, Optimize{ParameterClassId(slot)},
          reduced(slot) ? std::vector<OpId>{*reduced(slot)} : std::vector<OpId>{});
    }
  }

  // The new weights go out to those who have only updated their chunks of them.
  void gather_updated() {
    for (const OwnBucket& bucket : buckets_) {
      const OwnClass& own = classes_[bucket.slot];
      if (own.sharding != Sharding::optimizer_state && own.sharding != Sharding::gradients)
        continue;
      builder_.add(OpKind::all_gather, {LaneKind::collective, {}},
                   {{buffers_.parameters[bucket.slot], Access::update}},
                   collective_over(own, bucket, state_.parameter, 1, kAlgorithm),
                   {steps_.at(bucket.slot)});
    }
  }

  // The new weights, from those who hold a class to those who only read it: when these have read
  // the old ones for the last time.
  void broadcast_updated() {
    for (std::size_t slot = 0; slot < classes_.size(); ++slot) {
      const OwnClass& own = classes_[slot];
      if (!own.readers) continue;
      const Collective detail{*own.readers,
                              ParameterClassId(slot),
                              0,
                              own.holder_class->elements,
                              state_.parameter,
                              1,
                              kAlgorithm,
                              static_cast<std::int64_t>(own.members)};
      builder_.add(OpKind::broadcast, {LaneKind::collective, {}},
                   {{buffers_.parameters[slot], own.is_held ? Access::read : Access::write}},
                   detail, own.is_held ? std::vector<OpId>{steps_.at(slot)} : after_last_pass());
    }
  }

  // Where gradients are clipped: the buffer that has the sum of all squares, from when all classes
  // are reduced.
  std::optional<BufferId> sum_squares() {
    if (!training_.optimizer.clip) return std::nullopt;
    const std::int64_t numbers = square_numbers(training_);
    const Bytes size = Bytes::bytes(numbers * static_cast<std::int64_t>(sizeof(double)));
    const BufferId squares = builder_.add_buffer({.kind = BufferKind::squares, .size = size});
    std::vector<Use> uses = {{squares, Access::write}};
    for (const auto& [slot, gradients] : buffers_.gradients)
      uses.push_back({gradients, Access::read});
    std::vector<OpId> after;
    for (const auto& [slot, reduction] : follow_.reductions)
      after.push_back(reduction);
    builder_.add(OpKind::sum_squares, {LaneKind::compute, {}}, uses, SumSquares{}, after);
    if (frame_.all_group) add_up_squares(squares, numbers);
    return squares;
  }

  void add_up_squares(BufferId squares, std::int64_t numbers) {
    constexpr auto kWidth = static_cast<std::int64_t>(sizeof(double));
    constexpr auto kDoubling = CollectiveAlgorithm::doubling;
    const Bytes room = Bytes::bytes(
        kWidth * room_for({CollectiveKind::all_reduce, kDoubling, frame_.all_ranks}, numbers));
    const BufferId received =
        builder_.add_buffer({.kind = BufferKind::communication, .size = room});
    builder_.add(OpKind::all_reduce, {LaneKind::collective, {}},
                 {{squares, Access::update}, {received, Access::write}},
                 Collective{*frame_.all_group, std::nullopt, 0, numbers, kWidth, 1, kDoubling});
  }

  const RankFrame& frame_;
  const Training& training_;
  const StateSizes state_;
  const std::vector<OwnClass>& classes_;
  const std::vector<OwnBucket>& buckets_;
  const ClassBuffers& buffers_;
  const UpdatesFollow& follow_;
  ProgramBuilder& builder_;
  std::map<std::size_t, OpId> steps_;  // optimizer steps, by class
};

}  // namespace

Collective collective_over(const OwnClass& own, const OwnBucket& bucket, std::int64_t element_bytes,
                           std::int64_t divisor, CollectiveAlgorithm algorithm) {
  return {
      *own.group, ParameterClassId(bucket.slot), bucket.begin, bucket.end, element_bytes, divisor,
      algorithm};
}

void add_updates(const RankFrame& frame, const Training& training,
                 const std::vector<OwnClass>& classes, const std::vector<OwnBucket>& buckets,
                 const ClassBuffers& buffers, const UpdatesFollow& follow,
                 ProgramBuilder& builder) {
  Updates(frame, training, classes, buckets, buffers, follow, builder).run();
}

}  // namespace rehearse
