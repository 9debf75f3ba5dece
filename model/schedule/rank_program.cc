#include "model/schedule/rank_program.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "model/base/check.h"
#include "model/net/tensor.h"
#include "model/schedule/parts.h"
#include "model/schedule/program_builder.h"
#include "model/schedule/updates.h"

namespace rehearse {
namespace {

bool is_forward(ActionKind kind) {
  return kind == ActionKind::send_forward || kind == ActionKind::receive_forward;
}

class ProgramOfRank {
 public:
  ProgramOfRank(const Net& net, const RankFrame& frame, const Training& training,
                const std::vector<OwnClass>& classes, std::vector<OwnBucket> buckets)
      : net_(net),
        frame_(frame),
        sizes_(element_sizes(training)),
        state_(state_sizes(training)),
        training_(training),
        folds_(accumulates_exactly(training, frame.micro_batches)),
        classes_(classes),
        buckets_(std::move(buckets)),
        parts_(net, frame, sizes_, classes, frame.is_local ? std::vector<OwnBucket>{} : buckets_),
        runs_(parts_.gather_runs()),
        builder_(program_frame()),
        gathered_(buckets_.size()),
        is_bounded_(frame.bounds_reductions) {
    add_persistent_buffers();
    for (std::size_t s = 1; s + 1 < frame_.starts.size(); ++s)
      crossing_.push_back(values_across(net_, frame_.starts[s]));
  }

  ActionProgram run() {
    if (frame_.prefetch > 0) gather_ahead(static_cast<std::size_t>(frame_.prefetch) - 1);
    if (frame_.clears) clear_absent();
    std::vector<OpId> begins;
    for (std::size_t a = 0; a < frame_.actions.size(); ++a) {
      begins.push_back(builder_.next_op());
      act(a, frame_.actions[a]);
    }
    begins.push_back(builder_.next_op());
    if (!frame_.overlap && !frame_.is_local) reduce_all();
    add_updates(frame_, training_, classes_, buckets_, persistent_, {last_reduce_, last_pass_},
                builder_);
    return {builder_.finish(), std::move(begins)};
  }

 private:
  using Boundary = ProgramBuilder::Boundary;

  RankProgram program_frame() const {
    RankProgram program;
    program.name = frame_.name;
    program.stages = frame_.stages;
    program.subnetwork = frame_.subnetwork;
    program.branch_scale_in_training = frame_.branch_scale_in_training;
    program.micro_batches = frame_.micro_batches;
    program.lanes = {{LaneKind::compute, {}}};
    for (std::size_t slot = 0; slot < classes_.size(); ++slot)
      program.parameter_classes.push_back(parameter_class(slot));
    return program;
  }

  ParameterClass parameter_class(std::size_t slot) const {
    const OwnClass& own = classes_[slot];
    ParameterClass held{own.holder_class->parameters,
                        own.holder_class->elements,
                        own.group,
                        static_cast<std::int64_t>(own.members),
                        own.sharding,
                        {},
                        own.readers,
                        own.is_held};
    if (own.sharding == Sharding::none) return held;
    for (const OwnBucket& bucket : buckets_) {
      if (bucket.slot == slot) held.buckets.push_back(bucket.end);
    }
    std::sort(held.buckets.begin(), held.buckets.end());
    return held;
  }

  void add_persistent_buffers() {
    for (std::size_t slot = 0; slot < classes_.size(); ++slot) {
      const ParameterClass held = parameter_class(slot);
      const auto add = [&](BufferKind kind, std::int64_t element, Sharding level) {
        const std::int64_t elements = held.sharding >= level ? shard_elements(held) : held.elements;
        return builder_.add_buffer({.kind = kind,
                                    .size = Bytes::bytes(elements * element),
                                    .parameter_class = ParameterClassId(slot)});
      };
      persistent_.parameters.push_back(
          add(BufferKind::parameters, state_.parameter, Sharding::parameters));
      if (held.is_held)
        persistent_.gradients[slot] =
            add(BufferKind::gradients, state_.gradient, Sharding::gradients);
      if (!classes_[slot].keeps_state) continue;
      if (state_.optimizer > 0) {
        persistent_.optimizer[slot] =
            add(BufferKind::optimizer_state, state_.optimizer, Sharding::optimizer_state);
      }
      if (frame_.outer) {
        persistent_.outer[slot] =
            add(BufferKind::outer_state, outer_state_bytes(training_, frame_.outer),
                Sharding::optimizer_state);
      }
    }
  }

