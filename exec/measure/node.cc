// What ranks of one node do together.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "exec/measure/net_walk.h"
#include "exec/measure/phases.h"
#include "exec/measure/timing.h"
#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::exec {
namespace {

// Other programs only ever take throughput away: the best of a few windows is nearest the truth.
constexpr int kWindows = 3;

// The sum over all ranks of what each has, on rank 0.
double sum_over_ranks(Transport& transport, double mine) {
  double sum = 0;
  for (const std::string& text : transport.gather(exact(mine)))
    sum += parse_number(text).value_or(0);
  return sum;
}

// Runs per second of ranks [0, busy) together, on rank 0.
template <class Work>
double throughput(Transport& transport, std::size_t busy, int windows, Seconds window, Work work) {
  double best = 0;
  for (int w = 0; w < windows; ++w) {
    transport.barrier();
    double mine = 0;
    if (transport.rank().index() < busy) {
      const Stopwatch watch;
      double runs = 0;
      for (; runs == 0 || watch.elapsed() < window; ++runs)
        work();
      mine = runs / watch.elapsed().seconds();
    }
    best = std::max(best, sum_over_ranks(transport, mine));
  }
  return best;
}

// The step of which this measure of its work is largest.
template <class Measure>
const NetWalk::Step& largest(const NetWalk& walk, Measure measure) {
  return *std::max_element(
      walk.steps().begin(), walk.steps().end(),
      [&](const auto& a, const auto& b) { return measure(a.work) < measure(b.work); });
}

}  // namespace

std::vector<CopySample> measure_copies(Transport& transport, Seconds budget) {
  constexpr Bytes kSize = Bytes::mib(8);
  RotatingMemory memory(host_device(), 8 * kSize);
  const auto copy = [&] {
    std::memcpy(memory.take(kSize), memory.take(kSize), static_cast<std::size_t>(kSize.bytes()));
  };
  std::vector<CopySample> samples;
  std::vector<std::size_t> counts = {1};
  if (transport.size() > 1) counts.push_back(transport.size());
  const Seconds window = budget * (1.0 / static_cast<double>(counts.size() * kWindows));
  for (const std::size_t busy : counts) {
    const double rate = throughput(transport, busy, kWindows, window, copy);
    if (transport.rank().index() != 0) continue;
    const auto ranks = static_cast<std::int64_t>(busy);
    samples.push_back({kSize, Seconds::seconds(static_cast<double>(ranks) / rate), ranks});
  }
  return samples;
}

std::vector<CapacitySample> measure_capacity(const MeasuredNet& measured, Transport& transport,
                                             Backend& backend, Seconds budget,
                                             const Deadline& deadline) {
  // All ranks take part in as many windows.
  const bool is_late = transport.broadcast(deadline.is_over() ? "late" : "", RankId(0)) == "late";
  const int windows = is_late ? 1 : kWindows;
  const NetWalk walk(measured, backend);
  // Whole steps once, so that no operand holds numbers that training never sees.
  for (const NetWalk::Step& step : walk.steps())
    step.run();
  const NetWalk::Step& busiest = largest(walk, [](const StepWork& w) { return w.flops.flops(); });
  const NetWalk::Step& widest = largest(walk, [&](const StepWork& w) {
    return w.kernel == busiest.work.kernel ? 0.0 : static_cast<double>(w.traffic.bytes());
  });
  const Seconds window =
      is_late ? Seconds{} : budget * (0.5 / static_cast<double>(transport.size() * kWindows));
  std::vector<CapacitySample> samples;
  for (const NetWalk::Step* step : {&busiest, &widest}) {
    double alone = 0;
    for (std::size_t busy = 1; busy <= transport.size(); ++busy) {
      const double rate = throughput(transport, busy, windows, window, [&] { step->run(); });
      if (transport.rank().index() != 0) continue;
      if (busy == 1) alone = rate;
      samples.push_back({step->work.kernel, static_cast<std::int64_t>(busy), rate / alone});
    }
  }
  return samples;
}

}  // namespace rehearse::exec
