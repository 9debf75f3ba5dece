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

LayerFacts describe(const MaxPool& pool, std::span<const Shape> inputs) {
  expect_inputs("max_pool", inputs, 1);
  const Shape& in = inputs[0];
  REHEARSE_CHECK(in.dims.size() == 3 && 2 * pool.padding <= pool.kernel,
                 "max_pool of {} with padding {} takes [h, w, c], got {}", pool.kernel,
                 pool.padding, to_string(in));
  const auto extent = [&](std::int64_t size) {
    return (size + 2 * pool.padding - pool.kernel) / pool.stride + 1;
  };
  LayerFacts facts;
  facts.output = {{extent(in.dims[0]), extent(in.dims[1]), in.dims[2]}};
  facts.kernel = KernelClass::reduction;
  const std::int64_t outputs = facts.output.elements();
  const auto compared = static_cast<double>(outputs * pool.kernel * pool.kernel);
  // Where in its window each largest element was: backward needs nothing else.
  facts.auxiliaries = {{"place", outputs, 0}};
  facts.forward = per_sample(compared, in.elements() + 2 * outputs);
  facts.backward_input = per_sample(static_cast<double>(outputs), in.elements() + 3 * outputs);
  facts.saves_input = {false};
  return facts;
}

}  // namespace rehearse::layers
