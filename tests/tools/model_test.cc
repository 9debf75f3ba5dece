// What `rehearse model` says of a network adds up to what plans are made of.
#include "tools/summary/model.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/base/random.h"

namespace rehearse {
namespace {

using Json = nlohmann::json;
using Fields = std::map<std::string, std::vector<std::int64_t>>;

ModelSpec spec_of(const std::string& kind, const Fields& changes = {}) {
  ModelSpec spec{kind, changes};
  if (kind != "gpt" && kind != "llama")
    spec.fields.insert({{"image", {32, 32, 3}}, {"classes", {10}}});
  return *resolve(spec);
}

std::vector<ModelSpec> specs() {
  return {spec_of("gpt", {{"layers", {3}}, {"sequence", {20}}, {"dropout", {100'000}}}),
          spec_of("gpt", {{"layers", {2}}, {"rotary", {16}}, {"parallel", {1}}, {"fused", {0}}}),
          spec_of("llama", {{"layers", {2}}, {"sequence", {7}}, {"tied", {1}}}),
          spec_of("mlp"),
          spec_of("resnet18"),
          spec_of("resnet20"),
          spec_of("resnet50"),
          spec_of("vit", {{"layers", {2}}})};
}

// What segments keep is what one op of the whole network keeps, byte for byte.
TEST(ModelSummary, SavesWhatAPlanOfOneOpSaves) {
  Random random(5);
  for (const ModelSpec& spec : specs()) {
    for (const ElementSizes sizes : {ElementSizes{4, 4}, ElementSizes{2, 4}, ElementSizes{8, 8}}) {
      const auto samples = 1 + static_cast<std::int64_t>(random.below(9));
      const ModelSummary summary = summarize_model(spec, {samples, "", sizes});
      const Lowering forward =
          lower(summary.net, SegmentId(0), end_segment(summary.net), Pass::forward, samples, sizes);
      EXPECT_EQ(summary.total().saved, forward.saved) << spec.kind << " " << samples;
    }
  }
}

TEST(ModelSummary, SegmentsAddUp) {
  for (const ModelSpec& spec : specs()) {
    const ModelSummary summary = summarize_model(spec, {});
    EXPECT_EQ(summary.total().parameters, parameter_count(summary.net)) << spec.kind;
    double flops = 0;
    for (const SegmentSummary& segment : summary.segments)
      flops += segment.flops.total().flops();
    EXPECT_NEAR(flops, flops_of(summary.net, 1).total().flops(), 1e-9 * flops) << spec.kind;
  }
}

// Of a decoder everything is its unit's: twelve times the width squared, and thirteen widths.
TEST(ModelSummary, UnitsHaveTheParametersOfTheirBlocks) {
  const ModelSummary summary = summarize_model(spec_of("gpt", {{"layers", {2}}}), {});
  ASSERT_EQ(summary.unit_parameters.size(), 2u);
  EXPECT_EQ(summary.unit_parameters[0], 12 * 768 * 768 + 13 * 768);
}

// Twelve decoders are two rows; one that differs from the others would be a row of its own.
TEST(ModelSummary, FoldsBlocksThatAreAlike) {
  const std::string table = print_table(summarize_model(spec_of("gpt"), {})).plain();
  EXPECT_NE(table.find("decoder1-12.attention, each "), std::string::npos) << table;
  EXPECT_EQ(table.find("decoder2"), std::string::npos) << table;
  const std::string resnet = print_table(summarize_model(spec_of("resnet20"), {})).plain();
  EXPECT_NE(resnet.find("stage2_block1.conv1 "), std::string::npos) << resnet;
  EXPECT_NE(resnet.find("stage2_block2-3.conv1, each "), std::string::npos) << resnet;
}

TEST(ModelSummary, PrintsTheSameNumbersAsJson) {
  for (const ModelSpec& spec : specs()) {
    const ModelSummary summary = summarize_model(spec, {3, "fp32", {}});
    const Json json = Json::parse(print_json(summary));
    EXPECT_EQ(json["kind"], spec.kind);
    EXPECT_EQ(json["parameters"], parameter_count(summary.net));
    EXPECT_EQ(json["micro_batch"]["samples"], 3);
    EXPECT_EQ(json["saved_bytes"], summary.total().saved.bytes());
    EXPECT_EQ(json["units"].size(), summary.net.units.size());
    EXPECT_EQ(json["widths"].size(), inner_widths(summary.net).size());
    EXPECT_EQ(json["fields"].size(), spec.fields.size());
    std::int64_t parameters = 0, saved = 0;
    std::size_t segment = 0;
    for (const Json& block : json["blocks"]) {
      for (const Json& part : block["segments"]) {
        EXPECT_EQ(part["name"], summary.net.segments[segment].name);
        EXPECT_EQ(part["layers"].size(), summary.net.segments[segment].layers.size());
        parameters += part["parameters"].get<std::int64_t>();
        saved += part["saved_bytes"].get<std::int64_t>();
        ++segment;
      }
    }
    EXPECT_EQ(segment, summary.net.segments.size());
    EXPECT_EQ(parameters, json["parameters"]);
    EXPECT_EQ(saved, json["saved_bytes"]);
  }
}

}  // namespace
}  // namespace rehearse
