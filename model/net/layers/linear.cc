#include "model/net/layers/layers.h"

namespace rehearse::layers {

LayerFacts describe(const Linear& l, std::span<const Shape> inputs) {
  expect_inputs("linear", inputs, 1, l.in_features);
  LayerFacts facts;
  facts.output = inputs[0];
  facts.output.dims.back() = l.out_features;
  facts.kernel = KernelClass::matrix_product;
  facts.parameters = {{"weight",
                       {{l.out_features, l.in_features}},
                       Init::he_normal,
                       l.in_features,
                       l.out_features,
                       true}};
  if (l.bias) {
    facts.parameters.push_back(
        {"bias", {{l.out_features}}, Init::zeros, l.in_features, l.out_features, false});
  }
  const std::int64_t weights = l.in_features * l.out_features;
  const std::int64_t rows = inputs[0].elements() / l.in_features;
  const Work product = per_sample(2.0 * static_cast<double>(rows * weights),
                                  inputs[0].elements() + facts.output.elements()) +
                       per_call(0, weights);
  facts.forward = facts.backward_input = facts.backward_weight = product;
  facts.saves_input = {true};
  facts.splits_backward = true;
  return facts;
}

}  // namespace rehearse::layers
