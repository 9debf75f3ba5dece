// How fast the plans of large machines are built and verified, and what they take: a GPT of 175B
// parameters (Brown et al. 2020: 96 layers, width 12288, 96 heads, 2048 tokens) with tensor 8,
// pipeline 16, 1F1B with 128 micro-batches, and data 1 to 128: 128 to 16,384 ranks.
//
// Counters: ops of all ranks per second; ops that are kept, and bytes of memory per one of them
// (growth of the peak resident set by the largest plan so far: sizes come in ascending order).
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "model/plan/verify.h"
#include "model/schedule/build_plan.h"

namespace rehearse {
namespace {

constexpr std::int64_t kMicroBatches = 128;

ModelSpec gpt_175b() {
  return {"gpt",
          {{"layers", {96}},
           {"width", {12288}},
           {"heads", {96}},
           {"sequence", {2048}},
           {"positions", {2048}},
           {"vocabulary", {51200}}}};
}

StrategySpec three_axes(std::int64_t data) {
  StrategySpec strategy;
  strategy.name = "megatron";
  strategy.data = data;
  strategy.pipeline = PipelineSpec{16, "1f1b", kMicroBatches};
  strategy.tensor = TensorSpec{8, false};
  return strategy;
}

Plan plan_of(std::int64_t data) {
  Training training;
  training.data = "synthetic";
  training.dtype = DataType::bf16;
  training.batch = data * kMicroBatches;
  return *build_plan(three_axes(data), gpt_175b(), training, data * 128, even_costs(98));
}

std::size_t ops_of(const Plan& plan) {
  std::size_t ops = 0;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r)
    ops += program_of(plan, RankId(r)).ops.size();
  return ops;
}

std::size_t kept_ops_of(const Plan& plan) {
  std::size_t ops = 0;
  for (const RankProgram& program : plan.programs)
    ops += program.ops.size();
  return ops;
}

double resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

void report(benchmark::State& state, const Plan& plan) {
  const auto kept = static_cast<double>(kept_ops_of(plan));
  state.counters["ops"] = kept;
  state.counters["ranks"] = static_cast<double>(plan.ranks.size());
  state.counters["ops/s"] = benchmark::Counter(
      static_cast<double>(ops_of(plan)) * static_cast<double>(state.iterations()),
      benchmark::Counter::kIsRate);
  state.counters["resident_MiB"] = resident_bytes() / (1 << 20);
  state.counters["bytes/op"] = resident_bytes() / kept;
}

void build(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(plan_of(state.range(0)));
  report(state, plan_of(state.range(0)));
}

void build_and_verify(benchmark::State& state) {
  for (auto _ : state) {
    const Plan plan = plan_of(state.range(0));
    const Status good = verify(plan);
    if (!good) state.SkipWithError(format(good.errors()).c_str());
  }
  report(state, plan_of(state.range(0)));
}

BENCHMARK(build)->RangeMultiplier(4)->Range(1, 128)->Unit(benchmark::kMillisecond);
BENCHMARK(build_and_verify)->RangeMultiplier(4)->Range(1, 128)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rehearse
