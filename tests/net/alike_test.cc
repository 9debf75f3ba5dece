#include "model/net/alike.h"

#include <gtest/gtest.h>

#include <numeric>

#include "model/net/lowering.h"
#include "model/net/model_spec.h"
#include "model/net/tensor.h"

namespace rehearse {
namespace {

Net gpt(std::int64_t layers, bool tied = false) {
  return build_net({"gpt",
                    {{"layers", {layers}},
                     {"width", {32}},
                     {"heads", {4}},
                     {"vocabulary", {64}},
                     {"sequence", {16}},
                     {"positions", {16}},
                     {"tied", {tied ? 1 : 0}}}})
      .value();
}

// Transformer blocks are alike, what stands before and after them is not.
TEST(AlikeBlocks, AreTheLayersOfATransformer) {
  for (const std::int64_t ways : {1, 2}) {
    const Net whole = gpt(5);
    const Net net = ways == 1 ? whole : shard(whole, ways, true).value();
    const std::vector<std::size_t> alike = alike_blocks(net);
    const BlockRun run = longest_run(alike);
    EXPECT_EQ(run.size(), 5U);
    for (std::size_t b = 0; b < alike.size(); ++b)
      EXPECT_EQ(alike[b], run.begin <= b && b < run.end ? run.begin : b);
  }
}

TEST(AlikeBlocks, OfAResidualNetworkDifferInWidth) {
  const Net net = build_net({"resnet20", {{"image", {28, 28, 1}}, {"classes", {10}}}}).value();
  const std::vector<std::size_t> alike = alike_blocks(net);
  const BlockRun run = longest_run(alike);
  EXPECT_LT(run.size(), 4U) << "three blocks of each width, the first of some with a stride";
}

// A network with blocks taken out is the one that was built without them.
TEST(WithoutBlocks, IsTheShorterNetwork) {
  const Net longer = gpt(7), shorter = gpt(3);
  const BlockRun run = longest_run(alike_blocks(longer));
  const Net cut = without_blocks(longer, run.begin + 2, run.begin + 6);
  ASSERT_EQ(cut.blocks.size(), shorter.blocks.size());
  ASSERT_EQ(cut.segments.size(), shorter.segments.size());
  const auto lowered = [](const Net& net, Pass pass, std::size_t begin, std::size_t end) {
    return lower(net, SegmentId(begin), SegmentId(end), pass, 2, {4, 4});
  };
  for (const Pass pass : {Pass::forward, Pass::backward, Pass::backward_input}) {
    for (std::size_t begin = 0; begin < cut.segments.size(); ++begin) {
      const Lowering a = lowered(cut, pass, begin, cut.segments.size());
      const Lowering b = lowered(shorter, pass, begin, cut.segments.size());
      EXPECT_EQ(a.saved, b.saved);
      EXPECT_EQ(a.scratch, b.scratch);
      EXPECT_EQ(a.steps.size(), b.steps.size());
      EXPECT_EQ(a.reads_values.size(), b.reads_values.size());
    }
  }
  const auto elements = [](const Net& net) {
    std::int64_t sum = 0;
    for (const ParameterId id : parameters_of(net, SegmentId(0), end_segment(net)))
      sum += net.parameters[id.index()].shape.elements();
    return sum;
  };
  EXPECT_EQ(elements(cut), elements(shorter));
}

}  // namespace
}  // namespace rehearse
