// Sums of several tensors, and a number added per channel: memory-bound.
#include <algorithm>

#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse::layers {

LayerFacts describe(const Sum& sum, std::span<const Shape> inputs) {
  REHEARSE_CHECK(!inputs.empty(), "a sum of nothing");
  for (const Shape& input : inputs)
    REHEARSE_CHECK(input == inputs[0], "a sum of {} and {}", to_string(inputs[0]),
                   to_string(input));
  LayerFacts facts;
  facts.output = inputs[0];
  facts.kernel = KernelClass::elementwise;
  const auto terms = static_cast<std::int64_t>(inputs.size());
  const std::int64_t elements = inputs[0].elements();
  facts.forward = per_sample(static_cast<double>(terms * elements), (terms + 1) * elements);
  // Unscaled, all inputs have the output's gradient: nothing is done.
  if (sum.scale != 1.0)
    facts.backward_input =
        per_sample(static_cast<double>(terms * elements), (terms + 1) * elements);
  facts.saves_input.assign(inputs.size(), false);
  facts.forward_in_place = true;
  return facts;
}

LayerFacts describe(const Bias& bias, std::span<const Shape> inputs) {
  expect_inputs("bias", inputs, 1, bias.width);
  LayerFacts facts;
  facts.output = inputs[0];
  facts.kernel = KernelClass::elementwise;
  facts.parameters = {{"bias", {{bias.width}}, Init::zeros, bias.width, bias.width, false}};
  const std::int64_t elements = inputs[0].elements();
  const double flops = static_cast<double>(elements);
  facts.forward = per_sample(flops, 2 * elements) + per_call(0, bias.width);
  facts.backward_weight = per_sample(flops, elements) + per_call(0, bias.width);
  facts.saves_input = {false};
  facts.forward_in_place = facts.backward_in_place = true;
  facts.splits_backward = true;
  return facts;
}

}  // namespace rehearse::layers
