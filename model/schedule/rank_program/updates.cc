#include "model/schedule/rank_program/updates.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "model/schedule/rank_program/exchange.h"

namespace rehearse {
namespace {

class Updates {
 public:
  Updates(const RankInputs& inputs, const std::map<std::size_t, OpId>& reductions, RankDraft& draft)
      : inputs_(inputs),
        frame_(inputs.frame),
        state_(inputs.state),
        reductions_(reductions),
        draft_(draft),
        buffers_(draft.persistent),
        builder_(draft.builder) {}

  void run() {
    step();
    gather_updated();
    broadcast_updated();
    average();
  }

 private:
  // When a class's gradients are there; none: this rank holds it alone.
  std::optional<OpId> reduced(std::size_t slot) const {
    const auto reduction = reductions_.find(slot);
    return reduction == reductions_.end() ? std::nullopt : std::optional(reduction->second);
  }

  // Classes that this rank holds alone first, then as their last buckets arrive. Where they are
  // averaged after their update, as these averages follow each other; those that are not, last.
  std::vector<std::size_t> order() const {
    std::vector<std::size_t> order;
    for (const OwnBucket& bucket : inputs_.buckets) {
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
    return frame_.is_local && frame_.synchronises && (inputs_.classes[slot].group || frame_.outer);
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
    for (const OwnBucket& bucket : inputs_.buckets) {
      if (!comes_together(bucket.slot)) continue;
      const OwnClass& own = inputs_.class_of(bucket);
      const auto method = method_over(inputs_, CollectiveKind::all_reduce, bucket, state_.gradient);
      std::vector<Use> uses = {{buffers_.gradients.at(bucket.slot), Access::update}};
      add_room(builder_, shape_of(method, CollectiveKind::all_reduce, own.members),
               bucket.end - bucket.begin, state_.gradient, uses);
      averages[bucket.slot] =
          builder_.add(OpKind::all_reduce, {LaneKind::collective, {}}, uses,
                       collective_over(inputs_, bucket, state_.gradient, own.divisor, method),
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
    for (const OwnBucket& bucket : inputs_.buckets) {
      const Sharding sharding = inputs_.class_of(bucket).sharding;
      if (sharding != Sharding::optimizer_state && sharding != Sharding::gradients) continue;
      const auto method =
          method_over(inputs_, CollectiveKind::all_gather, bucket, state_.parameter);
      builder_.add(OpKind::all_gather, {LaneKind::collective, {}},
                   {{buffers_.parameters[bucket.slot], Access::update}},
                   collective_over(inputs_, bucket, state_.parameter, 1, method),
                   {steps_.at(bucket.slot)});
    }
  }

  // The new weights, from those who hold a class to those who only read it: when these have read
  // the old ones for the last time.
  void broadcast_updated() {
    for (std::size_t slot = 0; slot < inputs_.classes.size(); ++slot) {
      const OwnClass& own = inputs_.classes[slot];
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
                   detail,
                   own.is_held ? std::vector<OpId>{steps_.at(slot)} : draft_.after_last_pass());
    }
  }

  // ---- the norm of the gradients ---------------------------------------------------------------

  // Where gradients are clipped: the buffer that has the sum of all squares, from when all classes
  // are reduced.
  std::optional<BufferId> sum_squares() {
    if (!inputs_.training.optimizer.clip) return std::nullopt;
    const std::int64_t numbers = square_numbers(inputs_.training);
    const Bytes size = Bytes::bytes(numbers * static_cast<std::int64_t>(sizeof(double)));
    const BufferId squares = builder_.add_buffer({.kind = BufferKind::squares, .size = size});
    std::vector<Use> uses = {{squares, Access::write}};
    for (const auto& [slot, gradients] : buffers_.gradients)
      uses.push_back({gradients, Access::read});
    std::vector<OpId> after;
    for (const auto& [slot, reduction] : reductions_)
      after.push_back(reduction);
    builder_.add(OpKind::sum_squares, {LaneKind::compute, {}}, uses, SumSquares{}, after);
    if (frame_.norm_group) add_up_squares(squares, numbers);
    return squares;
  }

  void add_up_squares(BufferId squares, std::int64_t numbers) {
    constexpr auto kWidth = static_cast<std::int64_t>(sizeof(double));
    constexpr auto kDoubling = CollectiveAlgorithm::doubling;
    std::vector<Use> uses = {{squares, Access::update}};
    add_room(builder_, {CollectiveKind::all_reduce, kDoubling, frame_.norm_ranks}, numbers, kWidth,
             uses);
    builder_.add(OpKind::all_reduce, {LaneKind::collective, {}}, uses,
                 Collective{*frame_.norm_group, std::nullopt, 0, numbers, kWidth, 1, kDoubling});
  }

  const RankInputs& inputs_;
  const RankFrame& frame_;
  const StateSizes& state_;
  const std::map<std::size_t, OpId>& reductions_;
  RankDraft& draft_;
  const ClassBuffers& buffers_;
  ProgramBuilder& builder_;
  std::map<std::size_t, OpId> steps_, outer_gradients_;  // by class
};

}  // namespace

void add_updates(const RankInputs& inputs, const std::map<std::size_t, OpId>& reductions,
                 RankDraft& draft) {
  Updates(inputs, reductions, draft).run();
}

}  // namespace rehearse
