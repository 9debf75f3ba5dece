#include "model/schedule/rank_program.h"

#include <algorithm>
#include <set>
#include <utility>

#include "model/schedule/rank_program/exact_sums.h"
#include "model/schedule/rank_program/gradient_buffers.h"
#include "model/schedule/rank_program/parameter_gathers.h"
#include "model/schedule/rank_program/parts.h"
#include "model/schedule/rank_program/rank_inputs.h"
#include "model/schedule/rank_program/reductions.h"
#include "model/schedule/rank_program/stage_messages.h"
#include "model/schedule/rank_program/tensor_exchanges.h"
#include "model/schedule/rank_program/updates.h"
#include "model/schedule/rank_program/value_buffers.h"

namespace rehearse {
namespace {

// What a stage reads of the data loader's values.
std::set<ValueId> values_loaded(const RankInputs& inputs, StageId number) {
  const Net& net = inputs.net;
  const auto& stages = inputs.frame.stages;
  const auto stage = std::find_if(stages.begin(), stages.end(),
                                  [&](const Stage& own) { return own.number == number; });
  std::set<ValueId> loaded;
  for (std::size_t s = stage->begin.index(); s < stage->end.index(); ++s) {
    for (const LayerId layer : net.segments[s].layers) {
      for (const ValueId input : net.layers[layer.index()].inputs) {
        if (!net.values[input.index()].producer) loaded.insert(input);
      }
    }
  }
  return loaded;
}

// Goes through the rank's actions; everything else happens before, after or instead of a pass.
class ProgramOfRank {
 public:
  explicit ProgramOfRank(const RankInputs& inputs)
      : inputs_(inputs),
        parts_(inputs),
        draft_(rank_draft(inputs)),
        values_(inputs, parts_, draft_),
        messages_(inputs, values_, draft_),
        tensor_(inputs, parts_, values_, draft_),
        gathers_(inputs, parts_, draft_),
        gradients_(inputs, parts_, draft_),
        exact_sums_(inputs, parts_, gradients_, draft_),
        reductions_(inputs, parts_, gradients_, draft_) {}

  ActionProgram run() {
    gathers_.begin();
    if (inputs_.frame.clears) gradients_.clear_absent();
    std::vector<OpId> begins;
    for (std::size_t a = 0; a < inputs_.frame.actions.size(); ++a) {
      begins.push_back(draft_.builder.next_op());
      act(a, inputs_.frame.actions[a]);
    }
    begins.push_back(draft_.builder.next_op());
    reductions_.finish();
    add_updates(inputs_, reductions_.last(), draft_);
    return {draft_.builder.finish(), std::move(begins)};
  }

 private:
  void act(std::size_t number, const Action& action) {
    switch (action.kind) {
      case ActionKind::forward:
        load(action.stage, *action.micro_batch);
        gather_shares(action);
        return run_steps(number);
      case ActionKind::backward:
      case ActionKind::backward_input:
        gather_shares(action);
        return run_steps(number);
      case ActionKind::backward_weight:
        return run_steps(number);
      case ActionKind::send_forward:
      case ActionKind::receive_forward:
      case ActionKind::send_backward:
      case ActionKind::receive_backward:
        return messages_.add(action);
      // Where parameters are gathered and gradients reduced follows from how they are sharded.
      case ActionKind::unshard:
      case ActionKind::reshard:
      case ActionKind::reduce_gradients:
        return;
    }
  }

  void gather_shares(const Action& pass) {
    for (const StageMessages::Share& share : messages_.shares_for(pass))
      tensor_.gather_shares(share.buffer, share.value);
  }

  void load(StageId stage, MicroBatchId micro_batch) {
    const auto [known, is_new] = loaded_.try_emplace(stage);
    if (is_new) known->second = values_loaded(inputs_, stage);
    std::vector<Use> uses;
    for (const ValueId value : known->second)
      uses.push_back({values_.value(value, micro_batch, stage), Access::write});
    if (uses.empty()) return;
    draft_.builder.add(OpKind::load_batch, {LaneKind::compute, {}}, uses,
                       Compute{{}, {}, micro_batch});
  }

  // ---- passes ----------------------------------------------------------------------------------

  void run_steps(std::size_t action) {
    const auto [first, last] = parts_.steps_of(action);
    for (std::size_t s = first; s < last; ++s)
      run_step(s);
  }

  void run_step(std::size_t number) {
    const Step& step = parts_.steps()[number];
    gathers_.before(number);
    if (parts_.part_of(step).exchange) {
      tensor_.exchange_rows(step);
    } else {
      run_pass(step);
    }
    if (inputs_.sums_exactly) exact_sums_.add_up_after(number);
    reductions_.after(number);
  }

