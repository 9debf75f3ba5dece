#include "tests/net/sharded_net.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "model/net/lowering.h"
#include "model/net/tensor.h"

namespace rehearse::testing {
namespace {

std::int64_t padding_of(std::int64_t vocabulary, std::int64_t ways) {
  return (ways - vocabulary % ways) % ways;
}

double product_flops(const Net& net) {
  double sum = 0;
  for (const Layer& layer : net.layers) {
    const bool product = layer.facts.kernel == KernelClass::matrix_product ||
                         layer.facts.kernel == KernelClass::attention;
    if (product) sum += layer.facts.forward.per_sample.flops();
  }
  return sum;
}

// Slices of all ranks and one copy of the rest are the full network and the padded rows of its
// tables: one of them where the head shares the embedding's, else two.
void expect_parameters_add_up(const Net& full, const Net& sharded, std::int64_t ways,
                              std::int64_t padded) {
  std::int64_t sum = 0;
  for (const Parameter& parameter : sharded.parameters) {
    sum += parameter.shape.elements() * (parameter.spread == Spread::sliced ? ways : 1);
  }
  EXPECT_EQ(sum, parameter_count(full) + padded);
}

// What is exchanged lies between segments: a sum ends its segment, and no segment both makes and
// reads an exchanged value. With rows, the collectives are alone in theirs.
void expect_exchanges_are_between_segments(const Net& net) {
  for (std::size_t v = 0; v < net.values.size(); ++v) {
    const Value& value = net.values[v];
    if (value.exchange == Exchange::none) continue;
    ASSERT_TRUE(value.producer.has_value()) << value.name;
    const SegmentId made = net.layers[value.producer->index()].segment;
    if (value.exchange == Exchange::sum) {
      EXPECT_EQ(net.segments[made.index()].layers.back(), *value.producer) << value.name;
    }
    for (const Layer& layer : net.layers) {
      const bool reads =
          std::find(layer.inputs.begin(), layer.inputs.end(), ValueId(v)) != layer.inputs.end();
      if (!reads) continue;
      EXPECT_LT(made, layer.segment) << layer.name << " reads " << value.name;
    }
  }
  for (const Layer& layer : net.layers) {
    const bool moves = std::holds_alternative<GatherRows>(layer.spec) ||
                       std::holds_alternative<ScatterRows>(layer.spec);
    if (!moves) continue;
    EXPECT_EQ(net.segments[layer.segment.index()].layers.size(), 1u) << layer.name;
    EXPECT_EQ(layer.facts.forward.per_sample + layer.facts.backward_input.per_sample, Flops{});
    EXPECT_EQ(layer.facts.forward.elements_per_sample, 0);
    EXPECT_EQ(layer.facts.backward_input.elements_per_sample, 0);
  }
}

// Each rank does 1 / ways of every product, the padded columns of the head included: 2 operations
// per position, column and width.
void expect_products_are_split(const Net& full, const Net& sharded, std::int64_t ways,
                               double padded_head_flops) {
  const double expected = product_flops(full) + padded_head_flops;
  EXPECT_NEAR(product_flops(sharded) * static_cast<double>(ways), expected, 1e-12 * expected);
}

}  // namespace

ModelSpec transformer_spec(const std::string& kind, const Fields& changes) {
  ModelSpec spec{
      kind,
      {{"layers", {2}}, {"width", {64}}, {"heads", {8}}, {"sequence", {16}}, {"vocabulary", {51}}}};
  if (kind == "llama") spec.fields.insert({{"kv_heads", {4}}, {"hidden", {96}}});
  for (const auto& [name, value] : changes)
    spec.fields[name] = value;
  return spec;
}

Net transformer(const std::string& kind, const Fields& changes) {
  return *build_net(transformer_spec(kind, changes));
}

std::vector<SegmentId> segment_ids(const Net& net) {
  std::vector<SegmentId> ids;
  for (std::size_t s = 0; s < net.segments.size(); ++s)
    ids.push_back(SegmentId(s));
  return ids;
}

SegmentId after(SegmentId segment) {
  return SegmentId(segment.value() + 1);
}

void expect_shapes_fit(const Net& net) {
  for (const Layer& layer : net.layers) {
    std::vector<Shape> inputs;
    for (const ValueId input : layer.inputs)
      inputs.push_back(net.values[input.index()].shape);
    const LayerFacts facts = describe(layer.spec, inputs);
    EXPECT_EQ(net.values[layer.output.index()].shape, facts.output) << layer.name;
    ASSERT_EQ(layer.parameters.size(), facts.parameters.size()) << layer.name;
    for (std::size_t i = 0; i < facts.parameters.size(); ++i) {
      const Parameter& parameter = net.parameters[layer.parameters[i].index()];
      EXPECT_EQ(parameter.shape, facts.parameters[i].shape) << parameter.name;
    }
  }
}

void expect_every_segment_lowers(const Net& net) {
  const auto segments = segment_ids(net);
  std::set<ValueId> values = {net.input, net.labels}, gradients;
  for (const SegmentId s : segments) {
    const Lowering forward = lower(net, s, after(s), Pass::forward, 2, {});
    EXPECT_EQ(forward.steps.size(), net.segments[s.index()].layers.size());
    for (const ValueId value : forward.reads_values)
      EXPECT_TRUE(values.contains(value)) << net.values[value.index()].name;
    values.insert(forward.writes_values.begin(), forward.writes_values.end());
  }
  std::multiset<LayerId> weights;
  for (auto s = segments.rbegin(); s != segments.rend(); ++s) {
    const Lowering backward = lower(net, *s, after(*s), Pass::backward, 2, {});
    for (const ValueId value : backward.reads_values)
      EXPECT_TRUE(values.contains(value)) << net.values[value.index()].name;
    for (const ValueId value : backward.reads_gradients)
      EXPECT_TRUE(gradients.contains(value)) << net.values[value.index()].name;
    gradients.insert(backward.writes_gradients.begin(), backward.writes_gradients.end());
    for (const KernelStep& step : backward.steps) {
      if (step.kind == KernelKind::backward || step.kind == KernelKind::backward_weight)
        weights.insert(step.layer);
    }
  }
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    if (net.layers[l].parameters.empty()) continue;
    EXPECT_EQ(weights.count(LayerId(l)), 1u) << net.layers[l].name;
  }
}

void expect_sound(const ModelSpec& spec, std::int64_t ways, bool sequence_parallel) {
  const ModelSpec resolved = *resolve(spec);
  const Net full = *build_net(spec);
  const Result<Net> sharded = shard(full, ways, sequence_parallel);
  ASSERT_TRUE(sharded.ok()) << format(sharded.errors());
  const bool tied = resolved.is("tied");
  const std::int64_t padded = padding_of(resolved.at("vocabulary"), ways) * resolved.at("width");
  expect_shapes_fit(*sharded);
  expect_parameters_add_up(full, *sharded, ways, padded * (tied ? 1 : 2));
  expect_products_are_split(full, *sharded, ways,
                            2.0 * static_cast<double>(padded * resolved.at("sequence")));
  expect_exchanges_are_between_segments(*sharded);
  expect_every_segment_lowers(*sharded);
}

}  // namespace rehearse::testing
