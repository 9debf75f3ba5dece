#include <fmt/format.h>

#include <map>

#include "exec/measure/net_walk.h"
#include "exec/measure/phases.h"
#include "exec/measure/timing.h"
#include "model/plan/op_work.h"

namespace rehearse::exec {
namespace {

constexpr std::size_t kLeastRuns = 3;
// More than the private caches of today's cores; what last-level caches hold, training finds there
// as well.
constexpr Bytes kWorkingSet = Bytes::mib(64);

KernelSample sample_of(const std::string& what, const StepWork& work,
                       const std::vector<Seconds>& times, std::int64_t calls) {
  return {work.kernel,
          what,
          work.flops,
          work.traffic,
          least(times),
          quiet_median(times),
          static_cast<std::int64_t>(times.size()),
          calls};
}

KernelSample measure_optimizer(Backend& backend, RotatingMemory& memory, std::int64_t n,
                               Seconds budget) {
  const Training training = usual_training();
  const Bytes size = Bytes::bytes(n * backend.sizes().activation_bytes);
  const auto times = repeat(budget, kLeastRuns, [&] {
    std::byte* weights = memory.take(size);
    const std::byte* gradients = memory.take(size);
    backend.step({training.optimizer, training.optimizer.lr, 0, true}, weights, gradients,
                 {memory.take(size), nullptr}, n);
  });
  return sample_of(fmt::format("optimizer_step {}", n), optimizer_work(training, n), times, 1);
}

KernelSample measure_copy(Backend& backend, RotatingMemory& memory, std::int64_t n,
                          Seconds budget) {
  KernelRequest request{};
  request.kind = KernelKind::copy;
  request.elements = n;
  const auto kernel = backend.prepare(request);
  const Bytes size = Bytes::bytes(n * backend.sizes().activation_bytes);
  const auto times = repeat(budget, kLeastRuns, [&] {
    KernelArguments arguments;
    arguments.left = memory.take(size);
    arguments.sum = memory.take(size);
    kernel->run(arguments);
  });
  return sample_of(kernel_text(request), {KernelClass::copy, Flops{}, 2 * size}, times, 1);
}

}  // namespace

std::vector<KernelSample> measure_network(const MeasuredNet& measured, Backend& backend,
                                          Seconds budget) {
  struct Kernel {
    StepWork work;
    std::vector<Seconds> times;
  };
  const NetWalk walk(measured, backend);
  std::map<std::string, Kernel> kernels;
  const auto time = [&](const std::string& what, const StepWork& work, const auto& run) {
    const Stopwatch watch;
    run();
    const Seconds elapsed = watch.elapsed();
    Kernel& kernel = kernels[what];
    kernel.work = work;
    kernel.times.push_back(elapsed);
  };
  const auto step = [&] {
    for (const NetWalk::Step& step : walk.steps())
      time(step.what, step.work, [&] { step.run(); });
    time("optimizer_step of " + measured.net.name, walk.update_work(), [&] { walk.update(); });
  };
  step();
  kernels.clear();  // the first step warmed up
  const Stopwatch all;
  std::size_t steps = 0;
  for (; steps < kLeastRuns || all.elapsed() < budget; ++steps)
    step();
  std::vector<KernelSample> samples;
  for (const auto& [what, kernel] : kernels) {
    samples.push_back(sample_of(what, kernel.work, kernel.times,
                                static_cast<std::int64_t>(kernel.times.size() / steps)));
  }
  return samples;
}

std::vector<KernelSample> measure_streams(Backend& backend, Seconds budget) {
  constexpr std::int64_t kElements[] = {1 << 10, 1 << 13, 1 << 16, 1 << 18, 1 << 20};
  const Seconds share = budget * (0.5 / static_cast<double>(std::size(kElements)));
  RotatingMemory memory(kWorkingSet);
  std::vector<KernelSample> samples;
  for (const std::int64_t n : kElements) {
    samples.push_back(measure_optimizer(backend, memory, n, share));
    samples.push_back(measure_copy(backend, memory, n, share));
  }
  return samples;
}

// What was received lies in the cache; one's own chunk was left there long ago.
std::vector<ReduceSample> measure_reductions(Backend& backend, Seconds budget) {
  constexpr std::int64_t kElements[] = {1 << 12, 1 << 14, 1 << 16, 1 << 18};
  RotatingMemory memory(kWorkingSet);
  std::vector<ReduceSample> samples;
  for (const std::int64_t n : kElements) {
    const Bytes size = Bytes::bytes(n * backend.sizes().activation_bytes);
    const Slab received(size);
    const Seconds share = budget * (1.0 / static_cast<double>(std::size(kElements)));
    const auto times =
        repeat(share, kLeastRuns, [&] { backend.add(memory.take(size), received.data(), n); });
    samples.push_back({size, quiet_median(times)});
  }
  return samples;
}

}  // namespace rehearse::exec
