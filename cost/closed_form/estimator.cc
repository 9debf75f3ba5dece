#include "cost/closed_form/estimator.h"

#include <fmt/format.h>

#include "cost/closed_form/estimate_tables.h"
#include "cost/closed_form/point_estimate.h"
#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse {

std::string_view to_string(Binding binding) {
  switch (binding) {
    case Binding::compute:
      return "compute";
    case Binding::link:
      return "link";
    case Binding::bubble:
      return "bubble";
    case Binding::memory:
      return "memory";
  }
  REHEARSE_UNREACHABLE("binding");
}

Estimator::Estimator(std::unique_ptr<EstimateTables> tables) : tables_(std::move(tables)) {}
Estimator::Estimator(Estimator&&) noexcept = default;
Estimator::~Estimator() = default;

Result<Estimator> Estimator::make(const ModelSpec& model, const Training& training,
                                  const ClusterSpec& cluster, std::int64_t steps) {
  Result<ModelSpec> resolved = resolve(model);
  if (!resolved) return resolved.errors();
  Result<Net> net = build_net(*resolved);
  if (!net) return net.errors();
  Result<Cluster> machines = Cluster::build(cluster);
  if (!machines) return machines.errors();
  return Estimator(std::make_unique<EstimateTables>(*resolved, *std::move(net), training,
                                                    *std::move(machines), steps));
}

Estimate Estimator::estimate(const StrategySpec& strategy, Contention contention) {
  return estimate_point(*tables_, strategy, {.plays = contention == Contention::played});
}

Estimate Estimator::estimate_fitting(const StrategySpec& strategy) {
  return estimate_point(*tables_, strategy, {.only_fitting = true});
}

bool Estimator::is_quick(const StrategySpec& strategy) {
  StrategyPoint point;
  if (tables_->resolve(strategy, point) || has_workers(strategy)) return true;
  return !tables_->is_played(strategy, point) || (is_sharded(strategy) && is_flat(strategy, point));
}

std::vector<std::int64_t> Estimator::arena_live(const StrategySpec& strategy) {
  return live_bytes(*tables_, strategy);
}

std::string Estimator::reason(const StrategySpec& strategy, const Estimate& estimate) {
  const auto ranks = tables_->ranks();
  switch (estimate.verdict) {
    case Verdict::estimated:
      if (estimate.fits) return "";
      [[fallthrough]];
    case Verdict::memory: {
      const std::string needs =
          fmt::format("needs {} or more", human(Bytes::bytes(estimate.memory)));
      const std::string has = fmt::format("the device has {}", human(tables_->device().memory));
      return estimate.arena_live == 0
                 ? fmt::format("the model's state alone {}, {}", needs, has)
                 : fmt::format("rank {} of the pipeline {}, {}", estimate.worst_rank, needs, has);
    }
    case Verdict::mesh:
      return resolve_mesh(strategy, ranks).errors().front().message;
    case Verdict::pipeline:
      return check_pipeline(strategy, *resolve_mesh(strategy, ranks), tables_->blocks())->message;
    case Verdict::batch:
      return micro_batch_samples(strategy, *resolve_mesh(strategy, ranks),
                                 tables_->training().batch)
          .errors()
          .front()
          .message;
    case Verdict::tensor:
      return tables_->rank_net(strategy, *resolve_mesh(strategy, ranks)).errors().front().message;
    case Verdict::workers: {
      StrategyPoint point;
      tables_->resolve(strategy, point);
      return tables_->workers().why(EstimateTables::call(strategy, point));
    }
    case Verdict::sharded_gradients:
    case Verdict::played_pipeline:
    case Verdict::redraws:
    case Verdict::parked_units:
    case Verdict::many_workers:
    case Verdict::waiting_stages:
    case Verdict::sharing_stages:
    case Verdict::stochastic_depth:
    case Verdict::exact_sums:
    case Verdict::schedule:
    case Verdict::schedule_file:
    case Verdict::algorithm:
    case Verdict::shared_parameters:
    case Verdict::cpu_ranks:
    case Verdict::different_ranks:
    case Verdict::jitter:
    case Verdict::overlap_slowdown:
      return fmt::format("simulated only: there is no closed form of {}",
                         asked_for(strategy, estimate.verdict));
  }
  REHEARSE_UNREACHABLE("verdict");
}

double Estimator::samples_per_second(const Estimate& estimate) const {
  return static_cast<double>(tables_->training().batch) / estimate.step_time;
}

std::optional<double> Estimator::mfu(const StrategySpec& strategy, const Estimate& estimate) {
  StrategyPoint point;
  const Device& device = tables_->device();
  const Training& training = tables_->training();
  const auto peak = device.peak.find(training.dtype);
  if (tables_->resolve(strategy, point) || peak == device.peak.end()) return std::nullopt;
  // Of all slices of all replicas' samples.
  const Flops done =
      has_workers(strategy)
          ? tables_->workers().flops(EstimateTables::call(strategy, point))
          : point.net->flops() * static_cast<double>(training.batch * point.mesh.tensor);
  return (done / peak->second).seconds() /
         (static_cast<double>(tables_->ranks()) * estimate.step_time);
}

std::int64_t Estimator::labels_per_sample() const {
  return rehearse::labels_per_sample(tables_->whole());
}

}  // namespace rehearse
