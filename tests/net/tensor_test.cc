#include "model/net/tensor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "model/base/random.h"
#include "model/net/lowering.h"
#include "model/net/model_spec.h"
#include "model/net/net_builder.h"

namespace rehearse {
namespace {

using Fields = std::map<std::string, std::vector<std::int64_t>>;

// A vocabulary that neither 2 nor 4 divides.
constexpr std::int64_t kVocabulary = 51;

ModelSpec spec_of(const std::string& kind, const Fields& changes = {}) {
  ModelSpec spec{kind,
                 {{"layers", {2}},
                  {"width", {64}},
                  {"heads", {8}},
                  {"sequence", {16}},
                  {"vocabulary", {kVocabulary}}}};
  if (kind == "llama") spec.fields.insert({{"kv_heads", {4}}, {"hidden", {96}}});
  for (const auto& [name, value] : changes)
    spec.fields[name] = value;
  return spec;
}

Net model(const std::string& kind, const Fields& changes = {}) {
  return *build_net(spec_of(kind, changes));
}

std::int64_t padding_of(std::int64_t vocabulary, std::int64_t ways) {
  return (ways - vocabulary % ways) % ways;
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

const Layer& layer_named(const Net& net, const std::string& name) {
  const auto found = std::find_if(net.layers.begin(), net.layers.end(),
                                  [&](const Layer& layer) { return layer.name == name; });
  EXPECT_NE(found, net.layers.end()) << name;
  return *found;
}

std::size_t count(const Net& net, Exchange exchange) {
  return static_cast<std::size_t>(
      std::count_if(net.values.begin(), net.values.end(),
                    [&](const Value& value) { return value.exchange == exchange; }));
}

template <class Kind>
std::size_t count_layers(const Net& net) {
  return static_cast<std::size_t>(
      std::count_if(net.layers.begin(), net.layers.end(),
                    [](const Layer& layer) { return std::holds_alternative<Kind>(layer.spec); }));
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

// ---- what must hold of every sharded network -------------------------------------------------

// Values have the shapes that their layers yield from their inputs, parameters those they take.
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

// Segment by segment, in both directions: what a pass reads was written by an earlier one, and
// every layer with parameters gets its weight gradient once.
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

// Each rank does 1 / ways of every product, the padded columns of the head included: 2 operations
// per position, column and width.
void expect_products_are_split(const Net& full, const Net& sharded, std::int64_t ways,
                               double padded_head_flops) {
  const double expected = product_flops(full) + padded_head_flops;
  EXPECT_NEAR(product_flops(sharded) * static_cast<double>(ways), expected, 1e-12 * expected);
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

struct Case {
  std::string kind;
  std::int64_t ways;
  bool sequence_parallel;
};

class EveryShard : public testing::TestWithParam<Case> {};

TEST_P(EveryShard, IsSound) {
  const auto& [kind, ways, sequence_parallel] = GetParam();
  expect_sound(spec_of(kind), ways, sequence_parallel);
}

// Without sequence parallelism: a sum and a gradient sum around both parts of a decoder, the sum of
// the embedding's rows, the gradient sum before the head, and the loss. With it: gathers and
// scatters in the places of those, and the loss alone still summed.
TEST_P(EveryShard, ExchangesTwiceEachWayPerDecoder) {
  const auto& [kind, ways, sequence_parallel] = GetParam();
  const std::size_t layers = 3;
  const Net net = *shard(model(kind, {{"layers", {layers}}}), ways, sequence_parallel);
  EXPECT_EQ(count(net, Exchange::sum), sequence_parallel ? 1 : 2 * layers + 1 + 1);
  EXPECT_EQ(count(net, Exchange::sum_gradient), sequence_parallel ? 0 : 2 * layers + 1);
  EXPECT_EQ(count_layers<GatherRows>(net), sequence_parallel ? 2 * layers + 1 : 0);
  EXPECT_EQ(count_layers<ScatterRows>(net), sequence_parallel ? 2 * layers + 1 : 0);
  EXPECT_EQ(net.values[net.loss.index()].exchange, Exchange::sum);
}

// Dropping every unit leaves embedding and head with their exchanges, and the residual stream
// between them; what is held is untouched.
TEST_P(EveryShard, LosesUnitsLikeTheFullNetwork) {
  const auto& [kind, ways, sequence_parallel] = GetParam();
  const Net full = model(kind);
  const Net net = *shard(full, ways, sequence_parallel);
  ASSERT_EQ(net.units.size(), full.units.size());
  for (std::size_t drop = 0; drop <= net.units.size(); ++drop) {
    Subnetwork held = full_subnetwork(net);
    if (drop < net.units.size()) {
      held.holds[drop] = false;
    } else {
      held.holds.assign(net.units.size(), false);
    }
    const Net rest = restrict(net, held);
    std::size_t rows = 0;
    for (const Segment& segment : rest.segments)
      rows += segment.layers.size();
    std::size_t expected = 0;
    for (const Layer& layer : net.layers)
      expected += !layer.unit || held.holds[layer.unit->index()];
    EXPECT_EQ(rows, expected);
    for (const SegmentId s : segment_ids(rest)) {
      const Lowering backward = lower(rest, s, after(s), Pass::backward, 2, {});
      const bool empty = rest.segments[s.index()].layers.empty();
      EXPECT_TRUE(!empty || backward.steps.empty());
    }
  }
  // Two additions per decoder, each of them in a unit.
  std::size_t scaled = 0;
  for (const Layer& layer : scale_branches(net, 0.5).layers) {
    const auto* add = std::get_if<Add>(&layer.spec);
    scaled += add != nullptr && add->branch_scale == 0.5;
  }
  EXPECT_EQ(scaled, 2 * net.units.size());
}

// Ids of what was there before name the same things, so that plans can compare the two.
TEST_P(EveryShard, KeepsIds) {
  const auto& [kind, ways, sequence_parallel] = GetParam();
  const Net full = model(kind);
  const Net net = *shard(full, ways, sequence_parallel);
  for (std::size_t l = 0; l < full.layers.size(); ++l) {
    EXPECT_EQ(net.layers[l].name, full.layers[l].name);
    EXPECT_EQ(net.layers[l].unit, full.layers[l].unit);
    EXPECT_EQ(net.layers[l].parameters, full.layers[l].parameters);
    EXPECT_EQ(net.values[net.layers[l].output.index()].needs_gradient, true);
  }
  for (std::size_t p = 0; p < full.parameters.size(); ++p) {
    EXPECT_EQ(net.parameters[p].name, full.parameters[p].name);
    EXPECT_EQ(net.parameters[p].fan_in, full.parameters[p].fan_in);
    const Segment& segment = net.segments[net.parameters[p].segment.index()];
    const bool first_use =
        std::any_of(segment.layers.begin(), segment.layers.end(), [&](LayerId id) {
          const auto& used = net.layers[id.index()].parameters;
          return std::find(used.begin(), used.end(), ParameterId(p)) != used.end();
        });
    EXPECT_TRUE(first_use) << net.parameters[p].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Tensor, EveryShard,
                         testing::Values(Case{"gpt", 2, false}, Case{"gpt", 2, true},
                                         Case{"gpt", 4, false}, Case{"gpt", 4, true},
                                         Case{"llama", 2, false}, Case{"llama", 2, true},
                                         Case{"llama", 4, false}, Case{"llama", 4, true}),
                         [](const auto& info) {
                           return fmt::format("{}_{}{}", info.param.kind, info.param.ways,
                                              info.param.sequence_parallel ? "_sequence" : "");
                         });

// Between the split parts, on whole values; rows of them would need rows of the masks.
TEST(Shard, KeepsDropoutWholeAndRefusesItByRows) {
  const Net full = model("gpt", {{"dropout", {100'000}}});
  const Net net = *shard(full, 2, false);
  EXPECT_EQ(count_layers<Dropout>(net), 1u + 2 * 2);
  for (std::size_t l = 0; l < full.layers.size(); ++l) {
    if (!std::holds_alternative<Dropout>(full.layers[l].spec)) continue;
    EXPECT_TRUE(std::holds_alternative<Dropout>(net.layers[l].spec)) << "masks go by the number";
    EXPECT_EQ(net.layers[l].facts.output, full.layers[l].facts.output);
  }
  EXPECT_EQ(format(shard(full, 2, true).errors()),
            "error: sequence parallelism needs a dropout of 0, or other kernels than ours: the ranks' "
            "rows would not have the masks of the whole sequence\n");
  EXPECT_TRUE(shard(full, 1, true).ok());
}

// Heads, key heads, hidden widths and sequences are multiples of the ways by construction, the rest
// is arbitrary.
TEST(Shard, IsSoundOnRandomShapes) {
  Random random(11);
  const auto draw = [&](std::int64_t most) {
    return 1 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most)));
  };
  for (int round = 0; round < 60; ++round) {
    const std::int64_t ways = 1 + draw(7), kv_heads = ways * draw(3);
    const bool llama = random.below(2) == 0;
    const std::int64_t heads = llama ? kv_heads * draw(3) : kv_heads;
    Fields fields = {{"layers", {draw(3)}},
                     {"heads", {heads}},
                     {"width", {heads * 2 * draw(4)}},
                     {"sequence", {ways * draw(5)}},
                     {"vocabulary", {draw(300)}},
                     {"fused", {draw(2) - 1}}};
    fields.insert({{"tied", {draw(2) - 1}}, {"hidden", {ways * draw(20)}}});
    if (llama) {
      fields.insert({{"kv_heads", {kv_heads}},
                     {"head_size", {2 * (draw(4) - 1)}},
                     {"qkv_bias", {draw(2) - 1}},
                     {"projection_bias", {draw(2) - 1}},
                     {"hidden_bias", {draw(2) - 1}}});
    } else {
      const auto activation = draw(static_cast<std::int64_t>(activations().size())) - 1;
      fields.insert({{"rotary", {2 * (draw(2) - 1)}},
                     {"parallel", {draw(2) - 1}},
                     {"activation", {activation}}});
    }
    SCOPED_TRACE(fmt::format("round {}", round));
    expect_sound({llama ? "llama" : "gpt", fields}, ways, random.below(2) == 0);
  }
}

TEST(Shard, OneWayIsTheNetworkItself) {
  for (const bool sequence_parallel : {false, true}) {
    const Net full = model("gpt");
    const Net net = *shard(full, 1, sequence_parallel);
    EXPECT_EQ(net.layers.size(), full.layers.size());
    ASSERT_EQ(net.segments.size(), full.segments.size());
    for (std::size_t s = 0; s < net.segments.size(); ++s) {
      EXPECT_EQ(net.segments[s].name, full.segments[s].name);
      EXPECT_EQ(net.segments[s].layers, full.segments[s].layers);
    }
    EXPECT_EQ(count(net, Exchange::none), net.values.size());
    for (const Parameter& parameter : net.parameters)
      EXPECT_EQ(parameter.spread, Spread::replicated);
    EXPECT_EQ(parameter_count(net), parameter_count(full));
  }
}

// ---- where a decoder is cut ------------------------------------------------------------------

// "attention.in: norm1", a line for each segment of the block, without the block's name.
std::vector<std::string> outline(const Net& net, const std::string& block) {
  std::vector<std::string> lines;
  for (const Segment& segment : net.segments) {
    if (net.blocks[segment.block.index()].name != block) continue;
    std::string line = segment.name.substr(block.size() + 1) + ":";
    for (const LayerId id : segment.layers)
      line += " " + net.layers[id.index()].name.substr(block.size() + 1);
    lines.push_back(line);
  }
  return lines;
}

TEST(Cuts, StandWhereRanksExchange) {
  const Net gpt = *shard(model("gpt"), 2, false);
  EXPECT_EQ(outline(gpt, "embedding"),
            (std::vector<std::string>{"embedding: token", "embedding.out: position"}));
  EXPECT_EQ(outline(gpt, "decoder1"),
            (std::vector<std::string>{"attention.in: norm1", "attention: qkv attention projection",
                                      "ffn.in: add1 norm2", "ffn: up gelu down", "ffn.out: add2"}));
  EXPECT_EQ(outline(gpt, "head"), (std::vector<std::string>{"head.in: norm", "head: linear loss"}));
  const Net llama = *shard(model("llama"), 2, false);
  EXPECT_EQ(outline(llama, "embedding"), (std::vector<std::string>{"embedding: token"}));
  EXPECT_EQ(outline(llama, "decoder2"),
            (std::vector<std::string>{
                "attention.in: norm1", "attention: qkv rotary attention projection",
                "ffn.in: add1 norm2", "ffn: gate up swiglu down", "ffn.out: add2"}));
}

TEST(Cuts, HaveCollectivesOfTheirOwnWithSequenceParallelism) {
  const Net gpt = *shard(model("gpt"), 2, true);
  EXPECT_EQ(outline(gpt, "embedding"),
            (std::vector<std::string>{"embedding: token", "embedding.scatter: embedding.scatter",
                                      "embedding.out: position"}));
  EXPECT_EQ(outline(gpt, "decoder1"),
            (std::vector<std::string>{"attention.in: norm1", "attention.gather: attention.gather",
                                      "attention: qkv attention projection",
                                      "attention.scatter: attention.scatter", "ffn.in: add1 norm2",
                                      "ffn.gather: ffn.gather", "ffn: up gelu down",
                                      "ffn.scatter: ffn.scatter", "ffn.out: add2"}));
  EXPECT_EQ(outline(gpt, "head"), (std::vector<std::string>{"head.in: norm",
                                                            "head.gather: "
                                                            "head.gather",
                                                            "head: linear loss"}));
}

// Two parts with nothing between them, in one segment of the full network: the rows are handed out
// and gathered again, since the second part's input is a value that others may read.
TEST(Cuts, StandBetweenPartsThatTouch) {
  NetBuilder builder("touching", {{8}}, ValueType::index, {{8}});
  builder.begin_block("all");
  builder.begin_segment("all");
  ValueId x = builder.add("token", Embedding{10, 16}, {builder.input()});
  x = builder.add("qkv", Linear{16, 48, false}, {x});
  x = builder.add("attention", Attention{2, 2, 8, true, true}, {x});
  x = builder.add("projection", Linear{16, 16, false}, {x});
  x = builder.add("head", Linear{16, 10, false}, {x});
  const Net full = builder.finish(builder.add("loss", CrossEntropy{10}, {x, builder.labels()}));
  const Net net = *shard(full, 2, true);
  EXPECT_EQ(
      outline(net, "all"),
      (std::vector<std::string>{"all: token", "all.scatter: all.scatter", "all.gather: all.gather",
                                "all: qkv attention projection", "all.scatter: all.scatter",
                                "all.gather: all.gather", "all: head loss"}));
  expect_shapes_fit(net);
  expect_every_segment_lowers(net);
}

TEST(Spread, FollowsWhoComputesTheGradient) {
  for (const bool sequence_parallel : {false, true}) {
    const Net net = *shard(model("gpt"), 2, sequence_parallel);
    const auto spread = [&](const std::string& layer, std::size_t parameter) {
      return net.parameters[layer_named(net, layer).parameters[parameter].index()].spread;
    };
    // On all rows every rank finds the same gradient, on its own rows a term of it.
    const Spread whole = sequence_parallel ? Spread::partial : Spread::replicated;
    EXPECT_EQ(spread("decoder1.norm1", 0), whole);
    EXPECT_EQ(spread("decoder1.norm2", 1), whole);
    EXPECT_EQ(spread("embedding.position", 0), whole);
    EXPECT_EQ(spread("decoder1.projection", 1), whole);
    EXPECT_EQ(spread("decoder1.down", 1), whole);
    EXPECT_EQ(spread("decoder1.qkv", 0), Spread::sliced);
    EXPECT_EQ(spread("decoder1.qkv", 1), Spread::sliced);
    EXPECT_EQ(spread("decoder1.projection", 0), Spread::sliced);
    EXPECT_EQ(spread("embedding.token", 0), Spread::sliced);
    // The head shares the table.
    EXPECT_EQ(layer_named(net, "head.linear").parameters,
              layer_named(net, "embedding.token").parameters);
  }
}

// ---- memory ----------------------------------------------------------------------------------

// Bytes that wait for the backward pass of a decoder: what its segments save, and the boundary
// values their backward passes read, each once. Gathered rows are not kept but gathered again.
std::int64_t kept_bytes(const Net& net, BlockId block, std::int64_t samples,
                        const ElementSizes& sizes) {
  std::int64_t bytes = 0;
  std::set<ValueId> boundaries;
  for (const SegmentId s : net.blocks[block.index()].segments) {
    const Lowering backward = lower(net, s, after(s), Pass::backward, samples, sizes);
    bytes += backward.saved.bytes();
    for (const ValueId value : backward.reads_values) {
      if (!is_gathered(net, value)) boundaries.insert(value);
    }
  }
  for (const ValueId value : boundaries)
    bytes += size_of(net, value, samples, sizes).bytes();
  return bytes;
}

struct Activations {
  static constexpr std::int64_t s = 256, b = 2, h = 64, a = 8;
  static constexpr ElementSizes kHalf{2, 2};
  static Net full(const std::string& kind, std::int64_t fused) {
    return model(kind, {{"sequence", {s}}, {"width", {h}}, {"heads", {a}}, {"fused", {fused}}});
  }
};

// Korthikanti et al., table 2: s b h (10 + 24 / t + 5 a s / (h t)) bytes without and
// s b h (34 + 5 a s / h) / t with sequence parallelism. Of these this project has no dropout: off
// go both block masks (2 of the 10, s b h each) and of 5 a s / h the mask (1) and the output of
// the dropped-out probabilities (2): 2 a s / h is left, the probabilities. The rest, in tensors of
// 2 s b h bytes: norm1's input, qkv's input, norm2's input, up's input: 4, the paper's 8 of 10;
// q, k and v 3, the projection's input 1, GELU's input 4, down's input 4: 12, the paper's 24.
// Added are the norms' statistics, which the paper leaves out: 2 norms of 2 numbers per row.
TEST(Memory, OfADecoderIsThePublishedFormulaWithoutDropout) {
  constexpr auto s = Activations::s, b = Activations::b, h = Activations::h, a = Activations::a;
  const Net full = Activations::full("gpt", 0);
  for (const std::int64_t t : {1, 2, 4}) {
    const std::int64_t between = 8 * s * b * h + 2 * 2 * 2 * s * b;
    const std::int64_t split = (24 * s * b * h + 2 * a * s * s * b) / t;
    const Net plain = *shard(full, t, false), rows = *shard(full, t, true);
    EXPECT_EQ(kept_bytes(plain, BlockId(1), b, Activations::kHalf), between + split);
    EXPECT_EQ(kept_bytes(rows, BlockId(1), b, Activations::kHalf), between / t + split);
  }
}

// LLaMA with the fused kernel, in elements per row: between the parts 4 h as above and one
// statistic per norm; split q, k and v (h + 2 kv_heads h / a), the projection's input h, gate, up
// and their product 3 x 96, and one log-sum-exp per head in place of the probabilities.
TEST(Memory, OfAFusedLlamaDecoderScalesAlike) {
  constexpr auto s = Activations::s, b = Activations::b, h = Activations::h, a = Activations::a;
  const Net full = Activations::full("llama", 1);
  for (const std::int64_t t : {1, 2, 4}) {
    const std::int64_t between = 2 * s * b * (4 * h + 2);
    const std::int64_t split = 2 * s * b * (h + 2 * 4 * (h / a) + h + 3 * 96 + a) / t;
    const Net plain = *shard(full, t, false), rows = *shard(full, t, true);
    EXPECT_EQ(kept_bytes(plain, BlockId(1), b, Activations::kHalf), between + split);
    EXPECT_EQ(kept_bytes(rows, BlockId(1), b, Activations::kHalf), between / t + split);
  }
}

// ---- what cannot be split --------------------------------------------------------------------

std::string refusal(const Net& net, std::int64_t ways, bool sequence_parallel = false) {
  const Result<Net> result = shard(net, ways, sequence_parallel);
  return result.ok() ? "" : format(result.errors());
}

TEST(Shard, RefusesWhatDoesNotDivide) {
  // 8 heads, hidden 4 x 64 = 256 of a gpt; each complaint once, not once per decoder.
  EXPECT_EQ(refusal(model("gpt"), 3),
            "error: 8 heads do not divide into 3 ways of tensor parallelism\n"
            "error: hidden width 256 does not divide into 3 ways of tensor parallelism\n");
  EXPECT_EQ(refusal(model("llama"), 8),
            "error: 4 kv_heads do not divide into 8 ways of tensor parallelism\n");
  EXPECT_EQ(refusal(model("llama", {{"hidden", {97}}}), 2),
            "error: hidden width 97 does not divide into 2 ways of tensor parallelism\n");
  EXPECT_EQ(refusal(model("gpt", {{"sequence", {15}}}), 2, true),
            "error: sequence 15 does not divide into 2 ways of sequence parallelism\n");
  EXPECT_EQ(refusal(model("gpt", {{"sequence", {15}}}), 2, false), "");
  EXPECT_EQ(refusal(model("gpt"), 0), "error: tensor parallelism has at least 1 way, got 0\n");
}

TEST(Shard, RefusesNetworksWithoutDecoders) {
  for (const std::string kind : {"mlp", "resnet18", "resnet20"}) {
    const Net net = *build_net({kind, {{"image", {8, 8, 1}}, {"classes", {10}}}});
    EXPECT_EQ(
        refusal(net, 2),
        fmt::format("error: tensor parallelism splits transformer decoders, network '{}' is none\n",
                    kind));
    EXPECT_EQ(refusal(net, 1), "");
  }
}

}  // namespace
}  // namespace rehearse
