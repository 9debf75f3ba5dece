#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse::layers {

LayerFacts describe(const GlobalAveragePool&, std::span<const Shape> inputs) {
  expect_inputs("global_average_pool", inputs, 1);
  REHEARSE_CHECK(inputs[0].dims.size() == 3, "pooling takes [h, w, c], got {}",
                 to_string(inputs[0]));
  LayerFacts facts;
  facts.output = {{inputs[0].dims[2]}};
  facts.kernel = KernelClass::reduction;
  const std::int64_t elements = inputs[0].elements() + facts.output.elements();
  facts.forward = facts.backward_input =
      per_sample(static_cast<double>(inputs[0].elements()), elements);
  facts.saves_input = {false};
  return facts;
}

}  // namespace rehearse::layers
