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
    average();
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

  // Classes that this rank holds alone first, then as their last buckets arrive. Where they are
  // averaged after their update, as these averages follow each other; those that are not, last.
  std::vector<std::size_t> order() const {
    std::vector<std::size_t> order;
    for (const OwnBucket& bucket : buckets_) {
      const bool is_new = std::find(order.begin(), order.end(), bucket.slot) == order.end();
      if (frame_.is_local && is_new) order.push_back(bucket.slot);
    }
    for (const auto& [slot, gradients] : buffers_.gradients) {
      if (std::find(order.begin(), order.end(), slot) == order.end()) order.push_back(slot);
    }
    if (!frame_.is_local)
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return reduced(a) < reduced(b); });
    return order;
  }

  void step() {
    const auto squares = sum_squares();
    for (const std::size_t slot : order()) {
      std::vector<Use> uses = {{buffers_.parameters[slot], Access::update},
                               {buffers_.gradients.at(slot), Access::read}};
      if (state_.optimizer > 0) uses.push_back({buffers_.optimizer.at(slot), Access::update});
      if (squares) uses.push_back({*squares, Access::read});
      steps_[slot] = builder_.add(
          OpKind::optimizer_step, {LaneKind::compute, {}}, uses, Optimize{ParameterClassId(slot)},
          reduced(slot) ? std::vector<OpId>{*reduced(slot)} : std::vector<OpId>{});
      if (comes_together(slot)) take_outer_gradient(slot);
    }
  }

  // ---- at the end of local steps ---------------------------------------------------------------

  bool comes_together(std::size_t slot) const {
    return frame_.is_local && frame_.synchronises && (classes_[slot].group || frame_.outer);
  }

  bool has_master() const { return state_.moment > state_.parameter; }

  // As soon as the class is updated, so that its average is under way while others are.
  void take_outer_gradient(std::size_t slot) {
    std::vector<Use> uses = {
        {buffers_.gradients.at(slot), Access::write},
        {has_master() ? buffers_.optimizer.at(slot) : buffers_.parameters[slot], Access::read}};
    if (frame_.outer) uses.push_back({buffers_.outer.at(slot), Access::read});
    outer_gradients_[slot] = builder_.add(OpKind::outer_gradient, {LaneKind::compute, {}}, uses,
                                          Optimize{ParameterClassId(slot)}, {steps_.at(slot)});
  }

  // Averages in the common order of all ranks, then the outer steps as they arrive.
  void average() {
    std::map<std::size_t, OpId> averages;
    for (const OwnBucket& bucket : buckets_) {
      if (!comes_together(bucket.slot)) continue;
      const OwnClass& own = classes_[bucket.slot];
      const auto method =
          method_over(frame_, CollectiveKind::all_reduce, own, bucket, state_.gradient);
      const Bytes received = Bytes::bytes(
          state_.gradient * room_for(shape_of(method, CollectiveKind::all_reduce, own.members),
                                     bucket.end - bucket.begin));
      std::vector<Use> uses = {{buffers_.gradients.at(bucket.slot), Access::update}};
      if (received > Bytes{})
        uses.push_back({builder_.add_buffer({.kind = BufferKind::communication, .size = received}),
                        Access::write});
      averages[bucket.slot] =
          builder_.add(OpKind::all_reduce, {LaneKind::collective, {}}, uses,
                       collective_over(own, bucket, state_.gradient, own.divisor, method),
                       {outer_gradients_.at(bucket.slot)});
    }
    std::vector<std::pair<OpId, std::size_t>> ready;
    for (const auto& [slot, gradient] : outer_gradients_)
      ready.emplace_back(averages.count(slot) > 0 ? averages.at(slot) : gradient, slot);
    std::sort(ready.begin(), ready.end());
    for (const auto& [after, slot] : ready)
      step_outer(slot, after);
  }

  void step_outer(std::size_t slot, OpId after) {
    std::vector<Use> uses = {{buffers_.parameters[slot], Access::write},
                             {buffers_.gradients.at(slot), Access::read}};
    if (has_master()) uses.push_back({buffers_.optimizer.at(slot), Access::update});
    if (frame_.outer) uses.push_back({buffers_.outer.at(slot), Access::update});
    builder_.add(OpKind::outer_step, {LaneKind::compute, {}}, uses,
                 Optimize{ParameterClassId(slot)}, {after});
  }

  // ---- new weights, for those who share them out -----------------------------------------------

  // The new weights go out to those who have only updated their chunks of them.
  void gather_updated() {
    for (const OwnBucket& bucket : buckets_) {
      const OwnClass& own = classes_[bucket.slot];
      if (own.sharding != Sharding::optimizer_state && own.sharding != Sharding::gradients)
        continue;
      const auto method =
          method_over(frame_, CollectiveKind::all_gather, own, bucket, state_.parameter);
      builder_.add(OpKind::all_gather, {LaneKind::collective, {}},
                   {{buffers_.parameters[bucket.slot], Access::update}},
                   collective_over(own, bucket, state_.parameter, 1, method),
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
                              CollectiveAlgorithm::ring,
                              static_cast<std::int64_t>(own.members)};
      builder_.add(OpKind::broadcast, {LaneKind::collective, {}},
                   {{buffers_.parameters[slot], own.is_held ? Access::read : Access::write}},
                   detail, own.is_held ? std::vector<OpId>{steps_.at(slot)} : after_last_pass());
    }
  }

  // ---- the norm of the gradients ---------------------------------------------------------------

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
    if (frame_.norm_group) add_up_squares(squares, numbers);
    return squares;
  }

  void add_up_squares(BufferId squares, std::int64_t numbers) {
    constexpr auto kWidth = static_cast<std::int64_t>(sizeof(double));
    constexpr auto kDoubling = CollectiveAlgorithm::doubling;
    const Bytes room = Bytes::bytes(
        kWidth * room_for({CollectiveKind::all_reduce, kDoubling, frame_.norm_ranks}, numbers));
    const BufferId received =
        builder_.add_buffer({.kind = BufferKind::communication, .size = room});
    builder_.add(OpKind::all_reduce, {LaneKind::collective, {}},
                 {{squares, Access::update}, {received, Access::write}},
                 Collective{*frame_.norm_group, std::nullopt, 0, numbers, kWidth, 1, kDoubling});
  }

  const RankFrame& frame_;
  const Training& training_;
  const StateSizes state_;
  const std::vector<OwnClass>& classes_;
  const std::vector<OwnBucket>& buckets_;
  const ClassBuffers& buffers_;
  const UpdatesFollow& follow_;
  ProgramBuilder& builder_;
  std::map<std::size_t, OpId> steps_, outer_gradients_;  // by class
};

}  // namespace

Collective collective_over(const OwnClass& own, const OwnBucket& bucket, std::int64_t element_bytes,
                           std::int64_t divisor, const CollectiveMethod& method) {
  return {.group = *own.group,
          .parameter_class = ParameterClassId(bucket.slot),
          .begin = bucket.begin,
          .end = bucket.end,
          .element_bytes = element_bytes,
          .divisor = divisor,
          .algorithm = method.algorithm,
          .node_members = method.node_members,
          .pieces = method.pieces};
}

CollectiveMethod method_over(const RankFrame& frame, CollectiveKind kind, const OwnClass& own,
                             const OwnBucket& bucket, std::int64_t element_bytes) {
  return choose_collective(frame.collectives, *frame.collective_costs, kind, own.layout,
                           bucket.end - bucket.begin, element_bytes);
}

void add_updates(const RankFrame& frame, const Training& training,
                 const std::vector<OwnClass>& classes, const std::vector<OwnBucket>& buckets,
                 const ClassBuffers& buffers, const UpdatesFollow& follow,
                 ProgramBuilder& builder) {
  Updates(frame, training, classes, buckets, buffers, follow, builder).run();
}

}  // namespace rehearse
