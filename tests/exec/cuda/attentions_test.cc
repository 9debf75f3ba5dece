// Which attention cuDNN has one kernel for, found out without a GPU: the library is told what an
// A100 and an H100 are, looks for its kernel and compiles it, which says that it takes the graph
// for attention and for nothing else. Whether the kernel is right is gpu_test's to say.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

#include "exec/cuda/attentions.h"
#include "exec/cuda/check.h"

namespace rehearse::exec::cuda {
namespace {

// As cuDNN writes down devices, from NVIDIA's data sheets and its CUDA C++ Programming Guide, table
// "Technical Specifications per Compute Capability".
struct Gpu {
  std::string name;
  int major;
  std::string_view properties;
  friend void PrintTo(const Gpu& gpu, std::ostream* out) { *out << gpu.name; }
};
const Gpu kA100{"A100", 8, R"({
  "cudaDeviceId": 0, "deviceVer": 800, "driverVer": 13000, "totalGlobalMem": 85899345920,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "regsPerBlock": 65536, "multiProcessorCount": 108, "warpSize": 32,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 166912,
  "reservedSharedMemoryPerBlock": 1024, "maxRegistersPerSM": 65536, "maxCtasPerSM": 32,
  "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "pciDeviceId": 0, "isTccDriver": 0,
  "supportCoopLaunch": 1, "smClockRateKHz": 1410000, "memClockRateKHz": 1593000,
  "l2CacheSize": 41943040, "deviceName": "NVIDIA A100-SXM4-80GB"})"};
const Gpu kH100{"H100", 9, R"({
  "cudaDeviceId": 0, "deviceVer": 900, "driverVer": 13000, "totalGlobalMem": 85899345920,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "regsPerBlock": 65536, "multiProcessorCount": 132, "warpSize": 32,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
  "reservedSharedMemoryPerBlock": 1024, "maxRegistersPerSM": 65536, "maxCtasPerSM": 32,
  "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "pciDeviceId": 0, "isTccDriver": 0,
  "supportCoopLaunch": 1, "smClockRateKHz": 1980000, "memClockRateKHz": 2619000,
  "l2CacheSize": 52428800, "deviceName": "NVIDIA H100 80GB HBM3"})"};

constexpr std::int64_t kMiB = 1 << 20;

struct Heads {
  std::int64_t queries, keys, size;
};

// On packed queries, keys and values, as layers have them.
FusedAttention attention(AttentionPass pass, std::int64_t samples, std::int64_t positions,
                         const Heads& heads, bool causal) {
  const std::int64_t packed = (heads.queries + 2 * heads.keys) * heads.size;
  const auto layout = [&](std::int64_t count, std::int64_t width) {
    return FusedAttention::Layout{count, positions * width, heads.size, width};
  };
  FusedAttention a;
  a.pass = pass;
  a.samples = samples, a.positions = positions, a.head_size = heads.size;
  a.causal = causal;
  a.element = Element::bf16;
  a.queries = layout(heads.queries, packed);
  a.keys = layout(heads.keys, packed);
  a.out = layout(heads.queries, heads.queries * heads.size);
  return a;
}

class AttentionsOf : public testing::TestWithParam<Gpu> {
 protected:
  void SetUp() override {
    if (const std::size_t version = REHEARSE_LAZY(kDnn, cudnnGetVersion)(); version < 91600)
      GTEST_SKIP() << "cuDNN " << version << ", not 91600 or later";
    attentions.emplace(DnnTarget(GetParam().properties), GetParam().major);
  }
  bool is_possible(const FusedAttention& a) { return attentions->is_possible(a); }
  std::int64_t workspace(const FusedAttention& a) {
    return static_cast<std::int64_t>(attentions->workspace_bytes(a));
  }

  std::optional<Attentions> attentions;
};

