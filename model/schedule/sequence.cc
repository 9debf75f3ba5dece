#include "model/schedule/sequence.h"

#include <algorithm>

namespace rehearse {

StrategySpec at_step(StrategySpec strategy, std::int64_t step) {
  if (strategy.subnetwork && strategy.subnetwork->redraw)
    strategy.subnetwork->draw = step / *strategy.subnetwork->redraw;
  if (strategy.stochastic_depth) strategy.stochastic_depth->draw = step;
  strategy.synchronises = (step + 1) % strategy.local_steps == 0;
  return strategy;
}

std::optional<std::int64_t> next_change(const StrategySpec& strategy, std::int64_t step) {
  std::optional<std::int64_t> next;
  if (strategy.subnetwork && strategy.subnetwork->redraw) {
    const std::int64_t every = *strategy.subnetwork->redraw;
    next = (step / every + 1) * every;
  }
  if (strategy.local_steps > 1) {
    const std::int64_t last = (step / strategy.local_steps + 1) * strategy.local_steps - 1;
    const std::int64_t turn = step < last ? last : step + 1;
    next = std::min(next.value_or(turn), turn);
  }
  if (strategy.stochastic_depth) next = step + 1;
  return next;
}

}  // namespace rehearse
