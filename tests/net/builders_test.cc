#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "model/net/model_spec.h"

namespace rehearse {
namespace {

Net build(ModelSpec spec) {
  Result<Net> net = build_net(spec);
  EXPECT_TRUE(net.ok()) << (net.ok() ? "" : format(net.errors()));
  return std::move(net).value();
}

// The numbers that the networks' papers and common implementations agree on.
TEST(Builders, ParameterCountsAreExact) {
  EXPECT_EQ(parameter_count(build({"resnet18", {{"image", {32, 32, 3}}, {"classes", {10}}}})),
            11'173'962);
  EXPECT_EQ(parameter_count(build({"resnet20", {{"image", {28, 28, 1}}, {"classes", {10}}}})),
            272'186);
  const std::map<std::string, std::vector<std::int64_t>> imagenet = {{"image", {224, 224, 3}},
                                                                     {"classes", {1000}}};
  EXPECT_EQ(parameter_count(build({"resnet18", imagenet})), 11'689'512);
  EXPECT_EQ(parameter_count(build({"resnet50", imagenet})), 25'557'032);
  EXPECT_EQ(parameter_count(build({"vit", imagenet})), 86'567'656);
  EXPECT_EQ(parameter_count(build({"gpt", {}})), 124'439'808);
  // 134.1M; by hand: 2 * 32000 * 768 + 12 (4 * 768^2 + 3 * 768 * 2048 + 2 * 768) + 768.
  EXPECT_EQ(parameter_count(build({"llama", {}})),
            2 * 32000 * 768 + 12 * (4 * 768 * 768 + 3 * 768 * 2048 + 2 * 768) + 768);
  // 784 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10
  EXPECT_EQ(parameter_count(build({"mlp", {{"image", {28, 28, 1}}, {"classes", {10}}}})), 269'322);
}

// Main branches of ResNet-18, as the published table of blocks has them.
TEST(Builders, ResNet18UnitsHaveThePublishedSizes) {
  const Net net = build({"resnet18", {{"image", {32, 32, 3}}, {"classes", {10}}}});
  std::vector<std::int64_t> sizes(net.units.size());
  for (const Parameter& p : net.parameters) {
    if (p.unit) sizes[p.unit->index()] += p.shape.elements();
  }
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{73'984, 73'984, 221'696, 295'424, 885'760, 1'180'672,
                                              3'540'992, 4'720'640}));
}

TEST(Builders, ResNet20ConvolutionsCostWhatTheyShould) {
  const Net net = build({"resnet20", {{"image", {28, 28, 1}}, {"classes", {10}}}});
  // Products only: the stem 2*9*16 per pixel; stage 1 six convolutions 16->16 at 28x28; stage 2
  // 16->32 and five 32->32 at 14x14 and a projection; stage 3 likewise at 7x7; the head 2*640.
  const double stem = 2.0 * 9 * 16 * 784, one = 6 * 2.0 * 9 * 16 * 16 * 784;
  const double two = 2.0 * 196 * (9 * 16 * 32 + 5 * 9 * 32 * 32 + 16 * 32);
  const double three = 2.0 * 49 * (9 * 32 * 64 + 5 * 9 * 64 * 64 + 32 * 64);
  double products = 0;
  for (const Layer& layer : net.layers) {
    if (layer.facts.kernel == KernelClass::convolution ||
        layer.facts.kernel == KernelClass::matrix_product) {
      products += layer.facts.forward.per_sample.flops();
    }
  }
  EXPECT_DOUBLE_EQ(products, stem + one + two + three + 2.0 * 640);
}

// Every row builds from its defaults plus an image, and says so when a field is missing.
TEST(Builders, EveryKindBuildsAndNamesWhatIsMissing) {
  for (const ModelBuilder& row : model_builders()) {
    ModelSpec spec{std::string(row.kind), {}};
    for (const ModelField& field : row.fields) {
      if (!field.preset.empty()) continue;
      const Result<Net> missing = build_net(spec);
      ASSERT_FALSE(missing.ok());
      EXPECT_NE(format(missing.errors()).find(std::string(field.name)), std::string::npos);
      spec.fields[std::string(field.name)] = field.kind == FieldKind::image
                                                 ? std::vector<std::int64_t>{16, 16, 1}
                                                 : std::vector<std::int64_t>{10};
    }
    const Net net = build(spec);
    EXPECT_GE(net.blocks.size(), 2u) << row.kind;
    EXPECT_FALSE(row.help.empty());
  }
}

// By hand, one block of each: what a field adds to the parameters, or takes from them.
TEST(Builders, RelativesOfTransformersHaveTheirParameters) {
  using Fields = std::map<std::string, std::vector<std::int64_t>>;
  const auto adds = [](const std::string& kind, Fields common, const Fields& changes) {
    common["layers"] = {1};
    if (kind == "vit") common.insert({{"image", {32, 32, 3}}, {"classes", {10}}});
    const std::int64_t before = parameter_count(build({kind, common}));
    for (const auto& [name, value] : changes)
      common[name] = value;
    return parameter_count(build({kind, common})) - before;
  };
  // Width 768 in 12 heads, 2048 hidden; 32000 tokens.
  EXPECT_EQ(adds("llama", {}, {{"qkv_bias", {1}}}), 3 * 768);
  EXPECT_EQ(adds("llama", {{"kv_heads", {4}}}, {{"qkv_bias", {1}}}), 768 + 2 * 4 * 64);
  EXPECT_EQ(adds("llama", {}, {{"projection_bias", {1}}}), 768);
  EXPECT_EQ(adds("llama", {}, {{"hidden_bias", {1}}}), 2 * 2048 + 768);
  EXPECT_EQ(adds("llama", {}, {{"tied", {1}}}), -32'000 * 768);
  EXPECT_EQ(adds("llama", {}, {{"head_size", {32}}}), -4 * 768 * 384);
  EXPECT_EQ(adds("llama", {}, {{"rotary_base", {500'000}}}), 0);
  // Four times the width is the preset; 1024 positions.
  EXPECT_EQ(adds("gpt", {}, {{"hidden", {3072}}}), 0);
  EXPECT_EQ(adds("gpt", {}, {{"hidden", {1000}}}), (2 * 768 + 1) * (1000 - 3072));
  EXPECT_EQ(adds("gpt", {}, {{"rotary", {16}}}), -1024 * 768);
  EXPECT_EQ(adds("gpt", {}, {{"parallel", {1}}}), 0);
  EXPECT_EQ(adds("gpt", {}, {{"activation", {static_cast<std::int64_t>(Activation::relu)}}}), 0);
  EXPECT_EQ(adds("vit", {}, {{"qkv_bias", {0}}}), -3 * 768);
  EXPECT_EQ(adds("vit", {}, {{"hidden", {1000}}}), (2 * 768 + 1) * (1000 - 3072));
}

// Positions that are rotated need no table, so that a sequence may be longer than one.
TEST(Builders, RotatedPositionsHaveNoTable) {
  const Net net = build({"gpt", {{"layers", {1}}, {"rotary", {16}}, {"sequence", {2048}}}});
  for (const Layer& layer : net.layers)
    EXPECT_FALSE(std::holds_alternative<PositionEmbedding>(layer.spec));
  const auto rotates = [](const Layer& layer) {
    const auto* rotary = std::get_if<Rotary>(&layer.spec);
    return rotary != nullptr && rotary->rotated == 16 && rotary->head_size == 64;
  };
  EXPECT_EQ(std::count_if(net.layers.begin(), net.layers.end(), rotates), 1);
}

// The feed-forward part of a parallel block reads what its attention reads.
TEST(Builders, ParallelBranchesReadOneValue) {
  for (const std::int64_t parallel : {0, 1}) {
    const Net net = build({"gpt", {{"layers", {1}}, {"parallel", {parallel}}}});
    const auto input_of = [&](const std::string& name) {
      for (const Layer& layer : net.layers) {
        if (layer.name == "decoder1." + name) return layer.inputs[0];
      }
      return ValueId();
    };
    EXPECT_EQ(input_of("norm1") == input_of("norm2"), parallel == 1);
  }
}

// The plain kernel keeps heads x t^2 probabilities per sample, the fused one heads x t sums.
TEST(Builders, FusedAttentionIsAFieldOfTheDecoders) {
  for (const std::string kind : {"gpt", "llama"}) {
    for (const std::int64_t fused : {0, 1}) {
      const Net net = build({kind, {{"layers", {1}}, {"sequence", {32}}, {"fused", {fused}}}});
      std::int64_t kept = 0;
      for (const Layer& layer : net.layers) {
        if (!std::holds_alternative<Attention>(layer.spec)) continue;
        kept += layer.facts.auxiliaries.at(0).elements_per_sample;
      }
      EXPECT_EQ(kept, fused == 1 ? 12 * 32 : 12 * 32 * 32) << kind;
    }
  }
}

// Of larger images the stem sees every fourth pixel: ImageNet's 224 become 56, then 7 at the end.
TEST(Builders, TheStemFollowsTheImage) {
  const auto largest = [](std::int64_t size) {
    const Net net = build({"resnet50", {{"image", {size, size, 3}}, {"classes", {10}}}});
    for (const Layer& layer : net.layers) {
      if (layer.name == "stage1_block1.conv1")
        return net.values[layer.output.index()].shape.dims[0];
    }
    return std::int64_t{0};
  };
  EXPECT_EQ(largest(224), 56);
  EXPECT_EQ(largest(64), 64);
  const Net net = build({"resnet50", {{"image", {224, 224, 3}}, {"classes", {1000}}}});
  // 4.09 billion multiply-adds of products, as published tables of it say (4.1).
  double products = 0;
  for (const Layer& layer : net.layers) {
    if (layer.facts.kernel == KernelClass::convolution ||
        layer.facts.kernel == KernelClass::matrix_product)
      products += layer.facts.forward.per_sample.flops() / 2;
  }
  EXPECT_NEAR(products, 4.09e9, 0.01e9);
}

// Behind the embedding (MLPs: none) and in each of two blocks: on both branches, in vision
// transformers between the linear layers too, in MLPs behind the activation. None at a rate of 0.
TEST(Builders, DropoutStandsWhereThePapersHaveIt) {
  const std::map<std::string, std::int64_t> expected = {
      {"gpt", 1 + 2 * 2}, {"llama", 1 + 2 * 2}, {"vit", 1 + 2 * 3}, {"mlp", 2}};
  for (const auto& [kind, layers] : expected) {
    for (const std::int64_t rate : {0, 250'000}) {
      ModelSpec spec{kind, {{"dropout", {rate}}}};
      if (kind == "mlp" || kind == "vit")
        spec.fields.insert({{"image", {32, 32, 3}}, {"classes", {10}}});
      if (kind != "mlp") spec.fields["layers"] = {2};
      std::int64_t found = 0;
      for (const Layer& layer : build(spec).layers) {
        const auto* dropout = std::get_if<Dropout>(&layer.spec);
        if (dropout == nullptr) continue;
        EXPECT_EQ(dropout->rate, 0.25);
        ++found;
      }
      EXPECT_EQ(found, rate == 0 ? 0 : layers) << kind;
    }
  }
}

// The loss is the only layer that differs, and it is found by its classes.
TEST(Builders, ClassifiersTakeAnotherLoss) {
  for (const std::string kind : {"mlp", "resnet18", "resnet20", "resnet50", "vit"}) {
    ModelSpec spec{kind, {{"image", {32, 32, 3}}, {"classes", {10}}}};
    const Net entropy = build(spec);
    spec.fields["loss"] = {static_cast<std::int64_t>(Loss::squared_error)};
    const Net squared = build(spec);
    ASSERT_EQ(squared.layers.size(), entropy.layers.size());
    EXPECT_EQ(kind_name(entropy.layers.back().spec), "cross_entropy") << kind;
    EXPECT_EQ(kind_name(squared.layers.back().spec), "squared_error") << kind;
    for (std::size_t l = 0; l < squared.layers.size(); ++l) {
      const bool is_last = l + 1 == squared.layers.size();
      const LayerSpec& layer = squared.layers[l].spec;
      EXPECT_EQ(classes_of_loss(layer), is_last ? std::optional<std::int64_t>(10) : std::nullopt);
      if (!is_last) {
        EXPECT_EQ(kind_name(layer), kind_name(entropy.layers[l].spec));
      }
    }
  }
}

TEST(Builders, RefuseWhatDoesNotFit) {
  EXPECT_EQ(format(build_net({"gpt", {{"width", {100}}, {"heads", {12}}}}).errors()),
            "error: width 100 does not divide into 12 heads\n");
  EXPECT_EQ(format(build_net({"gpt", {{"sequence", {4096}}}}).errors()),
            "error: sequence 4096 is longer than the 1024 positions\n");
  EXPECT_EQ(format(build_net({"vit", {{"image", {30, 32, 3}}, {"classes", {10}}}}).errors()),
            "error: an image of 30x32x3 does not divide into patches of 16\n");
  EXPECT_EQ(format(build_net({"gpt", {{"rotary", {66}}}}).errors()),
            "error: 66 channels of a head of 64 are rotated\n");
  EXPECT_EQ(format(build_net({"gpt", {{"rotary", {15}}}}).errors()),
            "error: channels are rotated in pairs, not 15 of a head\n");
  EXPECT_EQ(format(build_net({"llama", {{"head_size", {7}}}}).errors()),
            "error: channels are rotated in pairs, not 7 of a head\n");
  EXPECT_EQ(
      format(build_net({"llama", {{"heads", {128}}, {"kv_heads", {1}}, {"head_size", {16384}}}})
                 .errors()),
      "error: 128 heads of 16384 channels are more than 1048576 channels\n");
  EXPECT_EQ(format(build_net({"gpt", {{"hidden", {-1}}}}).errors()),
            "error: field 'hidden' expects a count, or 0\n");
  EXPECT_EQ(format(build_net({"gpt", {{"activation", {4}}}}).errors()),
            "error: field 'activation' expects gelu-tanh, gelu, quick-gelu or relu\n");
  EXPECT_EQ(format(build_net({"gpt", {{"depth", {3}}}}).errors()),
            "error: model kind 'gpt' has no field 'depth'\n");
  EXPECT_EQ(format(build_net({"gpt", {{"dropout", {kMillionths}}}}).errors()),
            "error: field 'dropout' expects a share such as 0.1: at least 0, below 1, no more than "
            "six decimals\n");
  EXPECT_EQ(
      format(build_net({"mlp", {{"image", {4, 4, 1}}, {"classes", {2}}, {"loss", {2}}}}).errors()),
      "error: field 'loss' expects cross-entropy or squared-error\n");
}

TEST(Builders, FieldsReadBackAsPrinted) {
  EXPECT_EQ(print_field(FieldKind::image, {28, 28, 1}), "28x28x1");
  EXPECT_EQ(parse_field(FieldKind::image, "28x28x1"), (std::vector<std::int64_t>{28, 28, 1}));
  EXPECT_EQ(parse_field(FieldKind::image, "28x28"), std::nullopt);
  EXPECT_EQ(parse_field(FieldKind::count, "0"), std::nullopt);
  EXPECT_EQ(parse_field(FieldKind::yes_no, "yes"), std::nullopt);
  EXPECT_EQ(print_field(FieldKind::share, {100'000}), "0.1");
  EXPECT_EQ(parse_field(FieldKind::share, "0.1"), (std::vector<std::int64_t>{100'000}));
  EXPECT_EQ(parse_field(FieldKind::share, "0"), (std::vector<std::int64_t>{0}));
  for (const char* wrong : {"1", "-0.1", "0.1234567", "0.1x", "", "10%", "nan"})
    EXPECT_EQ(parse_field(FieldKind::share, wrong), std::nullopt) << wrong;
}

TEST(Builders, EveryLossReadsBack) {
  for (const Loss loss : losses()) {
    const std::vector<std::int64_t> value{static_cast<std::int64_t>(loss)};
    EXPECT_EQ(print_field(FieldKind::loss, value), to_string(loss));
    EXPECT_EQ(parse_field(FieldKind::loss, to_string(loss)), value);
  }
  for (const char* wrong : {"", "squared_error", "squared-error ", "0", "mse"})
    EXPECT_EQ(parse_field(FieldKind::loss, wrong), std::nullopt) << wrong;
}

TEST(Builders, EveryActivationReadsBack) {
  for (const Activation activation : activations()) {
    const std::vector<std::int64_t> value{static_cast<std::int64_t>(activation)};
    EXPECT_EQ(print_field(FieldKind::activation, value), to_string(activation));
    EXPECT_EQ(parse_field(FieldKind::activation, to_string(activation)), value);
  }
  for (const char* wrong : {"", "silu", "GELU-tanh", "0"})
    EXPECT_EQ(parse_field(FieldKind::activation, wrong), std::nullopt) << wrong;
  EXPECT_EQ(parse_field(FieldKind::count_or_none, "0"), std::vector<std::int64_t>{0});
  EXPECT_EQ(parse_field(FieldKind::count_or_none, "-1"), std::nullopt);
}

TEST(Builders, EveryShareReadsBack) {
  for (std::int64_t millionths = 0; millionths < kMillionths; millionths += 37) {
    const std::vector<std::int64_t> value{millionths};
    EXPECT_EQ(parse_field(FieldKind::share, print_field(FieldKind::share, value)), value);
  }
}

}  // namespace
}  // namespace rehearse
