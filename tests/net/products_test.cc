// What kernels multiply, against the FLOPs and bytes that their layers state.
#include <gtest/gtest.h>

#include "model/net/lowering.h"
#include "model/net/model_spec.h"

namespace rehearse {
namespace {

Net gpt(std::int64_t fused) {
  return *build_net({"gpt",
                     {{"layers", {2}},
                      {"width", {24}},
                      {"heads", {3}},
                      {"sequence", {256}},
                      {"positions", {256}},
                      {"vocabulary", {50}},
                      {"fused", {fused}}}});
}

struct Multiplied {
  const Layer* layer;
  KernelKind kind;
  StepWork work;
  Flops flops() const {
    Flops sum;
    for (const Product& product : work.products)
      sum += product.flops();
    return sum;
  }
};

std::vector<Multiplied> multiplied(const Net& net, std::int64_t samples) {
  std::vector<Multiplied> all;
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    const Lowering lowering =
        lower(net, SegmentId(0), end_segment(net), pass, samples, ElementSizes{});
    for (const KernelStep& step : lowering.steps) {
      const StepWork work = work_of(net, step, samples, {});
      if (!work.products.empty()) all.push_back({&net.layers[step.layer.index()], step.kind, work});
    }
  }
  return all;
}

TEST(Products, OfLinearLayersAreTheirFlopsAndBytes) {
  const std::int64_t samples = 3;
  std::size_t seen = 0;
  for (const Multiplied& one : multiplied(gpt(0), samples)) {
    if (!std::holds_alternative<Linear>(one.layer->spec)) continue;
    ++seen;
    EXPECT_DOUBLE_EQ(one.flops().flops(), one.work.flops.flops());
    ASSERT_EQ(one.work.products.size(), 1u);
    const Product& product = one.work.products[0];
    // A gradient of weights is written to what is there: read once more.
    const Bytes sum =
        one.kind == KernelKind::backward_weight ? Bytes::bytes(4 * product.m * product.n) : Bytes{};
    EXPECT_EQ(product.traffic, one.work.traffic + sum);
  }
  EXPECT_EQ(seen, 3u * (2 * 4 + 1));  // forward and both gradients of four per block, and the head
}

TEST(Products, OfPlainAttentionAreItsFlops) {
  std::size_t seen = 0;
  for (const Multiplied& one : multiplied(gpt(0), 3)) {
    if (!std::holds_alternative<Attention>(one.layer->spec)) continue;
    ++seen;
    EXPECT_DOUBLE_EQ(one.flops().flops(), one.work.flops.flops());
    for (const Product& product : one.work.products)
      EXPECT_EQ(product.count, 3 * 3);  // heads of samples
  }
  EXPECT_EQ(seen, 4u);
}

// Of 256 queries in blocks of 128 the first sees one block of keys, the second both: 3 of 4.
TEST(Products, OfFusedAttentionAreWhatACausalMaskLeaves) {
  std::size_t seen = 0;
  for (const Multiplied& one : multiplied(gpt(1), 3)) {
    if (!std::holds_alternative<Attention>(one.layer->spec)) continue;
    ++seen;
    EXPECT_TRUE(one.work.products[0].fused);
    EXPECT_DOUBLE_EQ(one.flops().flops(), 0.75 * one.work.flops.flops());
  }
  EXPECT_EQ(seen, 4u);
}

TEST(Products, OfConvolutionsAreTheirFlops) {
  const Net net = *build_net({"resnet20", {{"image", {32, 32, 3}}, {"classes", {10}}}});
  std::size_t seen = 0;
  for (const Multiplied& one : multiplied(net, 5)) {
    const auto* conv = std::get_if<Conv2d>(&one.layer->spec);
    if (conv == nullptr) continue;
    ++seen;
    // With a stride a gradient has places of the kernel without a term: whole ones are counted.
    if (conv->stride == 1 || one.kind != KernelKind::backward_input)
      EXPECT_DOUBLE_EQ(one.flops().flops(), one.work.flops.flops());
    else
      EXPECT_GE(one.flops(), one.work.flops);
  }
  EXPECT_GT(seen, 50u);
}

}  // namespace
}  // namespace rehearse
