#include "cost/estimate.h"

#include "cost/cost_model.h"
#include "model/net/lowering.h"

namespace rehearse {

std::vector<double> block_seconds(const Net& net, std::int64_t samples, const Training& training,
                                  const Device& device) {
  const ElementSizes sizes = element_sizes(training);
  std::vector<double> seconds;
  for (std::size_t b = 0; b < net.blocks.size(); ++b) {
    const SegmentId begin = begin_of(net, BlockId(b)), end = end_of(net, BlockId(b));
    const auto price = [&](Pass pass) {
      return price_pass(net, begin, end, pass, samples, sizes, device).seconds;
    };
    seconds.push_back((price(Pass::forward) + price(Pass::backward)).seconds());
  }
  return seconds;
}

Flops model_flops(const Plan& plan, const Net& full) {
  std::vector<Flops> by_program;
  for (const RankProgram& program : plan.programs) {
    const Net net = net_of(plan, full, program);
    const Flops micro_batch =
        flops_of(net, program.begin, program.end, plan.micro_batch_samples).total();
    by_program.push_back(micro_batch * static_cast<double>(program.micro_batches));
  }
  Flops total;
  for (const RankBinding& rank : plan.ranks)
    total += by_program[rank.program.index()];
  return total;
}

}  // namespace rehearse
