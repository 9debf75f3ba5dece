// ReLU, GELU, SwiGLU, the residual addition and dropout: element by element, memory-bound.
#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse::layers {
namespace {

LayerFacts describe_elementwise(const Shape& output, double flops_per_element,
                                std::int64_t forward_accesses, std::int64_t backward_accesses) {
  LayerFacts facts;
  facts.output = output;
  facts.kernel = KernelClass::elementwise;
  const std::int64_t elements = output.elements();
  const double flops = flops_per_element * static_cast<double>(elements);
  facts.forward = per_sample(flops, forward_accesses * elements);
  facts.backward_input = per_sample(flops, backward_accesses * elements);
  return facts;
}

void expect_equal(std::string_view kind, std::span<const Shape> inputs) {
  expect_inputs(kind, inputs, 2);
  REHEARSE_CHECK(inputs[0] == inputs[1], "{} takes equal shapes, got {} and {}", kind,
                 to_string(inputs[0]), to_string(inputs[1]));
}

}  // namespace

LayerFacts describe(const Relu&, std::span<const Shape> inputs) {
  expect_inputs("relu", inputs, 1);
  LayerFacts facts = describe_elementwise(inputs[0], 1, 2, 3);
  // The sign of the output is the sign of the input wherever a gradient passes.
  facts.saves_input = {false};
  facts.saves_output = true;
  facts.forward_in_place = facts.backward_in_place = true;
  return facts;
}

LayerFacts describe(const Gelu&, std::span<const Shape> inputs) {
  expect_inputs("gelu", inputs, 1);
  LayerFacts facts = describe_elementwise(inputs[0], 8, 2, 3);
  facts.saves_input = {true};
  facts.backward_in_place = true;
  return facts;
}

LayerFacts describe(const SwiGlu&, std::span<const Shape> inputs) {
  expect_equal("swiglu", inputs);
  LayerFacts facts = describe_elementwise(inputs[0], 6, 3, 5);
  facts.saves_input = {true, true};
  return facts;
}

LayerFacts describe(const Add&, std::span<const Shape> inputs) {
  expect_equal("add", inputs);
  LayerFacts facts = describe_elementwise(inputs[0], 1, 3, 0);
  facts.saves_input = {false, false};
  facts.forward_in_place = true;
  return facts;
}

LayerFacts describe(const Dropout& dropout, std::span<const Shape> inputs) {
  expect_inputs("dropout", inputs, 1);
  REHEARSE_CHECK(0 < dropout.rate && dropout.rate < 1, "dropout of {}", dropout.rate);
  LayerFacts facts = describe_elementwise(inputs[0], 1, 2, 2);
  facts.saves_input = {false};
  facts.forward_in_place = facts.backward_in_place = true;
  if (dropout.kernels == Kernels::megatron) {
    // One kernel with the addition behind it (bias_dropout_add_fused), which is priced by itself:
    // forward writes the mask beside it, backward reads it.
    const std::int64_t n = inputs[0].elements();
    facts.forward = per_sample(static_cast<double>(n), n / 2);
    facts.backward_input = per_sample(static_cast<double>(n), 2 * n + n / 2);
    facts.auxiliaries = {{"mask", inputs[0].elements(), 0, AuxiliaryType::mask}};
  }
  return facts;
}

}  // namespace rehearse::layers
