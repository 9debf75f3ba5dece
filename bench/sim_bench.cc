// How fast plans are built, verified and played. Counters: ops of all ranks and steps per second,
// and messages: a ring of n ranks is 2 (n - 1) n of them, so ops per second fall with n where
// messages per second should not.
#include <benchmark/benchmark.h>

#include "model/plan/verify.h"
#include "model/schedule/build_plan.h"
#include "sim/engine.h"
#include "sim/fair_share.h"
#include "sim/simulate.h"

namespace rehearse {
namespace {

constexpr std::int64_t kSteps = 3;

ModelSpec small_gpt() {
  return {"gpt",
          {{"layers", {24}},
           {"width", {256}},
           {"heads", {8}},
           {"sequence", {128}},
           {"positions", {128}}}};
}

StrategySpec data_parallel() {
  StrategySpec strategy;
  strategy.name = "ddp";
  strategy.data = std::nullopt;
  return strategy;
}

StrategySpec one_f_one_b(std::int64_t stages) {
  StrategySpec strategy;
  strategy.name = "1f1b";
  strategy.data = std::nullopt;
  strategy.pipeline = PipelineSpec{stages, "1f1b", 4 * stages};
  return strategy;
}

Plan plan_of(const StrategySpec& strategy, std::int64_t ranks) {
  const ModelSpec model = small_gpt();
  Training training;
  training.data = "synthetic";
  training.batch = 64 * ranks;
  return *build_plan(strategy, model, training, ranks, even_costs(build_net(model)->blocks.size()));
}

// Nodes of eight GPUs in a fat tree.
ClusterSpec cluster_of(std::int64_t ranks) {
  ClusterSpec spec;
  spec.devices_per_node = std::min<std::int64_t>(ranks, 8);
  spec.nodes = ranks / spec.devices_per_node;
  spec.interconnect = LinkSpec{BytesPerSecond::gigabytes_per_second(300), Seconds::microseconds(2)};
  spec.network = {NetworkKind::fat_tree,
                  {BytesPerSecond::gigabytes_per_second(50), Seconds::microseconds(1)},
                  1,
                  8};
  return spec;
}

// The same nodes, of eight CPU ranks that share four cores and look after their messages
// themselves.
ClusterSpec cpus_of(std::int64_t ranks) {
  ClusterSpec spec = cluster_of(ranks);
  spec.interconnect.reset();
  spec.device.kind = DeviceKind::cpu;
  spec.device.capacity = {1.0, 1.9, 2.7, 3.4};
  spec.device.memory_bandwidth = BytesPerSecond::gigabytes_per_second(100);
  spec.device.messaging = {Seconds::microseconds(2), Seconds::microseconds(1),
                           Seconds::seconds(1e-10), Seconds::seconds(2e-10),
                           Seconds::seconds(1e-10)};
  return spec;
}

std::size_t ops_of(const Plan& plan) {
  std::size_t ops = 0;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r)
    ops += program_of(plan, RankId(r)).ops.size();
  return ops;
}

// Of one step.
std::int64_t messages_of(const Plan& plan) {
  std::int64_t messages = 0;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    for (const Op& op : program_of(plan, RankId(r)).ops) {
      if (op.kind == OpKind::send) ++messages;
      if (op.kind != OpKind::all_reduce) continue;
      messages += 2 * static_cast<std::int64_t>(group_of(plan, RankId(r), op).members.size() - 1);
    }
  }
  return messages;
}

// A millisecond forward, two backward.
Prices prices_of(const Plan& plan) {
  Prices prices;
  for (const RankProgram& program : plan.programs) {
    auto& ops = prices.ops.emplace_back();
    for (const Op& op : program.ops) {
      const double ms = op.kind == OpKind::forward ? 1 : op.kind == OpKind::backward ? 2 : 0;
      ops.push_back({Seconds::microseconds(1000 * ms), {}, {}, {}});
    }
  }
  return prices;
}