  // ---- actions ---------------------------------------------------------------------------------

  void act(std::size_t number, const Action& action) {
    switch (action.kind) {
      case ActionKind::forward:
        load(action.stage, *action.micro_batch);
        return run_steps(number);
      case ActionKind::backward:
      case ActionKind::backward_input:
      case ActionKind::backward_weight:
        return run_steps(number);
      case ActionKind::send_forward:
      case ActionKind::receive_forward:
      case ActionKind::send_backward:
      case ActionKind::receive_backward:
        return transfer(action);
      // Where parameters are gathered and gradients reduced follows from how they are sharded.
      case ActionKind::unshard:
      case ActionKind::reshard:
      case ActionKind::reduce_gradients:
        return;
    }
  }

  void run_steps(std::size_t action) {
    const auto [first, last] = parts_.steps_of(action);
    for (std::size_t s = first; s < last; ++s)
      run_step(s);
  }

  // ---- messages between stages -----------------------------------------------------------------

  void transfer(const Action& action) {
    const bool sends =
        action.kind == ActionKind::send_forward || action.kind == ActionKind::send_backward;
    // The boundary that is crossed lies after stage `cut`; the other end is the stage beyond it.
    const bool outgoing = is_forward(action.kind) == sends;
    const std::size_t own = action.stage.index();
    const std::size_t cut = outgoing ? own : own - 1;
    const std::size_t other = outgoing ? own + 1 : own - 1;
    const std::vector<ValueId>& values = crossing_[cut];
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (!is_forward(action.kind) && !net_.values[values[k].index()].needs_gradient) continue;
      const BufferId buffer = is_forward(action.kind)
                                  ? value_of(values[k], *action.micro_batch, action.stage)
                                  : gradient_of(values[k], *action.micro_batch, action.stage);
      builder_.add(sends ? OpKind::send : OpKind::receive, lane_of(action),
                   {{buffer, sends ? Access::read : Access::write}},
                   Transfer{*frame_.peers[other], tag(action, cut, k), size_of_value(values[k])},
                   sends ? std::vector<OpId>{} : after_last_pass());
    }
  }

  static Lane lane_of(const Action& action) {
    switch (action.kind) {
      case ActionKind::send_forward:
        return {LaneKind::send_forward, action.stage};
      case ActionKind::receive_forward:
        return {LaneKind::receive_forward, action.stage};
      case ActionKind::send_backward:
        return {LaneKind::send_backward, action.stage};
      case ActionKind::receive_backward:
        return {LaneKind::receive_backward, action.stage};
      case ActionKind::forward:
      case ActionKind::backward:
      case ActionKind::backward_input:
      case ActionKind::backward_weight:
      case ActionKind::unshard:
      case ActionKind::reshard:
      case ActionKind::reduce_gradients:
        break;
    }
    REHEARSE_UNREACHABLE("no message");
  }

  // Messages are numbered through the micro-batches, the cuts and the values that cross them, the
  // same at both ends; gradients travel under odd tags.
  std::int64_t tag(const Action& action, std::size_t cut, std::size_t k) const {
    std::size_t before = 0, all = 0;
    for (std::size_t c = 0; c < crossing_.size(); ++c) {
      if (c < cut) before += crossing_[c].size();
      all += crossing_[c].size();
    }
    const auto message = static_cast<std::int64_t>(action.micro_batch->index() * all + before + k);
    return 2 * message + (is_forward(action.kind) ? 0 : 1);
  }

  std::vector<OpId> after_last_pass() const {
    return last_pass_ ? std::vector<OpId>{*last_pass_} : std::vector<OpId>{};
  }

