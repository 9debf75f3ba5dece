#include "cost/estimate.h"

#include "cost/cost_model.h"
#include "model/net/lowering.h"

namespace rehearse {

namespace {

struct Range {
  SegmentId begin, end;
};

// A block's passes: its segments between exchanges of rows, which are no passes.
std::vector<Range> passes_of(const Net& net, BlockId block) {
  std::vector<Range> ranges;
  SegmentId begin = begin_of(net, block);
  const SegmentId end = end_of(net, block);
  for (SegmentId s = begin; s < end; s = SegmentId(s.value() + 1)) {
    if (!row_exchange(net, s)) continue;
    if (begin < s) ranges.push_back({begin, s});
    begin = SegmentId(s.value() + 1);
  }
  if (begin < end) ranges.push_back({begin, end});
  return ranges;
}

// The block whose forward is followed by its backward: nothing of it is recomputed.
bool has_loss(const Net& net, BlockId block) {
  const LayerId loss = *net.values[net.loss.index()].producer;
  return net.segments[net.layers[loss.index()].segment.index()].block == block;
}

}  // namespace

StageCosts stage_costs(const Net& net, Recomputation recomputation, std::int64_t samples,
                       const Training& training, const Device& device) {
  const ElementSizes sizes = element_sizes(training);
  StageCosts costs;
  for (std::size_t b = 0; b < net.blocks.size(); ++b) {
    const std::vector<Range> passes = passes_of(net, BlockId(b));
    const auto price = [&](Pass pass) {
      Seconds sum;
      for (const Range& range : passes)
        sum += price_pass(net, range.begin, range.end, pass, samples, sizes, device).seconds;
      return sum.seconds();
    };
    const bool again = recomputation == Recomputation::full && !has_loss(net, BlockId(b));
    costs.forward.push_back(price(Pass::forward));
    costs.backward_input.push_back(price(Pass::backward_input) +
                                   (again ? costs.forward.back() : 0));
    costs.backward_weight.push_back(price(Pass::backward_weight));
  }
  return costs;
}

BlockMemory block_memory(const Net& net, Recomputation recomputation, std::int64_t samples,
                         const Training& training, Sharding sharding, std::int64_t holders,
                         const std::optional<OuterOptimizer>& outer) {
  const ElementSizes sizes = element_sizes(training);
  const StateSizes state = state_sizes(training);
  const auto share = [&](std::int64_t bytes, Sharding level) {
    return sharding >= level ? bytes / holders : bytes;
  };
  BlockMemory memory;
  for (std::size_t b = 0; b < net.blocks.size(); ++b) {
    std::int64_t elements = 0;
    for (const ParameterId parameter :
         parameters_of(net, begin_of(net, BlockId(b)), end_of(net, BlockId(b))))
      elements += net.parameters[parameter.index()].shape.elements();
    memory.state.push_back(
        Bytes::bytes(share(elements * state.parameter, Sharding::parameters) +
                     share(elements * state.gradient, Sharding::gradients) +
                     share(elements * state.optimizer, Sharding::optimizer_state) +
                     elements * outer_state_bytes(training, outer)));
    Bytes kept;
    for (const Range& range : passes_of(net, BlockId(b))) {
      const Lowering forward = lower(net, range.begin, range.end, Pass::forward, samples, sizes);
      const bool again = recomputation == Recomputation::full && !has_loss(net, BlockId(b));
      if (again && range.begin > begin_of(net, BlockId(b))) continue;
      if (!again) kept += forward.saved;
      for (const ValueId value : forward.reads_values)
        kept += size_of(net, value, samples, sizes);
    }
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
