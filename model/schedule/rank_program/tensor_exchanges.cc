#include "model/schedule/rank_program/tensor_exchanges.h"

#include "model/net/tensor.h"
#include "model/schedule/rank_program/exchange.h"

namespace rehearse {

void TensorExchanges::exchange_rows(const Step& step) {
  if (step.kind == OpKind::backward_weight) return;
  const Layer& layer = inputs_.net.layers[parts_.part_of(step).exchange->index()];
  const bool gathers = std::holds_alternative<GatherRows>(layer.spec);
  const ValueId input = layer.inputs[0], whole = gathers ? layer.output : input;
  if (step.kind == OpKind::forward || step.kind == OpKind::recompute) {
    exchange(gathers ? OpKind::all_gather : OpKind::reduce_scatter,
             {{values_.value_for(step, input), gathers ? Access::read : Access::update},
              {values_.value_for(step, layer.output), Access::write}},
             whole);
    return;
  }
  exchange(gathers ? OpKind::reduce_scatter : OpKind::all_gather,
           {{values_.gradient_for(step, layer.output), gathers ? Access::update : Access::read},
            {values_.gradient_for(step, input), Access::write}},
           whole);
}

void TensorExchanges::after_forward(const Step& step) {
  for (const ValueId value : parts_.lowering(step.part, parts_.pass_of(step)).writes_values) {
    if (inputs_.net.values[value.index()].exchange != Exchange::sum) continue;
    exchange(OpKind::all_reduce, {{values_.value_for(step, value), Access::update}}, value);
  }
}

void TensorExchanges::before_backward(const Step& step) {
  if (step.kind != OpKind::backward_weight) sum_gradients_for(step);
  for (const ValueId value : parts_.lowering(step.part, parts_.pass_of(step)).reads_values)
    gather_again(value, step);
  if (step.kind != OpKind::backward_input || !parts_.is_overlapped(step.part)) return;
  // Rows that the weights' gradients read come before those that this pass sends.
  for (const ValueId value : parts_.lowering(step.part, Pass::backward_weight).reads_values)
    gather_again(value, step);
}

void TensorExchanges::sum_gradients_for(const Step& step) {
  const Part& part = parts_.part_of(step);
  for (const ValueId value : parts_.lowering(step.part, parts_.pass_of(step)).reads_gradients) {
    const Value& it = inputs_.net.values[value.index()];
    const SegmentId made = inputs_.net.layers[it.producer->index()].segment;
    const bool is_made_here = part.begin <= made && made < part.end;
    if (it.exchange != Exchange::sum_gradient || !is_made_here) continue;
    exchange(OpKind::all_reduce, {{values_.gradient_for(step, value), Access::update}}, value);
  }
}

// Rows gathered for the forward pass are not kept: the rank's own are.
void TensorExchanges::gather_again(ValueId value, const Step& step) {
  if (!is_gathered(inputs_.net, value) || parts_.is_recomputed(step)) return;
  const StageId stage = parts_.stage_of(step);
  if (!gathered_again_.insert(values_.copy_on(stage, value, step.micro_batch)).second) return;
  const LayerId layer = *inputs_.net.values[value.index()].producer;
  const ValueId rows = inputs_.net.layers[layer.index()].inputs[0];
  exchange(OpKind::all_gather,
           {{values_.value(rows, step.micro_batch, stage), Access::read},
            {values_.value_for(step, value), Access::write}},
           value);
}

void TensorExchanges::exchange(OpKind kind, std::vector<Use> uses, ValueId whole) {
  const std::int64_t bytes = element_bytes(whole);
  const std::int64_t elements = values_.size_of(whole).bytes() / bytes;
  const CollectiveGroup& group = inputs_.frame.tensor_layout;
  const CollectiveMethod method =
      choose_collective(inputs_.frame.collectives, *inputs_.frame.collective_costs,
                        collective_kind(kind), group, elements, bytes);
  add_room(draft_.builder, shape_of(method, collective_kind(kind), group.members), elements, bytes,
           uses);
  draft_.builder.add(kind, {LaneKind::tensor, {}}, uses,
                     Collective{.group = *inputs_.frame.tensor_group,
                                .parameter_class = std::nullopt,
                                .begin = 0,
                                .end = elements,
                                .element_bytes = bytes,
                                .algorithm = method.algorithm,
                                .node_members = method.node_members,
                                .pieces = method.pieces});
}

std::int64_t TensorExchanges::element_bytes(ValueId value) const {
  return value == inputs_.net.loss ? inputs_.sizes.statistic_bytes : inputs_.sizes.activation_bytes;
}

}  // namespace rehearse
