#include "model/net/layer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse {

const std::vector<Kernels>& kernels_there_are() {
  static const std::vector<Kernels> all = {Kernels::own, Kernels::megatron};
  return all;
}

std::string_view to_string(Kernels kernels) {
  switch (kernels) {
    case Kernels::own:
      return "own";
    case Kernels::megatron:
      return "megatron";
  }
  REHEARSE_UNREACHABLE("kernels");
}
namespace {

struct KindName {
  std::string_view operator()(const Conv2d&) const { return "conv2d"; }
  std::string_view operator()(const Linear&) const { return "linear"; }
  std::string_view operator()(const BatchNorm&) const { return "batch_norm"; }
  std::string_view operator()(const LayerNorm&) const { return "layer_norm"; }
  std::string_view operator()(const RmsNorm&) const { return "rms_norm"; }
  std::string_view operator()(const Relu&) const { return "relu"; }
  std::string_view operator()(const Gelu&) const { return "gelu"; }
  std::string_view operator()(const SwiGlu&) const { return "swiglu"; }
  std::string_view operator()(const Add&) const { return "add"; }
  std::string_view operator()(const Sum&) const { return "sum"; }
  std::string_view operator()(const Bias&) const { return "bias"; }
  std::string_view operator()(const Dropout&) const { return "dropout"; }
  std::string_view operator()(const GlobalAveragePool&) const { return "global_average_pool"; }
  std::string_view operator()(const MaxPool&) const { return "max_pool"; }
  std::string_view operator()(const Patches&) const { return "patches"; }
  std::string_view operator()(const ClassToken&) const { return "class_token"; }
  std::string_view operator()(const FirstRow&) const { return "first_row"; }
  std::string_view operator()(const Embedding&) const { return "embedding"; }
  std::string_view operator()(const PositionEmbedding&) const { return "position_embedding"; }
  std::string_view operator()(const Rotary&) const { return "rotary"; }
  std::string_view operator()(const Attention&) const { return "attention"; }
  std::string_view operator()(const CrossEntropy&) const { return "cross_entropy"; }
  std::string_view operator()(const SquaredError&) const { return "squared_error"; }
  std::string_view operator()(const GatherRows&) const { return "gather_rows"; }
  std::string_view operator()(const ScatterRows&) const { return "scatter_rows"; }
};

}  // namespace

std::int64_t Shape::elements() const {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
}

std::string to_string(const Shape& shape) {
  return fmt::format("{}", fmt::join(shape.dims, "x"));
}

LayerFacts without_weight_gradients(LayerFacts facts) {
  facts.backward_weight = {};
  // Products: the input's gradient is made of the output's and the weights alone.
  if (facts.splits_backward) std::fill(facts.saves_input.begin(), facts.saves_input.end(), false);
  return facts;
}

std::string_view kind_name(const LayerSpec& spec) {
  return std::visit(KindName{}, spec);
}

std::optional<std::int64_t> classes_of_loss(const LayerSpec& spec) {
  if (const auto* entropy = std::get_if<CrossEntropy>(&spec))
    return entropy->part.is_whole() ? entropy->classes : entropy->all;
  if (const auto* error = std::get_if<SquaredError>(&spec)) return error->classes;
  return std::nullopt;
}

std::string_view to_string(KernelClass kernel) {
  switch (kernel) {
    case KernelClass::convolution:
      return "convolution";
    case KernelClass::matrix_product:
      return "matrix_product";
    case KernelClass::attention:
      return "attention";
    case KernelClass::normalization:
      return "normalization";
    case KernelClass::elementwise:
      return "elementwise";
    case KernelClass::reduction:
      return "reduction";
    case KernelClass::embedding:
      return "embedding";
    case KernelClass::optimizer:
      return "optimizer";
    case KernelClass::copy:
      return "copy";
  }
  REHEARSE_UNREACHABLE("kernel class");
}

std::string_view to_string(Init init) {
  switch (init) {
    case Init::zeros:
      return "zeros";
    case Init::ones:
      return "ones";
    case Init::he_normal:
      return "he_normal";
    case Init::glorot_uniform:
      return "glorot_uniform";
    case Init::normal_002:
      return "normal_002";
  }
  REHEARSE_UNREACHABLE("init");
}

Work operator+(const Work& a, const Work& b) {
  return {a.per_sample + b.per_sample, a.per_call + b.per_call,
          a.elements_per_sample + b.elements_per_sample, a.elements_per_call + b.elements_per_call};
}

LayerFacts describe(const LayerSpec& spec, std::span<const Shape> inputs) {
  LayerFacts facts =
      std::visit([&](const auto& layer) { return layers::describe(layer, inputs); }, spec);
  REHEARSE_CHECK(facts.saves_input.size() == inputs.size(), "{} of {} inputs described by {}",
                 facts.saves_input.size(), inputs.size(), kind_name(spec));
  return facts;
}

namespace layers {

void expect_inputs(std::string_view kind, std::span<const Shape> inputs, std::size_t count,
                   std::int64_t last_dimension) {
  REHEARSE_CHECK(inputs.size() == count, "{} takes {} inputs, got {}", kind, count, inputs.size());
  if (last_dimension == 0) return;
  REHEARSE_CHECK(!inputs[0].dims.empty() && inputs[0].dims.back() == last_dimension,
                 "{} expects {} in the last dimension, got {}", kind, last_dimension,
                 to_string(inputs[0]));
}

Work per_sample(double flops, std::int64_t elements) {
  Work work;
  work.per_sample = Flops::flops(flops);
  work.elements_per_sample = elements;
  return work;
}

Work per_call(double flops, std::int64_t elements) {
  Work work;
  work.per_call = Flops::flops(flops);
  work.elements_per_call = elements;
  return work;
}

}  // namespace layers
}  // namespace rehearse
