#include "exec/measure/measure.h"

#include <fmt/format.h>

#include <algorithm>

#include "exec/measure/phases.h"
#include "exec/measure/timing.h"
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

// Kernels of the classes that `known` has too few of to fit a rate to.
std::vector<KernelSample> of_thin_classes(const std::vector<KernelSample>& candidates,
                                          const std::vector<KernelSample>& known) {
  constexpr std::ptrdiff_t kFew = 4;
  std::vector<KernelSample> missing;
  for (const KernelSample& candidate : candidates) {
    const auto same = std::count_if(known.begin(), known.end(), [&](const KernelSample& sample) {
      return sample.kernel == candidate.kernel;
    });
    if (same < kFew) missing.push_back(candidate);
  }
  return missing;
}

// How the time is divided; message rounds have fixed numbers, well below what is left.
constexpr double kNetworksShare = 0.5, kOthersShare = 0.05, kStreamsShare = 0.08,
                 kReductionsShare = 0.02, kCopiesShare = 0.05, kCapacityShare = 0.25;

}  // namespace

std::vector<MeasuredNet> default_networks() {
  const ModelSpec resnet{"resnet20", {{"image", {28, 28, 1}}, {"classes", {10}}}};
  const ModelSpec mlp{"mlp",
                      {{"image", {28, 28, 1}}, {"hidden", {512, 256, 128}}, {"classes", {10}}}};
  const ModelSpec gpt{"gpt",
                      {{"layers", {2}},
                       {"width", {128}},
                       {"heads", {4}},
                       {"vocabulary", {256}},
                       {"sequence", {64}},
                       {"positions", {64}}}};
  return {build(resnet, 16), build(resnet, 4), build(mlp, 64),
          build(mlp, 256),   build(gpt, 2),    build(gpt, 8)};
}

Samples measure(Transport& transport, Backend& backend, const MeasureOptions& options) {
  REHEARSE_CHECK(!options.networks.empty(), "nothing to measure");
  const bool is_first = transport.rank().index() == 0;
  const auto say = [&](const std::string& line) {
    if (is_first && options.progress) options.progress(line);
  };
  const auto share = [&](double part) { return options.budget * part; };

  Samples samples;
  if (is_first) {
    samples.host = describe_host(transport, backend);
    const Seconds each = share(kNetworksShare / static_cast<double>(options.networks.size()));
    for (const MeasuredNet& measured : options.networks) {
      say(fmt::format("kernels of {}, {} samples", measured.net.name, measured.samples));
      append(samples.kernels, measure_network(measured, backend, each));
    }
    samples.workspace = backend.workspace();  // of these networks: training takes no other
    std::vector<KernelSample> others;
    for (const MeasuredNet& measured : options.others) {
      const double part = kOthersShare / static_cast<double>(options.others.size());
      append(others, measure_network(measured, backend, share(part)));
    }
    append(samples.kernels, of_thin_classes(others, samples.kernels));
    say("optimizer, copies, reductions");
    append(samples.kernels, measure_streams(backend, share(kStreamsShare)));
    samples.reductions = measure_reductions(backend, share(kReductionsShare));
  }
  transport.barrier();
  say("messages");
  samples.messages = measure_messages(transport);
  say("copies on all ranks");
  samples.copies = measure_copies(transport, share(kCopiesShare));
  say(fmt::format("capacity of 1 to {} ranks", transport.size()));
  samples.capacity =
      measure_capacity(options.networks.front(), transport, backend, share(kCapacityShare));
  return is_first ? samples : Samples{};
}

}  // namespace rehearse::exec