// GPT-2, Llama with grouped keys, a vision transformer's odd number of positions, and the smallest
// of the tests. Forward keeps nothing. Backward has, beside the row sums that the op gives it room
// for (4 bytes) and less than a KiB, the scores' gradients in bf16, in tiles of 128 by 128; with
// grouped keys also every head's own part of two sums in bf16.
TEST_P(AttentionsOf, AreCompiledForwardAndBackward) {
  struct Case {
    std::int64_t samples, positions;
    Heads heads;
    bool causal;
  };
  for (const auto& [samples, positions, heads, causal] :
       {Case{2, 1024, {12, 12, 64}, true}, Case{1, 512, {32, 8, 128}, true},
        Case{2, 197, {3, 3, 64}, false}, Case{2, 150, {3, 3, 16}, true},
        Case{2, 130, {4, 2, 8}, true}}) {
    SCOPED_TRACE(positions);
    const auto forward = attention(AttentionPass::forward, samples, positions, heads, causal);
    ASSERT_TRUE(is_possible(forward));
    EXPECT_LE(workspace(forward), 1024);
    const auto backward = attention(AttentionPass::backward, samples, positions, heads, causal);
    ASSERT_TRUE(is_possible(backward));
    const std::int64_t padded = (positions + 127) / 128 * 128, rows = samples * heads.queries;
    const std::int64_t parts = heads.keys == heads.queries ? 0 : 2 * rows * padded * heads.size * 2;
    EXPECT_GE(workspace(backward), rows * positions * positions * 2);
    EXPECT_LE(workspace(backward), rows * (padded * padded * 2 + padded * 4) + parts + 1024);
  }
}

// A sample of 12 heads by 1024 positions takes 24 MiB and 48 KiB of row sums: of 30 samples 10 are
// done at once in 256 MiB, since 30 is no multiple of what else would fit there, nor of more.
TEST_P(AttentionsOf, TakeAsManySamplesAtOnceAsHaveRoom) {
  const auto backward = [](std::int64_t samples) {
    return attention(AttentionPass::backward, samples, 1024, {12, 12, 64}, true);
  };
  ASSERT_TRUE(is_possible(backward(30)));
  EXPECT_LE(workspace(backward(30)), 256 * kMiB);
  ASSERT_TRUE(is_possible(backward(10)));
  EXPECT_EQ(workspace(backward(30)), workspace(backward(10)));
}

TEST_P(AttentionsOf, AreNotToBeHadOtherwise) {
  const Heads heads{2, 2, 64};
  for (const AttentionPass pass : {AttentionPass::forward, AttentionPass::backward}) {
    FusedAttention single = attention(pass, 2, 128, heads, true);
    ASSERT_TRUE(is_possible(single));
    single.element = Element::fp32;
    EXPECT_FALSE(is_possible(single));
    EXPECT_FALSE(is_possible(attention(pass, 2, 1, heads, true)));
    EXPECT_FALSE(is_possible(attention(pass, 2, 128, {2, 2, 12}, true)));
    EXPECT_FALSE(is_possible(attention(pass, 2, 128, {2, 2, 136}, true)));
    // Of the next generation of GPUs the library's description is not known here, nor whether it
    // would give the same bits.
    Attentions later(DnnTarget(GetParam().properties), 10);
    EXPECT_FALSE(later.is_possible(attention(pass, 2, 128, heads, true)));
  }
}

INSTANTIATE_TEST_SUITE_P(Gpus, AttentionsOf, testing::Values(kA100, kH100),
                         [](const auto& info) { return info.param.name; });

// The library takes a graph for attention by all of its operations: one that ends in a product of
// scores, without their exponentials, has no kernel.
TEST(DnnPlan, IsOfWhatTheLibraryKnows) {
  const TensorGraph::Dims dims{1, 1, 64, 64}, strides{4096, 4096, 64, 1};
  const auto in_memory = [&](TensorGraph::Type type) {
    return TensorGraph::Tensor{type, dims, strides, TensorGraph::Lies::in_memory};
  };
  TensorGraph graph;
  const std::size_t q = graph.add(in_memory(TensorGraph::Type::real));
  const std::size_t k = graph.add(in_memory(TensorGraph::Type::real));
  const std::size_t out = graph.add(in_memory(TensorGraph::Type::wide));
  const std::size_t scores = graph.add({TensorGraph::Type::wide, dims, strides});
  const std::size_t largest = graph.add({TensorGraph::Type::wide, {1, 1, 64, 1}, {64, 64, 1, 1}});
  graph.add(TensorGraph::MatrixProduct{}, {q, k}, scores);
  graph.add(TensorGraph::Reduce{TensorGraph::Reduction::max}, {scores}, largest);
  graph.add(TensorGraph::MatrixProduct{}, {scores, k}, out);
  EXPECT_EQ(DnnPlan::of(graph, DnnTarget(kH100.properties)), nullptr);
}

}  // namespace
}  // namespace rehearse::exec::cuda
