// Forward and backward of whole networks through their lowering, with the time of each class of
// kernels.
#include <benchmark/benchmark.h>

#include <array>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/buffer.h"
#include "exec/bind.h"
#include "model/net/model_spec.h"

namespace rehearse::bench {
namespace {

using exec::KernelArguments;

// A network's kernels, prepared and bound to memory.
class PreparedNet {
 public:
  PreparedNet(const Net& net, std::int64_t samples) : net_(net), samples_(samples) {
    for (const Parameter& p : net.parameters) {
      const bool ones = p.init == Init::ones;
      const float size = 1 / static_cast<float>(p.fan_in);
      parameters_.emplace_back(p.shape.elements(), random_, ones ? 0.9F : -size,
                               ones ? 1.1F : size);
      gradients_.emplace_back(p.shape.elements(), random_, 0.0F, 0.0F);
    }
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      const Lowering lowering =
          lower(net, SegmentId(0), end_segment(net), pass, samples, backend_->sizes());
      if (!saved_) saved_.emplace(floats(lowering.saved), random_, 0.0F, 0.0F);
      scratch_.emplace_back(floats(lowering.scratch), random_, 0.0F, 0.0F);
      for (const KernelStep& step : lowering.steps)
        add(step);
    }
  }

  // Seconds by class of kernel; of the processor, so that other programs do not count.
  std::array<double, kKernelClassCount> run() {
    std::array<double, kKernelClassCount> seconds{};
    for (Step& step : steps_) {
      const std::clock_t start = std::clock();
      step.kernel->run(step.arguments);
      seconds[static_cast<std::size_t>(step.work.kernel)] +=
          static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    }
    return seconds;
  }

  double flops() const {
    double sum = 0;
    for (const Step& step : steps_)
      sum += step.work.flops.flops();
    return sum;
  }

 private:
  struct Step {
    std::unique_ptr<exec::Kernel> kernel;
    KernelArguments arguments;
    StepWork work;
  };

  static std::int64_t floats(Bytes size) { return size.bytes() / 4 + 1; }

  // Boundary values are made when first met; labels that are all zero are right labels too.
  std::byte* address(const Place& place) {
    const auto at = [&](const Buffer& slab) {
      return reinterpret_cast<std::byte*>(slab.data()) + place.offset.bytes();
    };
    if (place.space == Space::scratch) return at(scratch_.back());
    if (place.space == Space::saved) return at(*saved_);
    const Value& value = net_.values[place.value.index()];
    const float high = value.type == ValueType::index ? 0.0F : 1.0F;
    auto& values = place.space == Space::value ? values_ : value_gradients_;
    return at(
        values.try_emplace(place.value, samples_ * value.shape.elements(), random_, 0.0F, high)
            .first->second);
  }

  void add(const KernelStep& step) {
    KernelArguments a = exec::bind(step, [&](const Place& place) { return address(place); });
    for (const ParameterId p : net_.layers[step.layer.index()].parameters) {
      a.parameters.push_back(parameters_[p.index()].data());
      a.parameter_gradients.push_back(gradients_[p.index()].data());
    }
    steps_.push_back({backend_->prepare(exec::request_for(net_, step, samples_)), std::move(a),
                      work_of(net_, step, samples_, backend_->sizes())});
  }

  const Net& net_;
  std::int64_t samples_;
  Random random_{1};
  std::unique_ptr<exec::Backend> backend_ = exec::make_onednn_backend();
  std::vector<Buffer> parameters_, gradients_, scratch_;
  std::optional<Buffer> saved_;
  std::map<ValueId, Buffer> values_, value_gradients_;
  std::vector<Step> steps_;
};

struct Subject {
  ModelSpec model;
  std::int64_t samples;
};

void time_step(benchmark::State& state, const Subject& subject) {
  const Net net = build_net(subject.model).value();
  PreparedNet prepared(net, subject.samples);
  std::array<double, kKernelClassCount> seconds{};
  for (auto _ : state) {
    const auto once = prepared.run();
    for (std::size_t k = 0; k < once.size(); ++k)
      seconds[k] += once[k];
  }
  using benchmark::Counter;
  for (std::size_t k = 0; k < seconds.size(); ++k) {
    if (seconds[k] == 0) continue;
    const auto name = to_string(static_cast<KernelClass>(k));
    state.counters[std::string(name) + "_ms"] = Counter(seconds[k] * 1e3, Counter::kAvgIterations);
  }
  state.counters["FLOP/s"] = Counter(prepared.flops(), Counter::kIsIterationInvariantRate);
}

const bool kRegistered = [] {
  const Subject subjects[] = {
      {{"resnet20", {{"image", {28, 28, 1}}, {"classes", {10}}}}, 64},
      {{"mlp", {{"image", {28, 28, 1}}, {"classes", {10}}}}, 64},
      {{"gpt",
        {{"layers", {4}},
         {"width", {128}},
         {"heads", {4}},
         {"sequence", {64}},
         {"positions", {64}},
         {"vocabulary", {512}}}},
       8},
      {{"llama",
        {{"layers", {4}},
         {"width", {128}},
         {"hidden", {352}},
         {"heads", {4}},
         {"kv_heads", {2}},
         {"sequence", {64}},
         {"vocabulary", {512}}}},
       8},
  };
  for (const Subject& subject : subjects) {
    const std::string name = "step/" + subject.model.kind;
    benchmark::RegisterBenchmark(name.c_str(), time_step, subject)->Unit(benchmark::kMillisecond);
  }
  return true;
}();

}  // namespace
}  // namespace rehearse::bench
