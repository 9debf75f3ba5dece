// Estimates in closed form of GPT-like models on 512 GPUs: every way to split them by tensor x
// pipeline x data x micro-batch x recomputation x ZeRO x schedule that their sizes allow, and some
// that they do not. One core; every iteration begins with empty tables, but for those named
// `again`: what a point more costs when the tables are there. `million` is a space of a million
// points, with bucket sizes, overlap and rules of cutting stages as further axes.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "cost/closed_form/estimator.h"
#include "model/scenario/scenario.h"

namespace rehearse {
namespace {

constexpr auto kScenario = REHEARSE_SOURCE_DIR "/bench/gpt_sweep.yaml";

std::vector<StrategySpec> points_of(const Scenario& scenario) {
  const std::int64_t devices = scenario.cluster.nodes * scenario.cluster.devices_per_node;
  std::vector<StrategySpec> points;
  StrategySpec spec;
  spec.data = std::nullopt;
  const auto add = [&] {
    for (const Sharding sharding : {Sharding::none, Sharding::optimizer_state}) {
      for (const Recomputation recomputation :
           {Recomputation::none, Recomputation::selective, Recomputation::full}) {
        spec.sharding = sharding;
        spec.recomputation = recomputation;
        points.push_back(spec);
      }
    }
  };
  const auto with_schedules = [&](std::int64_t stages, std::int64_t micro_batches) {
    for (const auto* schedule : {"1f1b", "gpipe", "zb-h1", "zb-h2"}) {
      spec.pipeline =
          PipelineSpec{.stages = stages, .schedule = schedule, .micro_batches = micro_batches};
      add();
    }
    for (const std::int64_t chunks : {2, 3, 4}) {
      spec.pipeline = PipelineSpec{.stages = stages,
                                   .schedule = "interleaved",
                                   .micro_batches = micro_batches,
                                   .chunks = chunks};
      add();
    }
  };
  for (std::int64_t tensor = 1; tensor <= 8; tensor *= 2) {
    for (const bool sequence_parallel : {false, true}) {
      if (tensor == 1 && sequence_parallel) continue;
      spec.tensor = TensorSpec{tensor, sequence_parallel};
      for (std::int64_t stages = 1; stages * tensor <= devices && stages <= 64; stages *= 2) {
        for (std::int64_t micro_batches = 1; micro_batches <= 1024; micro_batches *= 2) {
          if (stages > 1) {
            with_schedules(stages, micro_batches);
          } else {
            spec.pipeline = std::nullopt;
            spec.micro_batches = micro_batches;
            add();
          }
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

void count(benchmark::State& state, const std::vector<Estimate>& estimates);

// fitting: what does not fit is not priced.
void estimate_all(benchmark::State& state, std::int64_t layers, std::int64_t width, bool fitting) {
  const Scenario scenario = scenario_of(layers, width);
  const std::vector<StrategySpec> points = points_of(scenario);
  std::vector<Estimate> estimates(points.size());
  for (auto _ : state) {
    Estimator estimator =
        Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
    for (std::size_t p = 0; p < points.size(); ++p)
      estimates[p] =
          fitting ? estimator.estimate_fitting(points[p]) : estimator.estimate(points[p]);
  }
  count(state, estimates);
}

void estimate_again(benchmark::State& state, std::int64_t layers, std::int64_t width) {
  const Scenario scenario = scenario_of(layers, width);
  const std::vector<StrategySpec> points = points_of(scenario);
  std::vector<Estimate> estimates(points.size());
  Estimator estimator =
      Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
  for (const StrategySpec& point : points)
    estimator.estimate(point);
  for (auto _ : state) {
    for (std::size_t p = 0; p < points.size(); ++p)
      estimates[p] = estimator.estimate(points[p]);
  }
  count(state, estimates);
}

void estimate_million(benchmark::State& state, std::int64_t layers, std::int64_t width) {
  const Scenario scenario = scenario_of(layers, width);
  const std::vector<StrategySpec> points = points_of(scenario);
  std::vector<Estimate> estimates;
  for (auto _ : state) {
    estimates.clear();
    Estimator estimator =
        Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
    for (std::int64_t mib = 10; mib <= 130; mib += 10) {
      for (const bool overlap : {true, false}) {
        for (const StageRule rule : {StageRule::cost, StageRule::layers}) {
          for (StrategySpec point : points) {
            point.bucket = Bytes::mib(mib);
            point.overlap = overlap;
            if (point.pipeline) point.pipeline->cut = rule;
            estimates.push_back(estimator.estimate(point));
          }
        }
      }
    }
  }
  count(state, estimates);
}

void count(benchmark::State& state, const std::vector<Estimate>& estimates) {
  std::int64_t priced = 0, too_large = 0;
  for (const Estimate& estimate : estimates) {
    priced += estimate.step_time > 0 ? 1 : 0;
    too_large += estimate.fits ? 0 : 1;
  }
  const auto all = static_cast<double>(estimates.size());
  state.counters["configurations"] = all;
  state.counters["priced"] = static_cast<double>(priced);
  state.counters["too_large"] = static_cast<double>(too_large);
  state.counters["configurations/s"] =
      benchmark::Counter(all, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["priced/s"] = benchmark::Counter(static_cast<double>(priced),
                                                  benchmark::Counter::kIsIterationInvariantRate);
  state.counters["bytes/configuration"] = sizeof(Estimate);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["peak_MiB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

BENCHMARK_CAPTURE(estimate_all, gpt_1_3b, 24, 2048, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate_again, gpt_1_3b, 24, 2048)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate_million, gpt_1_3b, 24, 2048)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate_all, gpt_22b, 48, 6144, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate_million, gpt_22b, 48, 6144)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate_all, gpt_22b_fitting, 48, 6144, true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate_all, gpt_175b, 96, 12288, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate_again, gpt_175b, 96, 12288)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate_million, gpt_175b, 96, 12288)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(estimate_all, gpt_175b_fitting, 96, 12288, true)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rehearse
