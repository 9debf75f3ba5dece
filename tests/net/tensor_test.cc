#include "model/net/tensor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/base/random.h"
#include "model/net/lowering.h"
#include "tests/net/sharded_net.h"

namespace rehearse {
namespace {

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

struct Case {
  std::string kind;
  std::int64_t ways;
  bool sequence_parallel;
};

class EveryShard : public ::testing::TestWithParam<Case> {};

TEST_P(EveryShard, IsSound) {
  const auto& [kind, ways, sequence_parallel] = GetParam();
  testing::expect_sound(testing::transformer_spec(kind), ways, sequence_parallel);
}

// Without sequence parallelism: a sum and a gradient sum around both parts of a decoder, the sum of
// the embedding's rows, the gradient sum before the head, and the loss. With it: gathers and
// scatters in the places of those, and the loss alone still summed.
TEST_P(EveryShard, ExchangesTwiceEachWayPerDecoder) {
  const auto& [kind, ways, sequence_parallel] = GetParam();
  const std::size_t layers = 3;
  const Net net =
      *shard(testing::transformer(kind, {{"layers", {layers}}}), ways, sequence_parallel);
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
  const Net full = testing::transformer(kind);
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
    for (const SegmentId s : testing::segment_ids(rest)) {
      const Lowering backward = lower(rest, s, testing::after(s), Pass::backward, 2, {});
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
  const Net full = testing::transformer(kind);
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
                         ::testing::Values(Case{"gpt", 2, false}, Case{"gpt", 2, true},
                                           Case{"gpt", 4, false}, Case{"gpt", 4, true},
                                           Case{"llama", 2, false}, Case{"llama", 2, true},
                                           Case{"llama", 4, false}, Case{"llama", 4, true}),
                         [](const auto& info) {
                           return fmt::format("{}_{}{}", info.param.kind, info.param.ways,
                                              info.param.sequence_parallel ? "_sequence" : "");
                         });

// Between the split parts, on whole values; rows of them would need rows of the masks.
TEST(Shard, KeepsDropoutWholeAndRefusesItByRows) {
  const Net full = testing::transformer("gpt", {{"dropout", {100'000}}});
  const Net net = *shard(full, 2, false);
  EXPECT_EQ(count_layers<Dropout>(net), 1u + 2 * 2);
  for (std::size_t l = 0; l < full.layers.size(); ++l) {
    if (!std::holds_alternative<Dropout>(full.layers[l].spec)) continue;
    EXPECT_TRUE(std::holds_alternative<Dropout>(net.layers[l].spec)) << "masks go by the number";
    EXPECT_EQ(net.layers[l].facts.output, full.layers[l].facts.output);
  }
  EXPECT_EQ(
      format(shard(full, 2, true).errors()),
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
    testing::Fields fields = {{"layers", {draw(3)}},
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
    testing::expect_sound({llama ? "llama" : "gpt", fields}, ways, random.below(2) == 0);
  }
}

TEST(Shard, OneWayIsTheNetworkItself) {
  for (const bool sequence_parallel : {false, true}) {
    const Net full = testing::transformer("gpt");
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

// ---- what cannot be split --------------------------------------------------------------------

std::string refusal(const Net& net, std::int64_t ways, bool sequence_parallel = false) {
  const Result<Net> result = shard(net, ways, sequence_parallel);
  return result.ok() ? "" : format(result.errors());
}

TEST(Shard, RefusesWhatDoesNotDivide) {
  // 8 heads, hidden 4 x 64 = 256 of a gpt; each complaint once, not once per decoder.
  EXPECT_EQ(refusal(testing::transformer("gpt"), 3),
            "error: 8 heads do not divide into 3 ways of tensor parallelism\n"
            "error: hidden width 256 does not divide into 3 ways of tensor parallelism\n");
  EXPECT_EQ(refusal(testing::transformer("llama"), 8),
            "error: 4 kv_heads do not divide into 8 ways of tensor parallelism\n");
  EXPECT_EQ(refusal(testing::transformer("llama", {{"hidden", {97}}}), 2),
            "error: hidden width 97 does not divide into 2 ways of tensor parallelism\n");
  EXPECT_EQ(refusal(testing::transformer("gpt", {{"sequence", {15}}}), 2, true),
            "error: sequence 15 does not divide into 2 ways of sequence parallelism\n");
  EXPECT_EQ(refusal(testing::transformer("gpt", {{"sequence", {15}}}), 2, false), "");
  EXPECT_EQ(refusal(testing::transformer("gpt"), 0),
            "error: tensor parallelism has at least 1 way, got 0\n");
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