  // ---- passes ----------------------------------------------------------------------------------

  void load(StageId stage, MicroBatchId micro_batch) {
    std::set<ValueId> values;
    for (std::size_t p = 0; p < parts_.all().size(); ++p) {
      if (frame_.stages[parts_.all()[p].stage].number != stage) continue;
      for (const Pass pass : {Pass::forward, Pass::backward}) {
        for (const ValueId value : parts_.lowering(p, pass).reads_values) {
          if (!net_.values[value.index()].producer) values.insert(value);
        }
      }
    }
    std::vector<Use> uses;
    for (const ValueId value : values)
      uses.push_back({value_of(value, micro_batch, stage), Access::write});
    if (uses.empty()) return;
    builder_.add(OpKind::load_batch, {LaneKind::compute, {}}, uses, Compute{{}, {}, micro_batch});
  }

  void run_step(std::size_t number) {
    const Step& step = parts_.steps()[number];
    gather_for(number);
    if (parts_.all()[step.part].exchange) {
      exchange_rows(step);
    } else {
      run_pass(step);
    }
    if (folds_) add_up_after(number);
    reduce_after(number);
  }

  void run_pass(const Step& step) {
    const Part& part = parts_.all()[step.part];
    const bool is_forward = step.kind == OpKind::forward || step.kind == OpKind::recompute;
    if (!is_forward) before_backward(step);
    const std::vector<Use> uses = uses_of(step);
    if (uses.empty()) return;  // everything here is dropped
    last_pass_ = builder_.add(step.kind, {LaneKind::compute, {}}, uses,
                              Compute{part.begin, part.end, step.micro_batch},
                              before_bucket(std::exchange(begins_bucket_, false)));
    if (is_forward) after_forward(step);
  }

  StageId stage_of(const Step& step) const {
    return frame_.stages[parts_.all()[step.part].stage].number;
  }

  std::vector<Use> uses_of(const Step& step) {
    const Lowering& lowering = parts_.lowering(step.part, parts_.pass_of(step));
    std::vector<Use> uses = slabs(lowering, step);
    for (const ValueId value : lowering.reads_values)
      uses.push_back({copy_for(value, step), Access::read});
    for (const ValueId value : lowering.writes_values)
      uses.push_back({copy_for(value, step), Access::write});
    add_gradients(lowering, step.micro_batch, stage_of(step), uses);
    add_parameters(step, uses);
    return uses;
  }

  // ---- exchanges between tensor-parallel ranks -------------------------------------------------

  void exchange(OpKind kind, std::vector<Use> uses, ValueId whole) {
    const std::int64_t bytes = value_bytes(whole);
    const Bytes size = size_of_value(whole);
    const std::int64_t elements = size.bytes() / bytes;
    const CollectiveGroup& group = frame_.tensor_layout;
    const CollectiveMethod method =
        choose_collective(frame_.collectives, *frame_.collective_costs, collective_kind(kind),
                          group, elements, bytes);
    const Bytes room = Bytes::bytes(
        bytes * room_for(shape_of(method, collective_kind(kind), group.members), elements));
    if (room > Bytes{})
      uses.push_back(
          {builder_.add_buffer({.kind = BufferKind::communication, .size = room}), Access::write});
    builder_.add(kind, {LaneKind::tensor, {}}, uses,
                 Collective{.group = *frame_.tensor_group,
                            .parameter_class = std::nullopt,
                            .begin = 0,
                            .end = elements,
                            .element_bytes = bytes,
                            .algorithm = method.algorithm,
                            .node_members = method.node_members,
                            .pieces = method.pieces});
  }

  std::int64_t value_bytes(ValueId value) const {
    return value == net_.loss ? sizes_.statistic_bytes : sizes_.activation_bytes;
  }

  // Terms of a sum are summed before anybody reads it.
  void after_forward(const Step& step) {
    for (const ValueId value : parts_.lowering(step.part, parts_.pass_of(step)).writes_values) {
      if (net_.values[value.index()].exchange != Exchange::sum) continue;
      exchange(OpKind::all_reduce, {{copy_for(value, step), Access::update}}, value);
    }
  }

