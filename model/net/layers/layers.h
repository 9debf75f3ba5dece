// The facts of each layer kind, one file each; called through describe() in model/net/layer.h.
#pragma once

#include "model/net/layer.h"

namespace rehearse::layers {

LayerFacts describe(const Conv2d& spec, std::span<const Shape> inputs);
LayerFacts describe(const Linear& spec, std::span<const Shape> inputs);
LayerFacts describe(const BatchNorm& spec, std::span<const Shape> inputs);
LayerFacts describe(const LayerNorm& spec, std::span<const Shape> inputs);
LayerFacts describe(const RmsNorm& spec, std::span<const Shape> inputs);
LayerFacts describe(const Relu& spec, std::span<const Shape> inputs);
LayerFacts describe(const Gelu& spec, std::span<const Shape> inputs);
LayerFacts describe(const SwiGlu& spec, std::span<const Shape> inputs);
LayerFacts describe(const Add& spec, std::span<const Shape> inputs);
LayerFacts describe(const Sum& spec, std::span<const Shape> inputs);
LayerFacts describe(const Bias& spec, std::span<const Shape> inputs);
LayerFacts describe(const Dropout& spec, std::span<const Shape> inputs);
LayerFacts describe(const GlobalAveragePool& spec, std::span<const Shape> inputs);
LayerFacts describe(const MaxPool& spec, std::span<const Shape> inputs);
LayerFacts describe(const Patches& spec, std::span<const Shape> inputs);
LayerFacts describe(const ClassToken& spec, std::span<const Shape> inputs);
LayerFacts describe(const FirstRow& spec, std::span<const Shape> inputs);
LayerFacts describe(const Embedding& spec, std::span<const Shape> inputs);
LayerFacts describe(const PositionEmbedding& spec, std::span<const Shape> inputs);
LayerFacts describe(const Rotary& spec, std::span<const Shape> inputs);
LayerFacts describe(const Attention& spec, std::span<const Shape> inputs);
LayerFacts describe(const CrossEntropy& spec, std::span<const Shape> inputs);
LayerFacts describe(const SquaredError& spec, std::span<const Shape> inputs);
LayerFacts describe(const GatherRows& spec, std::span<const Shape> inputs);
LayerFacts describe(const ScatterRows& spec, std::span<const Shape> inputs);

// A bug unless the layer got this many inputs, the first of this last dimension (0: any).
void expect_inputs(std::string_view kind, std::span<const Shape> inputs, std::size_t count,
                   std::int64_t last_dimension = 0);

// Work that reads and writes `elements` per sample and does `flops` on each sample.
Work per_sample(double flops, std::int64_t elements);
// Work that does not grow with the micro-batch.
Work per_call(double flops, std::int64_t elements);

}  // namespace rehearse::layers
