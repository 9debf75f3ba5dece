// Token, patch and position embeddings, and rotary positions.
#include "model/base/check.h"
#include "model/net/layers/layers.h"

namespace rehearse::layers {

LayerFacts describe(const Embedding& e, std::span<const Shape> inputs) {
  expect_inputs("embedding", inputs, 1);
  LayerFacts facts;
  facts.output = inputs[0];
  facts.output.dims.push_back(e.width);
  facts.kernel = KernelClass::embedding;
  facts.parameters = {
      {"weight", {{e.vocabulary, e.width}}, Init::normal_002, e.width, e.vocabulary, true}};
  const std::int64_t elements = facts.output.elements();
  facts.forward = per_sample(0, 2 * elements);
  facts.backward_weight = per_sample(static_cast<double>(elements), 3 * elements);
  facts.saves_input = {true};
  facts.splits_backward = true;
  return facts;
}

LayerFacts describe(const PositionEmbedding& e, std::span<const Shape> inputs) {
  expect_inputs("position_embedding", inputs, 1, e.width);
  REHEARSE_CHECK(inputs[0].dims[0] <= e.length, "{} positions, sequences of {}", e.length,
                 inputs[0].dims[0]);
  LayerFacts facts;
  facts.output = inputs[0];
  facts.kernel = KernelClass::embedding;
  facts.parameters = {{"weight", {{e.length, e.width}}, Init::normal_002, e.width, e.length, true}};
  const std::int64_t elements = facts.output.elements();
  const Work pass =
      per_sample(static_cast<double>(elements), 2 * elements) + per_call(0, e.length * e.width);
  facts.forward = facts.backward_weight = pass;
  facts.saves_input = {false};
  facts.forward_in_place = facts.backward_in_place = true;
  facts.splits_backward = true;
  return facts;
}

LayerFacts describe(const Rotary& r, std::span<const Shape> inputs) {
  expect_inputs("rotary", inputs, 1, (r.heads + 2 * r.kv_heads) * r.head_size);
  REHEARSE_CHECK(r.rotated % 2 == 0 && r.rotated <= r.head_size, "{} of {} channels rotated",
                 r.rotated, r.head_size);
  LayerFacts facts;
  facts.output = inputs[0];
  facts.kernel = KernelClass::elementwise;
  // Values are not rotated; a rotation is 3 operations and 2 accesses per element.
  const std::int64_t rotated = inputs[0].dims[0] * (r.heads + r.kv_heads) * r.rotated;
  facts.forward = facts.backward_input =
      per_sample(3.0 * static_cast<double>(rotated), 2 * rotated);
  facts.saves_input = {false};
  facts.forward_in_place = facts.backward_in_place = true;
  return facts;
}

LayerFacts describe(const Patches& patches, std::span<const Shape> inputs) {
  expect_inputs("patches", inputs, 1);
  const Shape& in = inputs[0];
  const std::int64_t size = patches.size;
  REHEARSE_CHECK(in.dims.size() == 3 && in.dims[0] % size == 0 && in.dims[1] % size == 0,
                 "an image {} in patches of {}", to_string(in), size);
  LayerFacts facts;
  facts.output = {{in.dims[0] / size * (in.dims[1] / size), size * size * in.dims[2]}};
  facts.kernel = KernelClass::copy;
  facts.forward = facts.backward_input = per_sample(0, 2 * in.elements());
  facts.saves_input = {false};
  return facts;
}

LayerFacts describe(const ClassToken& token, std::span<const Shape> inputs) {
  expect_inputs("class_token", inputs, 1, token.width);
  LayerFacts facts;
  facts.output = {{inputs[0].dims[0] + 1, token.width}};
  facts.kernel = KernelClass::copy;
  facts.parameters = {
      {"token", {{token.width}}, Init::normal_002, token.width, token.width, false}};
  facts.forward = facts.backward_input = per_sample(0, 2 * facts.output.elements());
  facts.saves_input = {false};
  return facts;
}

LayerFacts describe(const FirstRow&, std::span<const Shape> inputs) {
  expect_inputs("first_row", inputs, 1);
  LayerFacts facts;
  facts.output = {{inputs[0].dims.back()}};
  facts.kernel = KernelClass::copy;
  facts.forward = per_sample(0, 2 * facts.output.elements());
  facts.backward_input = per_sample(0, inputs[0].elements() + facts.output.elements());
  facts.saves_input = {false};
  return facts;
}

}  // namespace rehearse::layers
