#include "model/plan/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/base/check.h"

namespace rehearse {

const std::vector<RateDecay>& rate_decays() {
  static const std::vector<RateDecay> all = {RateDecay::none, RateDecay::linear, RateDecay::cosine,
                                             RateDecay::step};
  return all;
}

std::string_view to_string(RateDecay decay) {
  switch (decay) {
    case RateDecay::none:
      return "none";
    case RateDecay::linear:
      return "linear";
    case RateDecay::cosine:
      return "cosine";
    case RateDecay::step:
      return "step";
  }
  REHEARSE_UNREACHABLE("rate decay");
}

std::string_view name_of(const Optimizer& optimizer) {
  const Adam* adam = std::get_if<Adam>(&optimizer.rule);
  if (adam == nullptr) return "sgd";
  return adam->decoupled ? "adamw" : "adam";
}

std::int64_t moments_of(const Optimizer& optimizer) {
  const Sgd* sgd = std::get_if<Sgd>(&optimizer.rule);
  if (sgd == nullptr) return 2;
  return sgd->momentum != 0 ? 1 : 0;
}

double flops_per_weight(const Optimizer& optimizer) {
  const double extra = (optimizer.weight_decay != 0 ? 2 : 0) + (optimizer.clip ? 1 : 0);
  const Sgd* sgd = std::get_if<Sgd>(&optimizer.rule);
  if (sgd != nullptr) return 2 + (sgd->momentum != 0 ? 2 : 0) + extra;
  // Two means (3 and 4), the denominator (root, product, sum) and the step (product, quotient,
  // difference).
  return 13 + extra;
}

std::int64_t arrays_of(const OuterOptimizer& outer) {
  return outer.momentum != 0 ? 2 : 1;
}

double flops_per_weight(const OuterOptimizer& outer) {
  return 2 + (outer.momentum != 0 ? 4 : 0);
}

namespace {

// Of the decay, `t` steps after the warm-up of training that goes on for `steps` after it.
double decayed(const RateSchedule& schedule, std::int64_t t, std::int64_t steps) {
  const double done =
      steps > 0 ? std::clamp(static_cast<double>(t) / static_cast<double>(steps), 0.0, 1.0) : 1.0;
  switch (schedule.decay) {
    case RateDecay::none:
      return 1;
    case RateDecay::linear:
      return 1 - (1 - schedule.last) * done;
    case RateDecay::cosine:
      return schedule.last + (1 - schedule.last) * 0.5 * (1 + std::cos(std::numbers::pi * done));
    case RateDecay::step:
      return std::pow(schedule.factor, static_cast<double>(t / schedule.every));
  }
  REHEARSE_UNREACHABLE("rate decay");
}

}  // namespace

double learning_rate(const Optimizer& optimizer, std::int64_t step, std::int64_t steps) {
  const RateSchedule& schedule = optimizer.schedule;
  if (step < schedule.warmup)
    return optimizer.lr * static_cast<double>(step + 1) / static_cast<double>(schedule.warmup);
  return optimizer.lr * decayed(schedule, step - schedule.warmup, steps - schedule.warmup);
}

double clip_factor(const Optimizer& optimizer, double norm) {
  if (!optimizer.clip) return 1;
  const double factor = *optimizer.clip / (norm + 1e-6);
  return factor > 1 ? 1 : factor;
}

}  // namespace rehearse