  void run_pass(const Step& step) {
    const Part& part = parts_.part_of(step);
    const bool is_forward = step.kind == OpKind::forward || step.kind == OpKind::recompute;
    if (!is_forward) tensor_.before_backward(step);
    std::vector<Use> uses = used_by(step);
    const GradientBuffers::Added added = gradients_.added_by(step);
    uses.insert(uses.end(), added.uses.begin(), added.uses.end());
    if (uses.empty()) return;  // everything here is dropped
    draft_.last_pass = draft_.builder.add(
        step.kind, {LaneKind::compute, {}}, uses, Compute{part.begin, part.end, step.micro_batch},
        added.begins ? reductions_.before_new_bucket() : std::vector<OpId>{});
    if (is_forward) tensor_.after_forward(step);
  }

  // All but the gradients of parameters.
  std::vector<Use> used_by(const Step& step) {
    const Lowering& lowering = parts_.lowering(step.part, parts_.pass_of(step));
    std::vector<Use> uses = slabs(lowering, step);
    for (const ValueId value : lowering.reads_values)
      uses.push_back({values_.value_for(step, value), Access::read});
    for (const ValueId value : lowering.writes_values)
      uses.push_back({values_.value_for(step, value), Access::write});
    add_gradients(lowering, step, uses);
    add_parameters(step, uses);
    return uses;
  }

  void add_gradients(const Lowering& lowering, const Step& step, std::vector<Use>& uses) {
    const std::set<ValueId> read(lowering.reads_gradients.begin(), lowering.reads_gradients.end());
    const std::set<ValueId> written(lowering.writes_gradients.begin(),
                                    lowering.writes_gradients.end());
    for (const ValueId value : read) {
      const Access access = written.count(value) > 0 ? Access::update : Access::read;
      uses.push_back({values_.gradient_for(step, value), access});
    }
    for (const ValueId value : written) {
      if (read.count(value) == 0)
        uses.push_back({values_.gradient_for(step, value), Access::write});
    }
  }

  void add_parameters(const Step& step, std::vector<Use>& uses) {
    for (const std::size_t slot : parts_.reads(step).classes) {
      if (inputs_.classes[slot].sharding != Sharding::parameters)
        uses.push_back({draft_.persistent.parameters[slot], Access::read});
    }
    for (const std::size_t bucket : parts_.reads(step).buckets) {
      if (const auto gathered = gathers_.in_use(bucket)) uses.push_back({*gathered, Access::read});
    }
  }

  // Slabs that passes of a micro-batch share, and this op's scratch.
  std::vector<Use> slabs(const Lowering& lowering, const Step& step) {
    const bool makes = step.kind == OpKind::forward || step.kind == OpKind::recompute;
    const bool forgets = step.kind == OpKind::forward && parts_.is_recomputed(step);
    std::vector<Use> uses;
    const auto own = [&](BufferKind kind, Bytes size) {
      if (size > Bytes{})
        uses.push_back({draft_.builder.add_buffer({.kind = kind, .size = size}), Access::write});
    };
    const auto shared = [&](BufferKind kind, Bytes size, Access access) {
      if (size == Bytes{}) return;
      if (forgets) return own(kind, size);
      auto [known, is_new] = slabs_.try_emplace({kind, step.part, step.micro_batch});
      if (is_new) known->second = draft_.builder.add_buffer({.kind = kind, .size = size});
      uses.push_back({known->second, access});
    };
    if (step.kind != OpKind::backward_weight)
      shared(BufferKind::saved, lowering.saved, makes ? Access::write : Access::read);
    shared(BufferKind::kept, lowering.kept, makes ? Access::write : Access::read);
    if (step.kind == OpKind::backward_input)
      shared(BufferKind::deferred, lowering.deferred, Access::write);
    if (step.kind == OpKind::backward_weight)
      shared(BufferKind::deferred, lowering.deferred, Access::read);
    own(BufferKind::scratch, lowering.scratch);
    return uses;
  }

  const RankInputs& inputs_;
  Parts parts_;
  RankDraft draft_;
  ValueBuffers values_;
  StageMessages messages_;
  TensorExchanges tensor_;
  ParameterGathers gathers_;
  GradientBuffers gradients_;
  ExactSums exact_sums_;
  Reductions reductions_;
  std::map<std::tuple<BufferKind, std::size_t, MicroBatchId>, BufferId> slabs_;  // by part
  std::map<StageId, std::set<ValueId>> loaded_;
};

}  // namespace

RankProgram rank_program(const Net& net, const RankFrame& frame, const Training& training,
                         const std::vector<OwnClass>& classes, const std::vector<Bucket>& buckets,
                         const std::vector<std::optional<std::size_t>>& class_slots) {
  return action_program(net, frame, training, classes, buckets, class_slots).program;
}

ActionProgram action_program(const Net& net, const RankFrame& frame, const Training& training,
                             const std::vector<OwnClass>& classes,
                             const std::vector<Bucket>& buckets,
                             const std::vector<std::optional<std::size_t>>& class_slots) {
  return ProgramOfRank(rank_inputs(net, frame, training, classes, buckets, class_slots)).run();
}

}  // namespace rehearse