  void before_backward(const Step& step) {
    const Lowering& lowering = parts_.lowering(step.part, parts_.pass_of(step));
    const StageId stage = stage_of(step);
    if (step.kind != OpKind::backward_weight) {
      for (const ValueId value : lowering.reads_gradients) {
        const auto producer = net_.values[value.index()].producer;
        const Part& part = parts_.all()[step.part];
        const SegmentId made = net_.layers[producer->index()].segment;
        if (net_.values[value.index()].exchange != Exchange::sum_gradient || made < part.begin ||
            part.end <= made)
          continue;
        exchange(OpKind::all_reduce,
                 {{gradient_of(value, step.micro_batch, stage), Access::update}}, value);
      }
    }
    for (const ValueId value : lowering.reads_values)
      gather_again(value, step);
    if (step.kind != OpKind::backward_input || !parts_.is_overlapped(step.part)) return;
    // Rows that the weights' gradients read come before those that this pass sends.
    for (const ValueId value : parts_.lowering(step.part, Pass::backward_weight).reads_values)
      gather_again(value, step);
  }

  // Rows gathered for the forward pass are not kept: the rank's own are.
  void gather_again(ValueId value, const Step& step) {
    if (!is_gathered(net_, value) || parts_.is_recomputed(step)) return;
    const Boundary key{value, step.micro_batch, home(value, stage_of(step))};
    if (!gathered_rows_.insert(key).second) return;
    const LayerId layer = *net_.values[value.index()].producer;
    exchange(OpKind::all_gather,
             {{value_of(net_.layers[layer.index()].inputs[0], step.micro_batch, stage_of(step)),
               Access::read},
              {copy_for(value, step), Access::write}},
             value);
  }

  void exchange_rows(const Step& step) {
    if (step.kind == OpKind::backward_weight) return;
    const Layer& layer = net_.layers[parts_.all()[step.part].exchange->index()];
    const bool gathers = std::holds_alternative<GatherRows>(layer.spec);
    const ValueId input = layer.inputs[0], whole = gathers ? layer.output : input;
    if (step.kind == OpKind::forward || step.kind == OpKind::recompute) {
      exchange(gathers ? OpKind::all_gather : OpKind::reduce_scatter,
               {{copy_for(input, step), gathers ? Access::read : Access::update},
                {copy_for(layer.output, step), Access::write}},
               whole);
      return;
    }
    const StageId stage = stage_of(step);
    exchange(gathers ? OpKind::reduce_scatter : OpKind::all_gather,
             {{gradient_of(layer.output, step.micro_batch, stage),
               gathers ? Access::update : Access::read},
              {gradient_of(input, step.micro_batch, stage), Access::write}},
             whole);
  }

  void add_gradients(const Lowering& lowering, MicroBatchId m, StageId stage,
                     std::vector<Use>& uses) {
    const std::set<ValueId> read(lowering.reads_gradients.begin(), lowering.reads_gradients.end());
    const std::set<ValueId> written(lowering.writes_gradients.begin(),
                                    lowering.writes_gradients.end());
    for (const ValueId value : read) {
      const Access access = written.count(value) > 0 ? Access::update : Access::read;
      uses.push_back({gradient_of(value, m, stage), access});
    }
    for (const ValueId value : written) {
      if (read.count(value) == 0) uses.push_back({gradient_of(value, m, stage), Access::write});
    }
  }

