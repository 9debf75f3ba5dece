#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse::layers {

LayerFacts describe(const Conv2d& c, std::span<const Shape> inputs) {
  expect_inputs("conv2d", inputs, 1, c.in_channels);
  const Shape& in = inputs[0];
  REHEARSE_CHECK(in.dims.size() == 3, "conv2d takes [h, w, c], got {}", to_string(in));
  const auto extent = [&](std::int64_t size) {
    return (size + 2 * c.padding - c.kernel) / c.stride + 1;
  };

  LayerFacts facts;
  facts.output = {{extent(in.dims[0]), extent(in.dims[1]), c.out_channels}};
  facts.kernel = KernelClass::convolution;
  const std::int64_t fan = c.kernel * c.kernel;
  facts.parameters = {{"weight",
                       {{c.out_channels, c.kernel, c.kernel, c.in_channels}},
                       Init::he_normal,
                       fan * c.in_channels,
                       fan * c.out_channels,
                       true}};
  const std::int64_t weights = c.out_channels * fan * c.in_channels;
  const std::int64_t positions = facts.output.dims[0] * facts.output.dims[1];
  // Each pass is the same product read in three directions: one multiply-add per weight and
  // output position.
  const Work pass = per_sample(2.0 * static_cast<double>(positions * weights),
                               in.elements() + facts.output.elements()) +
                    per_call(0, weights);
  facts.forward = facts.backward_input = facts.backward_weight = pass;
  facts.saves_input = {true};
  facts.splits_backward = true;
  return facts;
}

}  // namespace rehearse::layers
