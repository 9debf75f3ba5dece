#include "cost/estimate.h"

#include "cost/cost_model.h"
#include "model/net/lowering.h"

namespace rehearse {

StageCosts stage_costs(const Net& net, std::int64_t samples, const Training& training,
                       const Device& device) {
  const ElementSizes sizes = element_sizes(training);
  StageCosts costs;
  for (std::size_t b = 0; b < net.blocks.size(); ++b) {
    const SegmentId begin = begin_of(net, BlockId(b)), end = end_of(net, BlockId(b));
    const auto price = [&](Pass pass) {
      return price_pass(net, begin, end, pass, samples, sizes, device).seconds.seconds();
    };
    costs.forward.push_back(price(Pass::forward));
    costs.backward_input.push_back(price(Pass::backward_input));
    costs.backward_weight.push_back(price(Pass::backward_weight));
  }
  return costs;
}

StageMemory stage_memory(const Net& net, std::int64_t samples, const Training& training,
                         Bytes limit) {
  const ElementSizes sizes = element_sizes(training);
  const StateSizes state = state_sizes(training);
  StageMemory memory;
  memory.limit = limit;
  for (std::size_t b = 0; b < net.blocks.size(); ++b) {
    const SegmentId begin = begin_of(net, BlockId(b)), end = end_of(net, BlockId(b));
    std::int64_t elements = 0;
    for (const ParameterId parameter : parameters_of(net, begin, end))
      elements += net.parameters[parameter.index()].shape.elements();
    memory.state.push_back(
        Bytes::bytes(elements * (state.parameter + state.gradient + state.optimizer)));
    const Lowering forward = lower(net, begin, end, Pass::forward, samples, sizes);
    Bytes kept = forward.saved;
    for (const ValueId value : forward.reads_values)
      kept += size_of(net, value, samples, sizes);
    memory.activations.push_back(kept);
  }
  return memory;
}

Flops model_flops(const Plan& plan, const Net& full) {
  std::vector<Flops> by_program;
  for (const RankProgram& program : plan.programs) {
    const Net net = net_of(plan, full, program);
    Flops micro_batch;
    for (const Stage& stage : program.stages)
      micro_batch += flops_of(net, stage.begin, stage.end, plan.micro_batch_samples).total();
    by_program.push_back(micro_batch * static_cast<double>(program.micro_batches));
  }
  Flops total;
  for (const RankBinding& rank : plan.ranks)
    total += by_program[rank.program.index()];
  return total;
}

}  // namespace rehearse
