#include "cost/estimate.h"

#include <algorithm>

#include "cost/collective_cost.h"
#include "cost/cost_model.h"
#include "model/net/alike.h"
#include "model/net/lowering.h"
#include "model/plan/own_net.h"

namespace rehearse {

std::vector<SegmentRange> passes_of(const Net& net, BlockId block) {
  std::vector<SegmentRange> ranges;
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

namespace {

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
  const std::vector<std::size_t> alike = alike_blocks(net);
  const auto take = [](std::vector<double>& by_block, std::size_t from) {
    by_block.push_back(by_block[from]);
  };
  for (std::size_t b = 0; b < net.blocks.size(); ++b) {
    if (alike[b] < b) {
      take(costs.forward, alike[b]);
      take(costs.backward_input, alike[b]);
      take(costs.backward_weight, alike[b]);
      continue;
    }
    const std::vector<SegmentRange> passes = passes_of(net, BlockId(b));
    const auto price = [&](Pass pass) {
      Seconds sum;
      for (const SegmentRange& range : passes)
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

namespace {

// What a plan's costs say about messages before anybody knows which ranks are neighbours.
class Distances {
 public:
  Distances(const Net& net, std::int64_t samples, const Training& training,
            const ClusterSpec& cluster)
      : net_(net), samples_(samples), cluster_(cluster), sizes_(element_sizes(training)) {}

  // Seconds of a message between neighbouring stages, by the slower of the links there are.
  double transfer() const {
    Bytes largest;
    for (std::size_t block = 1; block < net_.blocks.size(); ++block) {
      Bytes crossing;
      for (const ValueId value : values_across(net_, begin_of(net_, BlockId(block))))
        crossing += size_of(net_, value, samples_, sizes_);
      largest = std::max(largest, crossing);
    }
    Seconds slowest;
    const auto over = [&](const LinkSpec& link) {
      slowest = std::max(slowest, link.latency + largest / link.bandwidth);
    };
    if (has_interconnect()) over(device_link(cluster_));
    if (has_network()) over(*slowest_network_link(cluster_));
    return (cluster_.device.messaging.latency + slowest).seconds();
  }

  // The passes of blocks wait for what tensor-parallel ranks exchange in them. These are
  // neighbours, on one node if they are few enough.
  void add_exchanges(const Mesh& mesh, StageCosts& costs) const {
    if (mesh.tensor == 1) return;
    for (std::size_t s = 0; s < net_.segments.size(); ++s) {
      const std::size_t block = net_.segments[s].block.index();
      for (const LayerId id : net_.segments[s].layers) {
        const ValueId output = net_.layers[id.index()].output;
        const double sum = all_reduce(mesh, output);
        const Exchange exchange = net_.values[output.index()].exchange;
        if (exchange == Exchange::sum) costs.forward[block] += sum;
        if (exchange == Exchange::sum_gradient) costs.backward_input[block] += sum;
        if (!row_exchange(net_, SegmentId(s))) continue;
        // A gather or a scatter each way, half of a sum, of all rows: one side has them.
        const double half = std::max(all_reduce(mesh, net_.layers[id.index()].inputs[0]), sum) / 2;
        costs.forward[block] += half;
        costs.backward_input[block] += half;
      }
    }
  }

 private:
  bool has_interconnect() const { return cluster_.interconnect && cluster_.devices_per_node > 1; }
  bool has_network() const {
    return cluster_.network.kind != NetworkKind::none && cluster_.nodes > 1;
  }

  double all_reduce(const Mesh& mesh, ValueId value) const {
    const bool leaves = mesh.tensor > cluster_.devices_per_node && has_network();
    Path path{{}, std::nullopt};
    const auto along = [&](const LinkSpec& link) { path = {link.latency, link.bandwidth}; };
    if (leaves) along(*slowest_network_link(cluster_));
    if (!leaves && has_interconnect()) along(device_link(cluster_));
    const MessageCost cost = exchange_cost(cluster_.device, path, cluster_.devices_per_node);
    return ring_all_reduce_seconds(cost, static_cast<std::size_t>(mesh.tensor),
                                   size_of(net_, value, samples_, sizes_).bytes(), 1)
        .seconds();
  }

  const Net& net_;
  const std::int64_t samples_;
  const ClusterSpec& cluster_;
  const ElementSizes sizes_;
};

}  // namespace

StageCosts stage_costs(const Net& net, Recomputation recomputation, std::int64_t samples,
                       const Training& training, const ClusterSpec& cluster, const Mesh& mesh) {
  StageCosts costs = stage_costs(net, recomputation, samples, training, cluster.device);
  const Distances distances(net, samples, training, cluster);
  costs.transfer = distances.transfer();
  distances.add_exchanges(mesh, costs);
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
    for (const SegmentRange& range : passes_of(net, BlockId(b))) {
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
    const OwnNet net(plan, full, program);
    Flops micro_batch;
    for (const Stage& stage : program.stages)
      micro_batch += flops_of(*net, stage.begin, stage.end, plan.micro_batch_samples).total();
    by_program.push_back(micro_batch * static_cast<double>(program.micro_batches));
  }
  Flops total;
  for (const RankBinding& rank : plan.ranks)
    total += by_program[rank.program.index()];
  return total;
}

}  // namespace rehearse