  void add_parameters(const Step& step, std::vector<Use>& uses) {
    for (const std::size_t slot : parts_.reads(step).classes) {
      if (classes_[slot].sharding != Sharding::parameters)
        uses.push_back({persistent_.parameters[slot], Access::read});
    }
    for (const std::size_t bucket : parts_.reads(step).buckets) {
      if (gathered_[bucket]) uses.push_back({*gathered_[bucket], Access::read});
    }
    for (const std::size_t slot : parts_.adds_to(step).classes) {
      if (adds_to_flat(slot, step.micro_batch))
        uses.push_back({persistent_.gradients.at(slot), Access::update});
    }
    for (const std::size_t bucket : parts_.adds_to(step).buckets) {
      if (adds_to_flat(buckets_[bucket].slot, step.micro_batch)) continue;
      const auto [entry, is_new] = unreduced_.try_emplace({bucket, step.micro_batch});
      if (is_new) entry->second = range_buffer(BufferKind::unreduced, bucket, state_.gradient);
      begins_bucket_ |= is_new;
      uses.push_back({entry->second, is_new ? Access::write : Access::update});
    }
  }

  // What a pass waits for that begins buckets whose gradients are sharded: one reduction may be
  // under way while they fill, not more, so that memory is bounded where reductions are slow (as
  // PyTorch's FSDP, which waits for the one before when it issues the next).
  std::vector<OpId> before_bucket(bool begins) const {
    const std::size_t issued = sharded_reductions_.size();
    if (!begins || !is_bounded_ || issued < 2) return {};
    return {sharded_reductions_[issued - 2]};
  }

  BufferId range_buffer(BufferKind kind, std::size_t number, std::int64_t element) {
    const OwnBucket& bucket = buckets_[number];
    return builder_.add_buffer({.kind = kind,
                                .size = Bytes::bytes((bucket.end - bucket.begin) * element),
                                .parameter_class = ParameterClassId(bucket.slot),
                                .begin = bucket.begin,
                                .end = bucket.end});
  }

