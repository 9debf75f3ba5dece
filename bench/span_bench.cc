// What recording an op costs: two readings of the clock and a span stored, as the executor does it.
#include <benchmark/benchmark.h>

#include <vector>

#include "exec/run/executor.h"

namespace rehearse::bench {
namespace {

void record_span(benchmark::State& state) {
  std::vector<Span> spans(1 << 12);
  const std::int64_t origin = exec::Executor::now_ns();
  const auto now = [&] { return Time::nanoseconds(exec::Executor::now_ns() - origin); };
  std::int64_t op = 0;
  for (auto _ : state) {
    const Time issue = now();
    spans[static_cast<std::size_t>(op) % spans.size()] = {RankId(0), OpId(op), 0,
                                                          issue,     issue,    now()};
    benchmark::DoNotOptimize(spans.data());
    ++op;
  }
}
BENCHMARK(record_span);

}  // namespace
}  // namespace rehearse::bench
