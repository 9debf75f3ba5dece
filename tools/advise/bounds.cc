#include "tools/advise/bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cost/cost_model.h"
#include "cost/estimate.h"
#include "model/net/alike.h"
#include "model/net/tensor.h"

namespace rehearse::advise {
namespace {

// Estimates of steps that begin before others have ended are found step by step, to a millionth.
constexpr double kConverged = 1 - 1e-5;

// Of the kernels of layers. Sums and copies of gradients depend on where passes are cut.
double kernel_seconds(const Net& net, const SegmentRange& range, Pass pass, std::int64_t samples,
                      const ElementSizes& sizes, const Device& device) {
  const Lowering lowered = lower(net, range.begin, range.end, pass, samples, sizes);
  const OpPrice price = price_pass(net, lowered, samples, sizes, device);
  double sum = 0;
  for (std::size_t k = 0; k < lowered.steps.size(); ++k) {
    const KernelKind kind = lowered.steps[k].kind;
    if (kind == KernelKind::accumulate || kind == KernelKind::copy) continue;
    sum += price.kernels[k].seconds();
  }
  return sum;
}

std::int64_t kept_bytes(const Net& net, const SegmentRange& range, std::int64_t samples,
                        const ElementSizes& sizes) {
  const auto kept = [&](Pass pass) {
    const Lowering lowered = lower(net, range.begin, range.end, pass, samples, sizes);
    return (lowered.saved + lowered.kept).bytes();
  };
  return std::min(kept(Pass::forward), kept(Pass::split_forward));
}

double priced_flops(const Net& net) {
  double flops = flops_of(net, 1).total().flops();
  for (const Segment& segment : net.segments) {
    for (const LayerId id : segment.layers) {
      const LayerFacts& facts = net.layers[id.index()].facts;
      if (facts.kernel != KernelClass::attention) continue;
      const Work work = facts.forward + facts.backward_input + facts.backward_weight;
      flops -= (work.per_sample.flops() + work.per_call.flops()) / 2;
    }
  }
  return std::max(0.0, flops);
}

// An all-reduce is a reduce-scatter and an all-gather, of which each has (ways - 1) / ways of it.
double exchanged_bytes(const Net& net, std::int64_t ways, const ElementSizes& sizes) {
  double bytes = 0;
  const auto size = [&](ValueId value) {
    return static_cast<double>(size_of(net, value, 1, sizes).bytes());
  };
  for (std::size_t s = 0; s < net.segments.size(); ++s) {
    for (const LayerId id : net.segments[s].layers) {
      const Layer& layer = net.layers[id.index()];
      if (net.values[layer.output.index()].exchange != Exchange::none)
        bytes += 2 * size(layer.output);
      if (row_exchange(net, SegmentId(s)))
        bytes += 2 * std::max(size(layer.inputs[0]), size(layer.output));
    }
  }
  return bytes * static_cast<double>(ways - 1) / static_cast<double>(ways);
}

double coverage_of(const Family& family) {
  return family.coverage.value();
}

}  // namespace

double step_multiplier(const Family& family, std::optional<double> given) {
  return family.is_subnetwork() ? given.value_or(1 / coverage_of(family)) : 1;
}

Bounds::Bounds(const Scenario& scenario)
    : scenario_(scenario), net_(build_net(scenario.model).value()) {
  const ClusterSpec& spec = scenario.cluster;
  is_timed_ = spec.ranks.empty() && !spec.jitter;
  is_sized_ = spec.ranks.empty() && spec.device.kind == DeviceKind::gpu;
  for (const KernelRate& rate : spec.device.kernels)
    fastest_rate_ = std::max(fastest_rate_, rate.compute.flops_per_second());
  const Result<Cluster> cluster = Cluster::build(spec);
  if (!cluster) return;
  const auto& vertices = cluster->vertices();
  for (const Link& link : cluster->links()) {
    const double rate = link.bandwidth.bytes_per_second();
    inside_ = std::max(inside_, rate);
    const auto from = vertices[link.from.index()].node, to = vertices[link.to.index()].node;
    if (!from || !to || *from != *to) between_ = std::max(between_, rate);
  }
  // Between devices that have no links of their own messages take no time that is known.
  if (spec.devices_per_node > 1 && !spec.interconnect && !spec.nics) inside_ = 0;
}

double Bounds::byte_seconds(std::int64_t ranks) const {
  const double rate = ranks > scenario_.cluster.devices_per_node ? between_ : inside_;
  return rate > 0 ? 1 / rate : 0;
}

Bounds::Slice& Bounds::slice(const Family& family) {
  const bool selective = family.recompute == Recomputation::selective;
  auto& known = slices_[{family.tensor, family.sequence_parallel, selective}];
  if (known) return *known;
  const Net whole = selective ? recompute_attention(net_) : net_;
  known = std::make_unique<Slice>(
      Slice{shard(whole, family.tensor, family.sequence_parallel).value(), 0, 0, 0, {}});
  known->elements = parameter_count(known->net);
  known->flops = priced_flops(known->net);
  if (family.tensor > 1)
    known->exchanged =
        exchanged_bytes(known->net, family.tensor, element_sizes(scenario_.training));
  return *known;
}

const Bounds::MicroBatch& Bounds::micro_batch(const Family& family, std::int64_t samples) {
  Slice& own = slice(family);
  const bool full = family.recompute == Recomputation::full;
  const auto [known, is_new] = own.micro_batches.try_emplace({samples, full});
  if (!is_new) return known->second;
  const ElementSizes sizes = element_sizes(scenario_.training);
  const Device& device = scenario_.cluster.device;
  const std::vector<std::size_t> alike = alike_blocks(own.net);
  std::vector<MicroBatch> blocks;
  MicroBatch& sum = known->second;
  for (std::size_t b = 0; b < own.net.blocks.size(); ++b) {
    MicroBatch block;
    if (alike[b] < b) {
      block = blocks[alike[b]];
    } else {
      for (const SegmentRange& range : passes_of(own.net, BlockId(b))) {
        const auto seconds = [&](Pass pass) {
          return kernel_seconds(own.net, range, pass, samples, sizes, device);
        };
        block.forward += seconds(Pass::forward);
        block.backward += seconds(Pass::backward);
        block.split_input += seconds(Pass::backward_input);
        block.split_weight += seconds(Pass::backward_weight);
        const std::int64_t kept = kept_bytes(own.net, range, samples, sizes);
        block.kept += kept;
        block.largest = std::max(block.largest, kept);
      }
    }
    blocks.push_back(block);
    // The last block has the loss: its backward follows its forward.
    const bool again = full && b + 1 < own.net.blocks.size();
    sum.forward += block.forward;
    sum.backward += block.backward + (again ? block.forward : 0);
    sum.split_input += block.split_input + (again ? block.forward : 0);
    sum.split_weight += block.split_weight;
    sum.kept += full ? 0 : block.kept;
    sum.largest = std::max(sum.largest, block.largest);
  }
  return sum;
}

// ---- time
// ----------------------------------------------------------------------------------------

double Bounds::reduction(const Family& family, Sharding zero) {
  const std::int64_t holders = family.holders();
  if (holders == 1) return 0;
  const StateSizes sizes = state_sizes(scenario_.training);
  const std::int64_t reduced = sizes.gradient;
  // Gathered with the gradients; in the weights' place, after their update; on a lane of its own.
  const std::int64_t gathered = zero == Sharding::none         ? sizes.gradient
                                : zero == Sharding::parameters ? 0
                                                               : sizes.parameter;
  const auto h = static_cast<double>(holders);
  return coverage_of(family) * static_cast<double>(slice(family).elements) /
         static_cast<double>(family.pipeline) * (h - 1) / h *
         static_cast<double>(reduced + gathered) * byte_seconds(holders);
}

double Bounds::time(const Family& family) {
  if (!is_timed_) return 0;
  const double ranks = static_cast<double>(family.tensor * family.pipeline * family.replicas);
  const double flops = slice(family).flops * static_cast<double>(scenario_.training.batch) *
                       static_cast<double>(family.tensor);
  const double least = std::min(reduction(family, Sharding::none),
                                std::min(reduction(family, Sharding::optimizer_state),
                                         reduction(family, Sharding::parameters)));
  return kConverged * std::max(coverage_of(family) * flops / (ranks * fastest_rate_), least);
}

double Bounds::time(const Family& family, const Point& point) {
  if (!is_timed_) return 0;
  const MicroBatch& micro_batch = this->micro_batch(family, point.samples);
  const bool splits = point.schedule != nullptr && point.schedule->splits_backward;
  const double exchange =
      slice(family).exchanged * static_cast<double>(point.samples) * byte_seconds(family.tensor);
  const double awaited =
      micro_batch.forward + exchange + (splits ? micro_batch.split_input : micro_batch.backward);
  const double all = awaited + (splits ? micro_batch.split_weight : 0);
  const auto p = static_cast<double>(family.pipeline), m = static_cast<double>(point.micro_batches);
  double seconds = coverage_of(family) * m * all / p;
  const bool has_one_stage = point.schedule == nullptr ||
                             (point.chunks == 1 && point.schedule->placement == Placement::loop);
  if (has_one_stage)
    seconds = std::max(seconds, coverage_of(family) * awaited / (1 - std::pow(1 - 1 / m, p)));
  return kConverged * std::max(seconds, reduction(family, point.zero));
}

// ---- memory
// --------------------------------------------------------------------------------------

// Of the rank with most of it, at least.
std::int64_t Bounds::state(const Family& family, Sharding zero) {
  const StateSizes sizes = state_sizes(scenario_.training);
  const std::int64_t shares = family.holders() * family.tensor;
  const auto bytes = [&](std::int64_t each, Sharding from) {
    return static_cast<double>(each) / static_cast<double>(zero >= from ? shares : 1);
  };
  return static_cast<std::int64_t>(
      coverage_of(family) * static_cast<double>(slice(family).elements) /
      static_cast<double>(family.pipeline) *
      (bytes(sizes.parameter, Sharding::parameters) + bytes(sizes.gradient, Sharding::gradients) +
       bytes(sizes.optimizer, Sharding::optimizer_state)));
}

std::int64_t Bounds::memory(const Family& family, Sharding zero) {
  if (!is_sized_) return 0;
  const Device& device = scenario_.cluster.device;
  return state(family, zero) + device.workspace.bytes() + device.context.bytes();
}

std::int64_t Bounds::memory(const Family& family, const Point& point) {
  if (!is_sized_) return 0;
  const MicroBatch& micro_batch = this->micro_batch(family, point.samples);
  const bool keeps_all = point.schedule != nullptr && point.schedule->name == "gpipe";
  const double kept = static_cast<double>(micro_batch.kept) *
                      static_cast<double>(keeps_all ? point.micro_batches : 1);
  const std::int64_t own = state(family, point.zero);
  const bool has_all = family.pipeline == 1 && !family.is_subnetwork();
  const std::int64_t live =
      std::max(own + static_cast<std::int64_t>(coverage_of(family) * kept /
                                               static_cast<double>(family.pipeline)),
               micro_batch.largest + (has_all ? own : 0));
  const Device& device = scenario_.cluster.device;
  return live + device.workspace.bytes() + device.context.bytes();
}

}  // namespace rehearse::advise
