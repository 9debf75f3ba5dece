// Kernels of the oneDNN backend at ResNet-20's shapes (64 samples of 28x28), one core.
//
// Every kernel's result is compared once with the reference's before it is timed. FLOP/s and
// bytes/s count what the layer's facts say, as the cost model does.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/buffer.h"
#include "exec/backend.h"

namespace rehearse::bench {
namespace {

using exec::Backend;
using exec::KernelArguments;
using exec::KernelRequest;

constexpr std::int64_t kSamples = 64;

// All operands a kernel may have; deterministic, so that two backends get the same.
class Operands {
 public:
  explicit Operands(const KernelRequest& request) {
    const LayerFacts facts = describe(request.layer, request.inputs);
    const std::int64_t samples = request.samples;
    for (const Shape& input : request.inputs) {
      arguments_.inputs.push_back(add(samples * input.elements(), -1));
      arguments_.input_gradients.push_back(add(samples * input.elements(), -1));
    }
    arguments_.output = add(samples * facts.output.elements(), -1);
    arguments_.output_gradient = add(samples * facts.output.elements(), -1);
    // Variances are positive.
    for (const Auxiliary& a : facts.auxiliaries) {
      arguments_.auxiliaries.push_back(
          add(a.elements_per_sample * samples + a.elements_per_call, 0.5));
    }
    for (const ParameterFacts& p : facts.parameters) {
      arguments_.parameters.push_back(add(p.shape.elements(), -1));
      arguments_.parameter_gradients.push_back(add(p.shape.elements(), -1));
    }
  }
  const KernelArguments& arguments() const { return arguments_; }

  // Largest difference of any operand, relative to the largest number in it.
  double distance(const Operands& other) const {
    double worst = 0;
    for (std::size_t b = 0; b < buffers_.size(); ++b) {
      const auto mine = buffers_[b].values(), theirs = other.buffers_[b].values();
      double difference = 0, largest = 0;
      for (std::size_t i = 0; i < mine.size(); ++i) {
        difference = std::max(difference, std::abs(double{mine[i]} - double{theirs[i]}));
        largest = std::max(largest, std::abs(double{mine[i]}));
      }
      worst = std::max(worst, difference / largest);
    }
    return worst;
  }