void play(benchmark::State& state, const Plan& plan, const ClusterSpec& spec,
          Fidelity collectives = Fidelity::stepwise) {
  const Cluster cluster = *Cluster::build(spec);
  Prices prices = prices_of(plan);
  prices.messaging = spec.device.messaging;
  for (auto _ : state) {
    const auto outcome = sim::simulate(plan, cluster, prices, kSteps, collectives);
    benchmark::DoNotOptimize(break_down(plan, outcome->timeline, 1));
  }
  const auto per_second = [](auto count) {
    return benchmark::Counter(static_cast<double>(count) * kSteps,
                              benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["ops/s"] = per_second(ops_of(plan));
  state.counters["messages/s"] = per_second(messages_of(plan));
}

void data_parallel_is_played(benchmark::State& state) {
  play(state, plan_of(data_parallel(), state.range(0)), cluster_of(state.range(0)));
}
void data_parallel_is_played_as_a_fluid(benchmark::State& state) {
  play(state, plan_of(data_parallel(), state.range(0)), cluster_of(state.range(0)),
       Fidelity::fluid);
}
void data_parallel_on_cpus_is_played(benchmark::State& state) {
  play(state, plan_of(data_parallel(), state.range(0)), cpus_of(state.range(0)));
}
void pipelines_are_played(benchmark::State& state) {
  play(state, plan_of(one_f_one_b(8), state.range(0)), cluster_of(state.range(0)));
}

void pipelines_are_built_and_verified(benchmark::State& state) {
  for (auto _ : state) {
    const Plan plan = plan_of(one_f_one_b(8), state.range(0));
    benchmark::DoNotOptimize(verify(plan).ok());
  }
}

// So many events are pending; each that happens schedules one more, at a moment drawn at random.
void events_happen(benchmark::State& state) {
  constexpr std::int64_t kEvents = 1'000'000;
  std::int64_t happened = 0;
  for (auto _ : state) {
    sim::Engine engine;
    std::int64_t left = kEvents;
    std::uint64_t draw = 1;
    const auto next = [&](auto& self) -> void {
      if (left-- <= 0) return;
      draw = draw * 6364136223846793005U + 1442695040888963407U;
      const Time wait = Time::picoseconds(static_cast<std::int64_t>(draw >> 44U));
      engine.schedule(engine.now() + wait, [&self] { self(self); });
    };
    for (std::int64_t i = 0; i < state.range(0); ++i)
      next(next);
    engine.run([] {});
    happened += kEvents;
  }
  state.counters["events/s"] =
      benchmark::Counter(static_cast<double>(happened), benchmark::Counter::kIsRate);
}

// So many flows between the ports of a switch with a quarter as many; one leaves and another comes,
// and rates are solved again: of flows between all ports, or inside groups of 16 ports, which no
// change leaves.
void one_flow_changes(benchmark::State& state, bool in_groups) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  const std::size_t ports = std::max<std::size_t>(flows / 4, 16);
  std::uint64_t draw = 1;
  const auto below = [&](std::size_t n) {
    draw = draw * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::size_t>(draw >> 33U) % n;
  };
  sim::FairShare shares;
  for (std::size_t p = 0; p < 2 * ports; ++p)
    shares.add_resource(1 + 0.01 * static_cast<double>(below(100)));
  const auto add = [&] {
    const std::size_t from = below(ports);
    const std::size_t to = in_groups ? from / 16 * 16 + below(16) : below(ports);
    const std::vector<sim::Use> uses = {{sim::ResourceId(from)}, {sim::ResourceId(ports + to)}};
    return shares.add_flow(uses, 1);
  };
  std::vector<sim::FlowId> all;
  for (std::size_t f = 0; f < flows; ++f)
    all.push_back(add());
  shares.solve();
  std::size_t told = 0;
  for (auto _ : state) {
    sim::FlowId& flow = all[below(flows)];
    shares.remove_flow(flow);
    flow = add();
    told += shares.solve().size();
  }
  state.counters["links"] = static_cast<double>(2 * ports);
  state.counters["rates_changed"] =
      benchmark::Counter(static_cast<double>(told), benchmark::Counter::kAvgIterations);
}

BENCHMARK_CAPTURE(one_flow_changes, in_groups, true)->RangeMultiplier(8)->Range(64, 1 << 18);
BENCHMARK_CAPTURE(one_flow_changes, anywhere, false)->RangeMultiplier(8)->Range(64, 1 << 15);
BENCHMARK(events_happen)->RangeMultiplier(32)->Range(1, 1 << 15)->Unit(benchmark::kMillisecond);
BENCHMARK(data_parallel_is_played)
    ->RangeMultiplier(4)
    ->Range(4, 1024)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(data_parallel_is_played_as_a_fluid)
    ->RangeMultiplier(4)
    ->Range(4, 1024)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(data_parallel_on_cpus_is_played)
    ->RangeMultiplier(4)
    ->Range(4, 256)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(pipelines_are_played)->RangeMultiplier(4)->Range(8, 2048)->Unit(benchmark::kMillisecond);
BENCHMARK(pipelines_are_built_and_verified)
    ->RangeMultiplier(4)
    ->Range(8, 2048)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rehearse
