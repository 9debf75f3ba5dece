// One step of GPT-3 175B on 16,384 ranks (bench/gpt_175b_rails.yaml): all messages between
// stages and all all-reduces of gradients as flows, exchanges of tensor-parallel ranks inside their
// passes. Every rank played, or one replica for all of them; the plan and its prices are made
// before.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "sim/replicas.h"
#include "sim/simulate.h"
#include "tools/predict/folded.h"
#include "tools/predict/predict.h"

namespace rehearse {
namespace {

constexpr auto kScenario = REHEARSE_SOURCE_DIR "/bench/gpt_175b_rails.yaml";

struct Case {
  Scenario scenario = read_scenario(kScenario, profile_path(kScenario)).value();
  Plan plan = plan_of(scenario, scenario.strategies.front()).value();
  Prices prices = prices_of(scenario, plan);
  FoldedPlan folded = fold_exchanges(plan);
};

const Case& of_gpt() {
  static const Case made;
  return made;
}

double peak_gib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);
}

void report(benchmark::State& state, const Plan& plan, const sim::Outcome& outcome) {
  Time end;
  for (const Span& span : outcome.timeline.spans)
    end = std::max(end, span.end);
  state.counters["ranks"] = static_cast<double>(plan.ranks.size());
  state.counters["ops/s"] = benchmark::Counter(static_cast<double>(outcome.timeline.spans.size()),
                                               benchmark::Counter::kIsIterationInvariantRate);
  state.counters["step_s"] = end.seconds().seconds();
  state.counters["peak_GiB"] = peak_gib();
}

void every_rank(benchmark::State& state, double oversubscription, Routing routing) {
  const Case& gpt = of_gpt();
  ClusterSpec spec = gpt.scenario.cluster;
  spec.network.oversubscription = oversubscription;
  spec.network.routing = routing;
  spec.network.seed = 1;
  const Cluster cluster = Cluster::build(spec).value();
  const Prices prices =
      fold_prices(gpt.folded, gpt.plan, gpt.prices, collective_price(cluster)).prices;
  for (auto _ : state) {
    const auto outcome = sim::simulate(gpt.folded.plan, cluster, prices, 1, Fidelity::fluid);
    state.PauseTiming();
    report(state, gpt.folded.plan, *outcome);
    state.ResumeTiming();
  }
}

void one_replica(benchmark::State& state) {
  const Case& gpt = of_gpt();
  const Cluster cluster = Cluster::build(gpt.scenario.cluster).value();
  const Prices prices =
      fold_prices(gpt.folded, gpt.plan, gpt.prices, collective_price(cluster)).prices;
  for (auto _ : state) {
    const auto first = sim::first_replica(gpt.folded.plan, cluster).value();
    const auto outcome = sim::simulate(first.plan, cluster, prices, 1, Fidelity::fluid);
    state.PauseTiming();
    report(state, first.plan, *outcome);
    state.ResumeTiming();
  }
}

BENCHMARK(one_replica)->Unit(benchmark::kSecond);
BENCHMARK_CAPTURE(every_rank, one_to_one, 1.0, Routing::shortest)
    ->Unit(benchmark::kSecond)
    ->Iterations(1);
BENCHMARK_CAPTURE(every_rank, four_to_one, 4.0, Routing::shortest)
    ->Unit(benchmark::kSecond)
    ->Iterations(1);
BENCHMARK_CAPTURE(every_rank, ecmp, 1.0, Routing::ecmp)->Unit(benchmark::kSecond)->Iterations(1);

}  // namespace
}  // namespace rehearse