  // Slabs that passes of a micro-batch share, and this op's scratch.
  std::vector<Use> slabs(const Lowering& lowering, const Step& step) {
    const bool makes = step.kind == OpKind::forward || step.kind == OpKind::recompute;
    const bool forgets = step.kind == OpKind::forward && parts_.is_recomputed(step);
    std::vector<Use> uses;
    const auto own = [&](BufferKind kind, Bytes size) {
      if (size > Bytes{})
        uses.push_back({builder_.add_buffer({.kind = kind, .size = size}), Access::write});
    };
    const auto shared = [&](BufferKind kind, Bytes size, Access access) {
      if (size == Bytes{}) return;
      if (forgets) return own(kind, size);
      auto [known, is_new] = slabs_.try_emplace({kind, step.part, step.micro_batch});
      if (is_new) known->second = builder_.add_buffer({.kind = kind, .size = size});
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

  // ---- boundary values -------------------------------------------------------------------------

  Bytes size_of_value(ValueId value) const { return size_of(net_, value, frame_.samples, sizes_); }

  // The stage of this rank whose copy of a value another stage here works on: where it was made or
  // received. A value that goes once around the ranks comes back as another copy.
  StageId home(ValueId value, StageId stage) const {
    const auto producer = net_.values[value.index()].producer;
    if (!producer) return stage;
    StageId at = stage;
    while (net_.layers[producer->index()].segment < frame_.starts[at.index()] &&
           is_here(StageId(at.index() - 1))) {
      at = StageId(at.index() - 1);
    }
    return at;
  }
  bool is_here(StageId stage) const {
    return std::any_of(frame_.stages.begin(), frame_.stages.end(),
                       [&](const Stage& own) { return own.number == stage; });
  }

  // Which copy of a value a step works on. What a block made in the forward pass is not kept if it
  // is recomputed, or if its rows were gathered: then there is a second copy in backward. The end
  // of a block may have nothing to be run again for; then its output is kept, as the
  // next block's input is.
  BufferId copy_for(ValueId value, const Step& step) {
    const StageId stage = stage_of(step);
    const auto producer = net_.values[value.index()].producer;
    const Part& part = parts_.all()[step.part];
    const bool same_block =
        producer &&
        net_.segments[net_.layers[producer->index()].segment.index()].block == part.block;
    const bool remade = part.recomputed && same_block &&
                        parts_.is_run_again(net_.layers[producer->index()].segment);
    const bool again = step.kind != OpKind::forward && (remade || is_gathered(net_, value));
    if (!again) return value_of(value, step.micro_batch, stage);
    const Boundary key{value, step.micro_batch, home(value, stage)};
    const auto [entry, is_new] = again_.try_emplace(key);
    if (is_new) {
      entry->second = builder_.add_buffer(
          {.kind = BufferKind::value, .size = size_of_value(value), .value = value});
    }
    return entry->second;
  }

  BufferId value_of(ValueId value, MicroBatchId m, StageId stage) {
    return builder_.boundary(BufferKind::value, {value, m, home(value, stage)},
                             size_of_value(value));
  }
  BufferId gradient_of(ValueId value, MicroBatchId m, StageId stage) {
    return builder_.boundary(BufferKind::gradient, {value, m, home(value, stage)},
                             size_of_value(value));
  }

  // ---- sharded parameters ----------------------------------------------------------------------

  // Asks for what this step needs, and for what the visits to the next blocks do. Blocks count
  // whether or not anything of them is here: workers that hold other units ask at the same points,
  // so that their gathers and reductions are in one order.
  void gather_for(std::size_t step) {
    gather_ahead(parts_.visit_of(step) + static_cast<std::size_t>(frame_.prefetch));
    while (used_runs_ < runs_.size() && runs_[used_runs_].first <= step) {
      gathered_[runs_[used_runs_].bucket] = run_buffers_[used_runs_];
      ++used_runs_;
    }
  }

  void gather_ahead(std::size_t visit) {
    while (run_buffers_.size() < runs_.size() &&
           parts_.visit_of(runs_[run_buffers_.size()].first) <= visit) {
      const std::size_t bucket = runs_[run_buffers_.size()].bucket;
      const OwnBucket& it = buckets_[bucket];
      const BufferId into = range_buffer(BufferKind::gathered, bucket, state_.parameter);
      const auto method =
          method_over(frame_, CollectiveKind::all_gather, classes_[it.slot], it, state_.parameter);
      builder_.add(OpKind::all_gather, {LaneKind::gather, {}},
                   {{persistent_.parameters[it.slot], Access::read}, {into, Access::write}},
                   collective_over(classes_[it.slot], it, state_.parameter, 1, method),
                   after_last_pass());
      run_buffers_.push_back(into);
    }
  }

  // ---- sums over micro-batches, where they are exact -------------------------------------------

  bool adds_to_flat(std::size_t slot, MicroBatchId micro_batch) const {
    return classes_[slot].sharding < Sharding::gradients &&
           (micro_batch == MicroBatchId(0) || !folds_);
  }

  BufferId sum_of(std::size_t bucket, std::size_t first) const {
    const std::size_t slot = buckets_[bucket].slot;
    if (adds_to_flat(slot, MicroBatchId(first))) return persistent_.gradients.at(slot);
    return unreduced_.at({bucket, MicroBatchId(first)});
  }

  // Of every bucket whose gradients of a micro-batch are complete now: as far up the tree as both
  // children of a node are there.
  void add_up_after(std::size_t step) {
    const MicroBatchId m = parts_.steps()[step].micro_batch;
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
      if (parts_.last_of(b, m) == step) add_up(b, m.index());
    }
  }

  void add_up(std::size_t bucket, std::size_t leaf) {
    const auto all = static_cast<std::size_t>(frame_.micro_batches);
    std::set<std::size_t>& waiting = waiting_[bucket];
    std::size_t first = leaf;
    for (std::size_t half = 1; half < all; half *= 2) {
      const bool is_right = first % (2 * half) != 0;
      const std::size_t left = is_right ? first - half : first, right = left + half;
      if (right >= all) continue;  // no sibling: the node is its parent, too
      if (waiting.erase(is_right ? left : right) == 0) {
        waiting.insert(first);
        return;
      }
      first = left;
      accumulate(bucket, left, right, 2 * half >= all);
    }
  }

  void accumulate(std::size_t number, std::size_t left, std::size_t right, bool is_last) {
    const OwnBucket& bucket = buckets_[number];
    const bool divides = is_last && !classes_[bucket.slot].group;
    last_pass_ = builder_.add(
        OpKind::accumulate, {LaneKind::compute, {}},
        {{sum_of(number, left), Access::update}, {sum_of(number, right), Access::read}},
        Accumulate{ParameterClassId(bucket.slot), bucket.begin, bucket.end,
                   divides ? frame_.micro_batches : 1});
  }

  // ---- gradients of what does not run ----------------------------------------------------------

  void clear_absent() {
    std::set<ParameterId> used;
    for (const Stage& stage : frame_.stages) {
      const auto parameters = parameters_of(net_, stage.begin, stage.end);
      used.insert(parameters.begin(), parameters.end());
    }
    for (const auto& [slot, gradients] : persistent_.gradients) {
      std::int64_t begin = 0, end = 0;  // of neighbours that do not run
      const auto clear = [&, slot = slot, gradients = gradients] {
        if (begin < end)
          last_pass_ =
              builder_.add(OpKind::clear, {LaneKind::compute, {}}, {{gradients, Access::update}},
                           Clear{ParameterClassId(slot), begin, end});
      };
      for (const ParameterId id : classes_[slot].holder_class->parameters) {
        const std::int64_t elements = net_.parameters[id.index()].shape.elements();
        if (used.count(id) > 0) clear(), begin = end + elements;
        end += elements;
      }
      clear();
    }
  }

  // ---- reductions and updates ------------------------------------------------------------------

  bool reduces_every_micro_batch(std::size_t bucket) const {
    return classes_[buckets_[bucket].slot].sharding >= Sharding::gradients && !folds_;
  }

  // Issues, in the common order, every bucket that is full now.
  void reduce_after(std::size_t step) {
    if (!frame_.overlap || frame_.is_local) return;
    const MicroBatchId m = parts_.steps()[step].micro_batch;
    reduce_full(std::nullopt, step);
    reduce_full(m, step);
  }

  void reduce_all() {
    reduce_full(std::nullopt, parts_.steps().size());
    for (std::int64_t m = 0; m < frame_.micro_batches; ++m)
      reduce_full(MicroBatchId(m), parts_.steps().size());
  }

  void reduce_full(std::optional<MicroBatchId> micro_batch, std::size_t step) {
    std::size_t& next = reduced_[micro_batch];
    for (; next < buckets_.size(); ++next) {
      if (!classes_[buckets_[next].slot].group) continue;
      if (reduces_every_micro_batch(next) != micro_batch.has_value()) continue;
      const auto last = parts_.last_of(next, micro_batch);
      // Where nothing of a bucket runs, its zeros are there from the beginning.
      if (last ? *last > step : !frame_.clears) return;
      if (!stands_in_order(next, micro_batch, step)) return;
      reduce(next, micro_batch);
    }
  }

  // Among gathers, a reduction has its place where the last block has been visited that it, or
  // another worker's before it, is of: on all workers alike.
  bool stands_in_order(std::size_t bucket, std::optional<MicroBatchId> m, std::size_t step) const {
    if (classes_[buckets_[bucket].slot].sharding != Sharding::parameters) return true;
    if (step == parts_.steps().size()) return true;
    return parts_.ends_visit(step) &&
           std::all_of(buckets_[bucket].first_uses.begin(), buckets_[bucket].first_uses.end(),
                       [&](SegmentId use) {
                         const auto visit = parts_.last_visit(use, m);
                         return !visit || *visit <= parts_.visit_of(step);
                       });
  }

  void reduce(std::size_t number, std::optional<MicroBatchId> micro_batch) {
    const OwnBucket& bucket = buckets_[number];
    const OwnClass& own = classes_[bucket.slot];
    const OpKind kind =
        own.sharding == Sharding::none ? OpKind::all_reduce : OpKind::reduce_scatter;
    std::vector<Use> uses;
    if (own.sharding >= Sharding::gradients) {
      const bool is_first = begun_.insert(number).second;
      uses = {{unreduced_.at({number, micro_batch.value_or(MicroBatchId(0))}), Access::update},
              {persistent_.gradients.at(bucket.slot), is_first ? Access::write : Access::update}};
    } else {
      uses = {{persistent_.gradients.at(bucket.slot), Access::update}};
    }
    const CollectiveMethod method = reduction_method(kind, own, bucket);
    const Bytes received = Bytes::bytes(
        state_.gradient *
        room_for(shape_of(method, collective_kind(kind), own.members), bucket.end - bucket.begin));
    if (received > Bytes{})
      uses.push_back({builder_.add_buffer({.kind = BufferKind::communication, .size = received}),
                      Access::write});
    last_reduce_[bucket.slot] = builder_.add(
        kind, {LaneKind::collective, {}}, uses,
        collective_over(own, bucket, state_.gradient, divisor_of(own), method), after_last_pass());
    // A reduction with other stages of the pipeline ends when these get to it, and so do all behind
    // it: passes that waited for them might be what those stages wait for.
    if (own.sharding < Sharding::gradients) is_bounded_ = false;
    sharded_reductions_.push_back(last_reduce_[bucket.slot]);
  }

  CollectiveMethod reduction_method(OpKind kind, const OwnClass& own,
                                    const OwnBucket& bucket) const {
    if (training_.reduction == Reduction::exact) return {CollectiveAlgorithm::pairwise};
    return method_over(frame_, collective_kind(kind), own, bucket, state_.gradient);
  }

  // Means over replicas, or over micro-batches.
  std::int64_t divisor_of(const OwnClass& own) const {
    const bool exact = training_.reduction == Reduction::exact;
    return own.divisor * (exact ? frame_.micro_batches : 1);
  }

  const Net& net_;
  const RankFrame& frame_;
  const ElementSizes sizes_;
  const StateSizes state_;
  const Training& training_;
  const bool folds_;  // gradients of micro-batches are kept apart
  const std::vector<OwnClass>& classes_;
  const std::vector<OwnBucket> buckets_;  // in the common order
  Parts parts_;
  const std::vector<GatherRun> runs_;
  ProgramBuilder builder_;
  std::vector<std::vector<ValueId>> crossing_;  // by stage: the values that cross the cut after it
  ClassBuffers persistent_;
  std::vector<std::optional<BufferId>> gathered_;  // by bucket: the run in use
  std::vector<BufferId> run_buffers_;              // of the runs asked for so far
  std::size_t used_runs_ = 0;
  std::map<std::pair<std::size_t, MicroBatchId>, BufferId> unreduced_;           // by bucket
  std::map<std::tuple<BufferKind, std::size_t, MicroBatchId>, BufferId> slabs_;  // by part
  std::map<Boundary, BufferId> again_;  // second copies of values, for backward
  std::set<Boundary> gathered_rows_;    // of which a second gather has been issued
  std::optional<OpId> last_pass_;
  std::map<std::optional<MicroBatchId>, std::size_t> reduced_;  // buckets passed by, in order
  // By bucket: sums over micro-batches without their siblings in the tree, by first micro-batch.
  std::map<std::size_t, std::set<std::size_t>> waiting_;
  std::set<std::size_t> begun_;              // buckets whose shards have a first micro-batch
  std::map<std::size_t, OpId> last_reduce_;  // by class
  std::vector<OpId> sharded_reductions_;     // in the order in which they are issued
  bool begins_bucket_ = false;               // whether the pass that is added makes one
  bool is_bounded_;                          // whether it may wait for reductions
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
  std::vector<OwnBucket> own;
  std::vector<SegmentId> first_uses;
  for (const Bucket& bucket : buckets) {
    first_uses.push_back(bucket.first_use);
    const auto slot = class_slots[bucket.holder_class];
    // Where micro-batches are kept apart, what this rank holds alone is added up bucket by bucket.
    const bool keeps =
        slot && (classes[*slot].group || accumulates_exactly(training, frame.micro_batches));
    if (!keeps) continue;
    own.push_back({*slot, bucket.begin, bucket.end, bucket.parameters, first_uses});
    first_uses.clear();
  }
  return ProgramOfRank(net, frame, training, classes, std::move(own)).run();
}

}  // namespace rehearse
