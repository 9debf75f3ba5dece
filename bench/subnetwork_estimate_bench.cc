// Estimates in closed form of subnetworks: workers x holders of each unit x masking x recomputation
// of a GPT on 512 GPUs, data parallel outside. One core; every iteration begins with empty tables,
// but for `again`: what a point costs whose tables are there. `widths`: of the units of every
// width.
#include <benchmark/benchmark.h>

#include "cost/closed_form/estimator.h"
#include "model/scenario/scenario.h"

namespace rehearse {
namespace {

constexpr auto kScenario = REHEARSE_SOURCE_DIR "/bench/gpt_sweep.yaml";

std::vector<StrategySpec> points_of(std::int64_t most, Construction construction) {
  std::vector<StrategySpec> points;
  StrategySpec spec;
  spec.data = std::nullopt;
  for (std::int64_t workers = 2; workers <= most; workers *= 2) {
    for (std::int64_t holders = 1; holders < workers; ++holders) {
      for (const Masking masking : {Masking::forward, Masking::backward}) {
        for (const Recomputation recomputation : {Recomputation::none, Recomputation::full}) {
          spec.subnetwork.emplace();
          spec.subnetwork->workers = workers;
          spec.subnetwork->holders = holders;
          spec.subnetwork->masking = masking;
          spec.subnetwork->construction = construction;
          spec.recomputation = recomputation;
          points.push_back(spec);
        }
      }
    }
  }
  return points;
}

Scenario scenario_of(std::int64_t layers, std::int64_t width) {
  Scenario scenario = parse_scenario(read_text_file(kScenario).value(), kScenario,
                                     {{REHEARSE_SOURCE_DIR "/scenarios/devices"}})
                          .value();
  scenario.model.fields["layers"] = {layers};
  scenario.model.fields["width"] = {width};
  scenario.model.fields["heads"] = {width / 128};
  return scenario;
}

void estimate(benchmark::State& state, std::int64_t layers, std::int64_t width, std::int64_t most,
              Construction construction, bool again) {
  const Scenario scenario = scenario_of(layers, width);
  const std::vector<StrategySpec> points = points_of(most, construction);
  std::int64_t priced = 0;
  const auto price = [&](Estimator& estimator) {
    priced = 0;
    for (const StrategySpec& point : points)
      priced += estimator.estimate(point).ok() ? 1 : 0;
  };
  Estimator known = Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
  if (again) price(known);
  for (auto _ : state) {
    if (again) {
      price(known);
      continue;
    }
    Estimator estimator =
        Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
    price(estimator);
  }
  const auto all = static_cast<double>(points.size());
  state.counters["configurations"] = all;
  state.counters["priced"] = static_cast<double>(priced);
  state.counters["configurations/s"] =
      benchmark::Counter(all, benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK_CAPTURE(estimate, gpt_1_3b_blocks_8, 24, 2048, 8, Construction::block, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate, gpt_1_3b_blocks_8_again, 24, 2048, 8, Construction::block, true)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate, gpt_1_3b_blocks_32, 24, 2048, 32, Construction::block, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate, gpt_1_3b_blocks_32_again, 24, 2048, 32, Construction::block, true)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate, gpt_1_3b_widths_8, 24, 2048, 8, Construction::width, false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate, gpt_1_3b_widths_8_again, 24, 2048, 8, Construction::width, true)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rehearse
