#include "cost/cost_model.h"

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>

#include "cost/rank_kinds.h"
#include "model/base/check.h"
#include "model/plan/op_work.h"
#include "model/plan/own_net.h"

namespace rehearse {
namespace {

// Prices of the ranges of one network, each lowered when it is first asked for.
class NetPrices {
 public:
  NetPrices(OwnNet net, const Plan& plan, const Device& device)
      : net_(std::move(net)), plan_(plan), device_(device), sizes_(element_sizes(plan.training)) {}

  const OpPrice& at(const Compute& compute, Pass pass) {
    const auto [entry, is_new] = known_.try_emplace({compute.begin, compute.end, pass});
    if (is_new) {
      entry->second = price_pass(*net_, compute.begin, compute.end, pass, plan_.micro_batch_samples,
                                 sizes_, device_);
    }
    return entry->second;
  }

 private:
  OwnNet net_;
  const Plan& plan_;
  const Device& device_;
  ElementSizes sizes_;
  std::map<std::tuple<SegmentId, SegmentId, Pass>, OpPrice> known_;
};

OpPrice price_op(const Plan& plan, const RankProgram& program, const Op& op, NetPrices& net,
                 const Device& device) {
  switch (op.kind) {
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::backward_input:
    case OpKind::backward_weight:
    case OpKind::recompute:
      return net.at(compute_of(op), pass_of(program, op));
    case OpKind::load_batch:
      return price_work(load_work(program, op), device);
    case OpKind::accumulate:
      return price_work(accumulate_work(plan.training, op), device);
    case OpKind::clear:
      return price_work(clear_work(plan.training, op), device);
    case OpKind::sum_squares:
      return price_work(squares_work(plan.training, elements_squared(plan, program)), device);
    case OpKind::optimizer_step:
      return price_work(optimizer_work(plan.training, elements_updated(program, op)), device);
    case OpKind::outer_gradient:
      return price_work(
          outer_gradient_work(plan.training, plan.outer, elements_updated(program, op)), device);
    case OpKind::outer_step:
      return price_work(outer_step_work(plan.training, plan.outer, elements_updated(program, op)),
                        device);
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
      return {};
  }
  REHEARSE_UNREACHABLE("op kind");
}

}  // namespace

OpPrice price_work(const StepWork& work, const Device& device) {
  const Seconds seconds = price(device, work.kernel, work.flops, work.traffic, work.products);
  return {
      seconds, work.traffic, resting_on(provenance_of(device, work.kernel), seconds), {seconds}};
}

OpPrice price_pass(const Net& net, SegmentId begin, SegmentId end, Pass pass, std::int64_t samples,
                   const ElementSizes& sizes, const Device& device) {
  return price_pass(net, lower(net, begin, end, pass, samples, sizes), samples, sizes, device);
}

OpPrice price_pass(const Net& net, const Lowering& lowered, std::int64_t samples,
                   const ElementSizes& sizes, const Device& device) {
  OpPrice sum;
  for (const KernelStep& step : lowered.steps) {
    const StepWork work = work_of(net, step, samples, sizes);
    const OpPrice one = price_work(work, device);
    sum.seconds += one.seconds;
    sum.memory_traffic += one.memory_traffic;
    sum.rests_on += one.rests_on;
    sum.kernels.push_back(one.seconds);
  }
  const Seconds queued = device.launch * static_cast<double>(sum.kernels.size());
  if (queued > sum.seconds) {
    sum.rests_on += resting_on(device.provenance, queued - sum.seconds);
    sum.seconds = queued;
  }
  return sum;
}

namespace {

// Prices of programs on one device.
class ProgramPrices {
 public:
  ProgramPrices(const Plan& plan, const Net& full, const Device& device)
      : plan_(plan), full_(full), device_(device) {}

  std::vector<OpPrice> of(const RankProgram& program) {
    auto& net = by_subnetwork_[{program.subnetwork.holds, program.branch_scale_in_training}];
    if (!net) net = std::make_unique<NetPrices>(OwnNet(plan_, full_, program), plan_, device_);
    std::vector<OpPrice> ops;
    ops.reserve(program.ops.size());
    for (const Op& op : program.ops)
      ops.push_back(price_op(plan_, program, op, *net, device_));
    return ops;
  }

 private:
  using Trained = std::pair<std::vector<bool>, std::optional<double>>;  // units, scale of branches

  const Plan& plan_;
  const Net& full_;
  const Device& device_;
  std::map<Trained, std::unique_ptr<NetPrices>> by_subnetwork_;
};

}  // namespace

Prices make_prices(const Plan& plan, const Net& full, const Device& device) {
  ProgramPrices programs(plan, full, device);
  Prices prices;
  prices.messaging = device.messaging;
  for (const RankProgram& program : plan.programs)
    prices.ops.push_back(programs.of(program));
  return prices;
}

Prices make_prices(const Plan& plan, const Net& full, const Cluster& cluster) {
  RankKinds ranks = rank_kinds(plan, cluster);
  std::map<std::size_t, ProgramPrices> by_device;
  Prices prices;
  prices.messaging = cluster.device().messaging;
  for (const RankKind& kind : ranks.kinds) {
    const auto [programs, is_new] =
        by_device.try_emplace(kind.device, plan, full, cluster.numbered_device(kind.device));
    prices.ops.push_back(programs->second.of(plan.programs[kind.program.index()]));
  }
  prices.rows = std::move(ranks.of_rank);
  return prices;
}

}  // namespace rehearse
