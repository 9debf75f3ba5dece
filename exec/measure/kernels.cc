#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "exec/measure/device_clock.h"
#include "exec/measure/net_walk.h"
#include "exec/measure/phases.h"
#include "exec/measure/timing.h"
#include "model/plan/op_work.h"

namespace rehearse::exec {
namespace {

constexpr std::size_t kLeastRuns = 3;
// More than the private caches of today's cores, and than those of GPUs; what last-level caches
// hold, training finds there as well.
constexpr Bytes kWorkingSet = Bytes::mib(64);

Bytes size_of(Backend& backend, std::int64_t elements) {
  return Bytes::bytes(elements * backend.sizes().activation_bytes);
}

Bytes largest(const std::vector<std::int64_t>& elements, Backend& backend) {
  return size_of(backend, *std::max_element(elements.begin(), elements.end()));
}

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

// What one rule does for a weight and what it moves are always so many to one another: only several
// rules tell which of them takes the time.
std::vector<Training> usual_rules(DataType type) {
  std::vector<Training> rules = {usual_training(type), usual_training(type)};
  rules.back().optimizer.rule = Adam{};
  return rules;
}

KernelSample measure_optimizer(const Training& training, Backend& backend, DeviceClock& clock,
                               RotatingMemory& memory, std::int64_t n, Seconds budget) {
  const StateSizes state = state_sizes(training);
  const Bytes size = size_of(backend, n), moment = Bytes::bytes(n * state.moment);
  const std::int64_t moments = moments_of(training.optimizer);
  const bool has_master = state.optimizer > moments * state.moment;
  const auto times = clock.repeat(budget, kLeastRuns, [&] {
    std::byte* weights = memory.take(size);
    const std::byte* gradients = memory.take(size);
    OptimizerState kept;
    for (std::int64_t m = 0; m < moments; ++m)
      kept.moments[static_cast<std::size_t>(m)] = memory.take(moment);
    if (has_master) kept.master = memory.take(moment);
    backend.step({training.optimizer, training.optimizer.lr, 0, true}, weights, gradients, kept, n);
  });
  return sample_of(fmt::format("optimizer_step {} {}", name_of(training.optimizer), n),
                   optimizer_work(training, n), times, 1);
}

KernelSample measure_copy(Backend& backend, DeviceClock& clock, RotatingMemory& memory,
                          std::int64_t n, Seconds budget) {
  KernelRequest request{};
  request.kind = KernelKind::copy;
  request.elements = n;
  const auto kernel = backend.prepare(request);
  const Bytes size = size_of(backend, n);
  const auto times = clock.repeat(budget, kLeastRuns, [&] {
    KernelArguments arguments;
    arguments.left = memory.take(size);
    arguments.sum = memory.take(size);
    kernel->run(arguments);
  });
  return sample_of(kernel_text(request), {KernelClass::copy, Flops{}, 2 * size}, times, 1);
}

}  // namespace

NetworkSamples measure_network(const MeasuredNet& measured, Backend& backend, DeviceClock& clock,
                               Seconds budget, const Deadline& deadline) {
  struct Kernel {
    StepWork work;
    std::vector<Seconds> times;
  };
  const NetWalk walk(measured, backend);
  std::map<std::string, Kernel> kernels;
  std::vector<Kernel*> in_order;
  DeviceSeries step;
  const auto add = [&](const std::string& what, const StepWork& work, DeviceWork run) {
    in_order.push_back(&kernels[what]);
    in_order.back()->work = work;
    step.works.push_back(std::move(run));
  };
  for (const NetWalk::Step& kernel : walk.steps())
    add(kernel.what, kernel.work, [&kernel] { kernel.run(); });
  add("optimizer_step of " + measured.net.name, walk.update_work(), [&walk] { walk.update(); });
  std::vector<Seconds> totals;
  const auto keep = [&](const std::vector<Seconds>& times) {
    for (std::size_t k = 0; k < times.size(); ++k)
      in_order[k]->times.push_back(times[k]);
    totals.push_back(std::accumulate(times.begin(), times.end(), Seconds{}));
  };
  const std::vector<Seconds> first = clock.each(step);  // warms up
  const Stopwatch all;
  while ((totals.size() < kLeastRuns || all.elapsed() < budget) && !deadline.is_over())
    keep(clock.each(step));
  if (totals.empty()) keep(first);
  NetworkSamples samples{{}, {measured.net.name, measured.samples, some_of(totals)}};
  for (const auto& [what, kernel] : kernels) {
    samples.kernels.push_back(
        sample_of(what, kernel.work, kernel.times,
                  static_cast<std::int64_t>(kernel.times.size() / totals.size())));
  }
  return samples;
}

std::vector<std::int64_t> default_streams(const KernelDevice& device) {
  if (device.shares_host_memory()) return {1 << 10, 1 << 13, 1 << 16, 1 << 18, 1 << 20};
  return {1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 22, 1 << 24, 1 << 26};
}

std::vector<KernelSample> measure_streams(Backend& backend, DeviceClock& clock,
                                          const std::vector<std::int64_t>& elements,
                                          Seconds budget) {
  const std::vector<Training> rules = usual_rules(backend.type());
  const Seconds share = budget * (1 / static_cast<double>((rules.size() + 1) * elements.size()));
  // The largest step's operands, in fp32 at most, fit twice.
  RotatingMemory memory(backend.device(), std::max(kWorkingSet, 16 * largest(elements, backend)));
  std::vector<KernelSample> samples;
  for (const std::int64_t n : elements) {
    for (const Training& training : rules)
      samples.push_back(measure_optimizer(training, backend, clock, memory, n, share));
    samples.push_back(measure_copy(backend, clock, memory, n, share));
  }
  return samples;
}

// What was received lies in the cache; one's own chunk was left there long ago.
std::vector<ReduceSample> measure_reductions(Backend& backend, Seconds budget) {
  constexpr std::int64_t kElements[] = {1 << 12, 1 << 14, 1 << 16, 1 << 18};
  RotatingMemory memory(backend.device(), kWorkingSet);
  std::vector<ReduceSample> samples;
  for (const std::int64_t n : kElements) {
    const Bytes size = size_of(backend, n);
    const Slab received(backend.device(), size);
    const Seconds share = budget * (1.0 / static_cast<double>(std::size(kElements)));
    const auto times =
        repeat(share, kLeastRuns, [&] { backend.add(memory.take(size), received.data(), n); });
    samples.push_back({size, quiet_median(times)});
  }
  return samples;
}

std::vector<CopySample> measure_device_copies(Backend& backend, DeviceClock& clock,
                                              const std::vector<std::int64_t>& elements,
                                              Seconds budget) {
  KernelDevice& device = backend.device();
  const Bytes most = largest(elements, backend);
  RotatingMemory memory(device, std::max(kWorkingSet, 4 * most));
  const auto host = device.allocate_staging(static_cast<std::size_t>(most.bytes()));
  constexpr CopyWay kWays[] = {CopyWay::within, CopyWay::to_device, CopyWay::to_host};
  const Seconds share = budget * (1.0 / static_cast<double>(elements.size() * std::size(kWays)));
  std::vector<CopySample> samples;
  for (const CopyWay way : kWays) {
    for (const std::int64_t n : elements) {
      const Bytes size = size_of(backend, n);
      const auto times = clock.repeat(share, kLeastRuns, [&] {
        const void* from = way == CopyWay::to_device ? host->data() : memory.take(size);
        void* into = way == CopyWay::to_host ? host->data() : memory.take(size);
        device.copy(into, from, static_cast<std::size_t>(size.bytes()));
      });
      samples.push_back({size, quiet_median(times), 1, way});
    }
  }
  return samples;
}

}  // namespace rehearse::exec
