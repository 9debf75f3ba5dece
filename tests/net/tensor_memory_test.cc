// What a slice of a decoder keeps for backward, by published formulas.
#include <gtest/gtest.h>

#include <set>

#include "model/net/lowering.h"
#include "model/net/tensor.h"
#include "tests/net/sharded_net.h"

namespace rehearse {
namespace {

// Bytes that wait for the backward pass of a decoder: what its segments save, and the boundary
// values their backward passes read, each once. Gathered rows are not kept but gathered again.
std::int64_t kept_bytes(const Net& net, BlockId block, std::int64_t samples,
                        const ElementSizes& sizes) {
  std::int64_t bytes = 0;
  std::set<ValueId> boundaries;
  for (const SegmentId s : net.blocks[block.index()].segments) {
    const Lowering backward = lower(net, s, testing::after(s), Pass::backward, samples, sizes);
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
    return testing::transformer(
        kind, {{"sequence", {s}}, {"width", {h}}, {"heads", {a}}, {"fused", {fused}}});
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

}  // namespace
}  // namespace rehearse
