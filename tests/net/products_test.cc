// What kernels multiply, against the FLOPs and bytes that their layers state.
#include <gtest/gtest.h>

#include "model/net/lowering.h"
#include "model/net/model_spec.h"

namespace rehearse {
namespace {

Net gpt(std::int64_t fused, Kernels kernels = Kernels::own) {
  return *build_net({"gpt",
                     {{"layers", {2}},
                      {"width", {24}},
                      {"heads", {3}},
                      {"sequence", {256}},
                      {"positions", {256}},
                      {"vocabulary", {50}},
                      {"fused", {fused}},
                      {"kernels", {static_cast<std::int64_t>(kernels)}}}});
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

std::vector<Multiplied> multiplied(const Net& net, std::int64_t samples,
                                   const ElementSizes& sizes = {}) {
  std::vector<Multiplied> all;
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    const Lowering lowering = lower(net, SegmentId(0), end_segment(net), pass, samples, sizes);
    for (const KernelStep& step : lowering.steps) {
      const StepWork work = work_of(net, step, samples, sizes);
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

// Of Megatron-LM: dW is written, then read with the sum, which is written again; but products add
// to sums in fp32 themselves. A bias's gradient is summed from the output's, and has no product.
TEST(Products, OfMegatronHandOnGradientsThatAreNotInFp32) {
  const std::int64_t samples = 3, rows = samples * 256;
  for (const std::int64_t gradient : {2, 4}) {
    std::size_t seen = 0;
    for (const Multiplied& one : multiplied(gpt(0, Kernels::megatron), samples, {2, 4, gradient})) {
      const auto* linear = std::get_if<Linear>(&one.layer->spec);
      if (linear == nullptr || one.kind != KernelKind::backward_weight) continue;
      ++seen;
      const Product& product = one.work.products[0];
      const std::int64_t weights = linear->in_features * linear->out_features,
                         operands = 2 * rows * (linear->in_features + linear->out_features),
                         bias = linear->bias ? 2 * rows * linear->out_features : 0;
      const bool adds = gradient == 4;
      EXPECT_EQ(product.traffic, Bytes::bytes(operands + (adds ? 2 : 1) * gradient * weights));
      const Bytes behind = Bytes::bytes((adds ? 0 : 3) * gradient * weights + bias);
      if (behind > Bytes{})
        EXPECT_EQ(one.work.traffic, product.traffic + behind);
      else
        EXPECT_LE(one.work.traffic, product.traffic) << "the head has no bias";
    }
    EXPECT_EQ(seen, 2u * 4 + 1);
  }
}

// Of [256, 3 x 24] queries, keys and values in 3 heads, [256, 24] out, and 3 x 256^2 probabilities.
// Backward writes their gradient, reads it and them for the softmax's, writes and twice reads that,
// and reads them for the values': 7. Megatron copies heads in forward, three gradients in backward.
TEST(Products, OfPlainAttentionMoveProbabilities) {
  const std::int64_t in = 256 * 72, out = 256 * 24, probabilities = 3 * 256 * 256;
  for (const Kernels kernels : {Kernels::own, Kernels::megatron}) {
    const std::int64_t copies = kernels == Kernels::megatron ? 1 : 0;
    for (const Multiplied& one : multiplied(gpt(0, kernels), 1, {2, 4, 2})) {
      if (!std::holds_alternative<Attention>(one.layer->spec)) continue;
      const std::int64_t elements = one.kind == KernelKind::forward
                                        ? in + out + 4 * probabilities + copies * 2 * out
                                        : 2 * (in + out) + 7 * probabilities + copies * 2 * in;
      EXPECT_EQ(one.work.traffic, Bytes::bytes(2 * elements));
    }
  }
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
