#include "exec/measure/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "exec/measure/device_clock.h"
#include "exec/measure/net_walk.h"
#include "exec/measure/phases.h"
#include "model/base/check.h"
#include "model/net/model_spec.h"

namespace rehearse::exec {
namespace {

MeasuredNet build(const ModelSpec& spec, std::int64_t samples) {
  Result<Net> net = build_net(spec);
  return {std::move(net).value(), samples};
}

void append(std::vector<KernelSample>& all, const std::vector<KernelSample>& some) {
  all.insert(all.end(), some.begin(), some.end());
}

// Too few kernels of a class to fit a rate to.
bool is_thin(KernelClass kernel, const std::vector<KernelSample>& known) {
  constexpr std::ptrdiff_t kFew = 4;
  return std::count_if(known.begin(), known.end(),
                       [&](const KernelSample& sample) { return sample.kernel == kernel; }) < kFew;
}

// Those of classes that `known` has too few of.
std::vector<KernelSample> of_thin_classes(const std::vector<KernelSample>& candidates,
                                          const std::vector<KernelSample>& known) {
  std::vector<KernelSample> missing;
  for (const KernelSample& candidate : candidates) {
    if (is_thin(candidate.kernel, known)) missing.push_back(candidate);
  }
  return missing;
}

// How the time is divided; message rounds have fixed numbers, well below what is left.
constexpr double kNetworksShare = 0.5, kOthersShare = 0.05, kStreamsShare = 0.08,
                 kReductionsShare = 0.02, kCopiesShare = 0.05, kCapacityShare = 0.25;

// What rank 0 measures while the others rest.
class Alone {
 public:
  Alone(Backend& backend, const MeasureOptions& options, const Deadline& deadline)
      : backend_(backend),
        options_(options),
        deadline_(deadline),
        clock_(backend),
        streams_(options.streams.empty() ? default_streams(backend.device()) : options.streams) {}

  void measure(Samples& samples) {
    measure_networks(samples);
    samples.workspace = backend_.workspace();  // of these networks: training takes no other
    append(samples.kernels, of_thin_classes(others(samples.kernels), samples.kernels));
    say("optimizer, copies, reductions");
    append(samples.kernels,
           measure_streams(backend_, clock_, streams_, options_.budget * kStreamsShare));
    const Seconds reductions = options_.budget * kReductionsShare;
    if (backend_.device().shares_host_memory()) {
      samples.reductions = measure_reductions(backend_, reductions);
    } else {
      say("copies and launches");
      samples.copies =
          measure_device_copies(backend_, clock_, streams_, options_.budget * kCopiesShare);
      samples.launch = clock_.launch();
    }
  }

 private:
  void measure_networks(Samples& samples) {
    for (const MeasuredNet& measured : options_.networks) {
      if (!samples.steps.empty() && is_late(measured)) continue;
      NetworkSamples own = network(measured, kNetworksShare / count(options_.networks));
      if (own.kernels.empty()) continue;
      for (KernelSample& kernel : own.kernels)
        kernel.step = samples.steps.size();
      append(samples.kernels, own.kernels);
      samples.steps.push_back(std::move(own.step));
    }
  }
  // Of networks with a kernel of a class that there is little of.
  std::vector<KernelSample> others(const std::vector<KernelSample>& known) {
    std::vector<KernelSample> kernels;
    for (const MeasuredNet& measured : options_.others) {
      const std::set<KernelClass> classes = classes_of(measured, backend_.sizes());
      const bool helps = std::any_of(classes.begin(), classes.end(),
                                     [&](KernelClass kernel) { return is_thin(kernel, known); });
      if (helps && !is_late(measured))
        append(kernels, network(measured, kOthersShare / count(options_.others)).kernels);
    }
    return kernels;
  }
  bool is_late(const MeasuredNet& measured) const {
    if (!deadline_.is_over()) return false;
    say("left out, the time is up: " + name_of(measured));
    return true;
  }
  static std::string name_of(const MeasuredNet& measured) {
    return fmt::format("{}, {} samples", measured.net.name, measured.samples);
  }
  static double count(const std::vector<MeasuredNet>& networks) {
    return static_cast<double>(networks.size());
  }
  void say(const std::string& line) const {
    if (options_.progress) options_.progress(line);
  }
  // Nothing of what does not fit.
  NetworkSamples network(const MeasuredNet& measured, double share) {
    const std::string name = name_of(measured);
    if (!fits(measured)) {
      say("left out, too large for this GPU: " + name);
      return {};
    }
    say("kernels of " + name);
    return measure_network(measured, backend_, clock_, options_.budget * share, deadline_);
  }
  bool fits(const MeasuredNet& measured) const {
    // What libraries and scratch memory need beside the walk is not known before it runs.
    constexpr double kShareOfWalk = 0.7;
    if (!options_.gpu) return true;
    const Bytes needed = bytes_of_walk(measured, backend_.sizes(), usual_training(backend_.type()));
    return needed / options_.gpu->memory < kShareOfWalk;
  }

