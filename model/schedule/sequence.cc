#include "model/schedule/sequence.h"

namespace rehearse {

StrategySpec at_step(StrategySpec strategy, std::int64_t step) {
  if (strategy.subnetwork && strategy.subnetwork->redraw)
    strategy.subnetwork->draw = step / *strategy.subnetwork->redraw;
  return strategy;
}

std::optional<std::int64_t> next_change(const StrategySpec& strategy, std::int64_t step) {
  if (!strategy.subnetwork || !strategy.subnetwork->redraw) return std::nullopt;
  const std::int64_t every = *strategy.subnetwork->redraw;
  return (step / every + 1) * every;
}

}  // namespace rehearse
