// Batch, layer and RMS norm: memory-bound passes with one or two statistics per channel or row.
#include "model/net/layers/layers.h"

namespace rehearse::layers {
namespace {

// Forward reads the input twice (statistics, then scaling) and writes once; backward reads input
// and gradient twice and writes once. About 5 and 11 operations per element.
void price_norm(LayerFacts& facts, std::int64_t elements) {
  const auto n = static_cast<double>(elements);
  facts.forward = per_sample(5 * n, 3 * elements);
  facts.backward_input = per_sample(11 * n, 5 * elements);
}

ParameterFacts per_channel(std::string name, std::int64_t channels, Init init) {
  return {std::move(name), {{channels}}, init, channels, channels, false};
}

LayerFacts describe_norm(const Shape& input) {
  LayerFacts facts;
  facts.output = input;
  facts.kernel = KernelClass::normalization;
  price_norm(facts, input.elements());
  facts.saves_input = {true};
  facts.backward_in_place = true;
  return facts;
}

}  // namespace

LayerFacts describe(const BatchNorm& norm, std::span<const Shape> inputs) {
  expect_inputs("batch_norm", inputs, 1, norm.channels);
  LayerFacts facts = describe_norm(inputs[0]);
  facts.parameters = {per_channel("scale", norm.channels, Init::ones),
                      per_channel("shift", norm.channels, Init::zeros)};
  // Biased variances, as the libraries keep them; the inverse deviation is recomputed.
  facts.auxiliaries = {{"mean", 0, norm.channels}, {"variance", 0, norm.channels}};
  return facts;
}

LayerFacts describe(const LayerNorm& norm, std::span<const Shape> inputs) {
  expect_inputs("layer_norm", inputs, 1, norm.width);
  LayerFacts facts = describe_norm(inputs[0]);
  facts.parameters = {per_channel("scale", norm.width, Init::ones),
                      per_channel("shift", norm.width, Init::zeros)};
  const std::int64_t rows = inputs[0].elements() / norm.width;
  facts.auxiliaries = {{"mean", rows, 0}, {"inverse_deviation", rows, 0}};
  return facts;
}

LayerFacts describe(const RmsNorm& norm, std::span<const Shape> inputs) {
  expect_inputs("rms_norm", inputs, 1, norm.width);
  LayerFacts facts = describe_norm(inputs[0]);
  facts.parameters = {per_channel("scale", norm.width, Init::ones)};
  facts.auxiliaries = {{"inverse_rms", inputs[0].elements() / norm.width, 0}};
  return facts;
}

}  // namespace rehearse::layers