  Backend& backend_;
  const MeasureOptions& options_;
  const Deadline& deadline_;
  DeviceClock clock_;
  std::vector<std::int64_t> streams_;
};

}  // namespace

std::vector<MeasuredNet> default_networks() {
  const ModelSpec resnet{"resnet20", {{"image", {28, 28, 1}}, {"classes", {10}}}};
  const ModelSpec mlp{"mlp",
                      {{"image", {28, 28, 1}}, {"hidden", {512, 256, 128}}, {"classes", {10}}}};
  const auto gpt = [](std::int64_t layers, std::int64_t sequence) {
    return ModelSpec{"gpt",
                     {{"layers", {layers}},
                      {"width", {128}},
                      {"heads", {4}},
                      {"vocabulary", {256}},
                      {"sequence", {sequence}},
                      {"positions", {sequence}}}};
  };
  // Attention's FLOPs and bytes are so many to one another at one length of sequences: which of
  // them takes the time shows at another.
  MeasuredNet longer = build(gpt(1, 256), 2);
  longer.net.name = "gpt of 256 positions";
  return {build(resnet, 16),    build(resnet, 4),     build(mlp, 64), build(mlp, 256),
          build(gpt(2, 64), 2), build(gpt(2, 64), 8), longer};
}

std::vector<MeasuredNet> default_gpu_networks() {
  const auto gpt = [](std::int64_t layers, std::int64_t width, std::int64_t heads,
                      std::int64_t vocabulary, std::int64_t sequence) {
    return ModelSpec{"gpt",
                     {{"layers", {layers}},
                      {"width", {width}},
                      {"heads", {heads}},
                      {"vocabulary", {vocabulary}},
                      {"sequence", {sequence}},
                      {"positions", {sequence}},
                      {"tied", {1}}}};
  };
  const ModelSpec gpt2 = gpt(12, 768, 12, 50257, 1024), small = gpt(4, 256, 8, 512, 128);
  const ModelSpec resnet50{"resnet50", {{"image", {224, 224, 3}}, {"classes", {1000}}}};
  const ModelSpec resnet18{"resnet18", {{"image", {32, 32, 3}}, {"classes", {10}}}};
  const ModelSpec mlp{"mlp",
                      {{"image", {32, 32, 3}}, {"hidden", {4096, 4096, 4096}}, {"classes", {10}}}};
  return {build(gpt2, 4),      build(gpt2, 16),     build(small, 4),     build(small, 16),
          build(resnet50, 16), build(resnet50, 64), build(resnet18, 32), build(resnet18, 256),
          build(mlp, 256),     build(mlp, 4096)};
}

Samples measure(Transport& transport, Backend& backend, const MeasureOptions& options) {
  REHEARSE_CHECK(!options.networks.empty(), "nothing to measure");
  const bool is_first = transport.rank().index() == 0;
  const auto say = [&](const std::string& line) {
    if (is_first && options.progress) options.progress(line);
  };
  const Deadline deadline(options.now, options.budget);
  Samples samples;
  samples.dtype = backend.type();
  samples.gpu = options.gpu;
  if (is_first) {
    samples.host = describe_host(transport, backend);
    Alone(backend, options, deadline).measure(samples);
  }
  transport.barrier();
  // Ranks with a device each share neither cores nor memory.
  if (backend.device().shares_host_memory()) {
    say("messages");
    samples.messages = measure_messages(transport);
    say("all-reduces");
    samples.collectives = measure_collectives(transport, backend);
    say("copies on all ranks");
    samples.copies = measure_copies(transport, options.budget * kCopiesShare);
    say(fmt::format("capacity of 1 to {} ranks", transport.size()));
    samples.capacity = measure_capacity(options.networks.front(), transport, backend,
                                        options.budget * kCapacityShare, deadline);
  }
  return is_first ? samples : Samples{};
}

}  // namespace rehearse::exec