 private:
  float* add(std::int64_t n, float low) {
    buffers_.emplace_back(n, random_, low, 1.0F);
    return buffers_.back().data();
  }
  Random random_{1};
  std::vector<Buffer> buffers_;
  KernelArguments arguments_;
};

Work work_of(const LayerFacts& facts, KernelKind kind) {
  switch (kind) {
    case KernelKind::forward:
      return facts.forward;
    case KernelKind::backward:
      return facts.backward_input + facts.backward_weight;
    case KernelKind::backward_input:
      return facts.backward_input;
    case KernelKind::backward_weight:
      return facts.backward_weight;
    case KernelKind::accumulate:
    case KernelKind::copy:
      break;
  }
  return {};
}

void report(benchmark::State& state, double flops, double bytes) {
  using benchmark::Counter;
  const auto rate = [](double amount) {
    return Counter(amount, Counter::kIsIterationInvariantRate, Counter::kIs1000);
  };
  state.counters["FLOP/s"] = rate(flops);
  state.counters["B/s"] = rate(bytes);
}

void time_kernel(benchmark::State& state, const KernelRequest& request) {
  const Operands operands(request), expected(request);
  const auto backend = exec::make_onednn_backend();
  const auto kernel = backend->prepare(request);
  kernel->run(operands.arguments());
  exec::make_reference_backend(DataType::fp32)->prepare(request)->run(expected.arguments());
  // Rounding of sums of up to 50176 terms: 8 eps sqrt(terms), as in the parity tests.
  if (operands.distance(expected) > 2e-4) return state.SkipWithError("differs from the reference");
  for (auto _ : state)
    kernel->run(operands.arguments());

  const Work work = work_of(describe(request.layer, request.inputs), request.kind);
  const auto samples = static_cast<double>(request.samples);
  const std::int64_t elements = work.elements_per_sample * request.samples + work.elements_per_call;
  report(state, work.per_sample.flops() * samples + work.per_call.flops(),
         4.0 * static_cast<double>(elements));
}

// w, g and the moments read, w and the moments written.
void time_step(benchmark::State& state, const std::variant<Sgd, Adam>& rule) {
  Random random(1);
  const std::int64_t n = state.range(0);
  const Buffer w(n, random, -1, 1), g(n, random, -1, 1);
  const Buffer first(n, random, -1, 1), second(n, random, 0, 1);
  const auto backend = exec::make_onednn_backend();
  Optimizer optimizer;
  optimizer.rule = rule;
  optimizer.weight_decay = 1e-4;
  for (auto _ : state)
    backend->step({optimizer, 1e-9, 0, true}, w.data(), g.data(), {first.data(), second.data()}, n);
  report(state, flops_per_weight(optimizer) * static_cast<double>(n),
         (12.0 + 8.0 * static_cast<double>(moments_of(optimizer))) * static_cast<double>(n));
}

void time_add(benchmark::State& state) {
  Random random(1);
  const std::int64_t n = state.range(0);
  const Buffer into(n, random, -1, 1), from(n, random, -1, 1);
  const auto backend = exec::make_onednn_backend();
  for (auto _ : state)
    backend->add(into.data(), from.data(), n);
  report(state, static_cast<double>(n), 12.0 * static_cast<double>(n));
}

void register_layer(const LayerSpec& layer, const std::vector<Shape>& inputs) {
  const LayerFacts facts = describe(layer, inputs);
  std::vector<KernelKind> kinds{KernelKind::forward};
  if (facts.splits_backward) {
    kinds.insert(kinds.end(), {KernelKind::backward_input, KernelKind::backward_weight});
  } else {
    kinds.push_back(KernelKind::backward);
  }
  // An addition hands its output's gradient on without a kernel.
  std::erase_if(kinds, [&](KernelKind k) { return work_of(facts, k).elements_per_sample == 0; });
  for (const KernelKind kind : kinds) {
    const KernelRequest request{.kind = kind,
                                .layer = layer,
                                .inputs = inputs,
                                .output = facts.output,
                                .samples = kSamples,
                                .elements = 0,
                                .wants_input_gradient = std::vector<bool>(inputs.size(), true)};
    const auto name = fmt::format("{}/{}>{}/{}", kind_name(layer), to_string(inputs[0]),
                                  to_string(facts.output), to_string(kind));
    benchmark::RegisterBenchmark(name.c_str(), time_kernel, request);
  }
}

const bool kRegistered = [] {
  register_layer(Conv2d{1, 16, 3, 1, 1}, {{{28, 28, 1}}});
  const Shape stages[] = {{{28, 28, 16}}, {{14, 14, 32}}, {{7, 7, 64}}};
  for (const Shape& shape : stages) {
    const std::int64_t channels = shape.dims[2];
    register_layer(Conv2d{channels, channels, 3, 1, 1}, {shape});
    register_layer(BatchNorm{channels}, {shape});
    register_layer(Relu{}, {shape});
    register_layer(Add{1.0}, {shape, shape});
  }
  register_layer(Conv2d{16, 32, 3, 2, 1}, {stages[0]});
  register_layer(Conv2d{16, 32, 1, 2, 0}, {stages[0]});
  register_layer(GlobalAveragePool{}, {stages[2]});
  register_layer(Linear{64, 10, true}, {{{64}}});
  register_layer(Linear{784, 256, true}, {{{784}}});
  register_layer(Linear{256, 1024, true}, {{{64, 256}}});
  register_layer(Gelu{}, {{{64, 1024}}});
  register_layer(Dropout{0.1}, {{{64, 1024}}});
  register_layer(Sum{1.0}, {{{64, 256}}, {{64, 256}}, {{64, 256}}, {{64, 256}}});
  register_layer(Bias{256}, {{{64, 256}}});
  // ResNet-20's parameters, and more than caches hold.
  benchmark::RegisterBenchmark("sgd", time_step, Sgd{0.9})->Arg(272'000)->Arg(8'000'000);
  benchmark::RegisterBenchmark("adam", time_step, Adam{})->Arg(272'000)->Arg(8'000'000);
  benchmark::RegisterBenchmark("add", time_add)->Arg(272'000)->Arg(8'000'000);
  return true;
}();

}  // namespace
}  // namespace rehearse::bench
