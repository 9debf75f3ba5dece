// What one forward or backward op does, kernel by kernel, and where every tensor lies meanwhile.
//
// A plan's op works on a range of segments and one micro-batch. Its lowering lists the kernels in
// order and gives each operand a place:
//   value      a boundary value: read from, or written for, another op; a buffer of its own
//   gradient   the gradient of a boundary value; a buffer of its own
//   saved      an offset in the op's saved slab, which lives from its forward to its backward
//   scratch    an offset in the op's scratch slab, which lives only while the op runs
// A backward pass may be split in two ops, one for the input gradients and one for the weight
// gradients. What only the first needs is in the saved slab as before; two more slabs hold
//   kept       what the weight gradients need of the forward pass: from forward to weight pass
//   deferred   the output gradients they need: from input-gradient to weight-gradient pass
// The executor runs these steps, the cost model prices the same steps, and the sizes of the slabs
// are the plan's buffers: what is predicted about memory is therefore what is used.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "model/net/net.h"
#include "model/net/product.h"

namespace rehearse {

enum class Space { value, gradient, saved, kept, deferred, scratch };

struct Place {
  Space space = Space::scratch;
  ValueId value;  // of a value or gradient: which
  Bytes offset;   // in a slab
  friend bool operator==(const Place&, const Place&) = default;
};

enum class KernelKind {
  forward,          // inputs, parameters -> output, auxiliaries
  backward,         // all gradients in one kernel (layers that do not split)
  backward_input,   // output gradient, parameters -> input gradient
  backward_weight,  // inputs, output gradient -> parameter gradients
  accumulate,       // sum = left + right, where a value feeds several consumers
  copy,             // sum = left
};
std::string_view to_string(KernelKind kind);

// One kernel. Which operands are there follows from the kind and the layer's facts: an operand that
// the kernel does not need has no place.
struct KernelStep {
  KernelKind kind = KernelKind::forward;
  LayerId layer;
  std::vector<std::optional<Place>> inputs;
  std::optional<Place> output;
  std::vector<Place> auxiliaries;
  std::optional<Place> output_gradient;
  std::vector<std::optional<Place>> input_gradients;
  // accumulate and copy only; `elements` of the activation type per micro-batch.
  std::optional<Place> left, right, sum;
  std::int64_t elements = 0;
};

// Token numbers and labels are int32.
inline constexpr std::int64_t kIndexBytes = 4;

// The types other tensors are stored in.
struct ElementSizes {
  std::int64_t activation_bytes = 4;
  std::int64_t statistic_bytes = 4;  // losses and what layers keep beside activations
  std::int64_t gradient_bytes = 4;   // of weights
};

struct Lowering {
  std::vector<KernelStep> steps;
  Bytes scratch;  // extent of the scratch slab of this pass
  // Extents of the other slabs: the same for all passes. The last two are empty if backward is
  // whole.
  Bytes saved, kept, deferred;
  // Forward: boundary values read and written. Backward: boundary values read (saved inputs and
  // outputs that are boundaries), gradients read and gradients written. The weight pass reads
  // gradients that the input pass has read or written.
  std::vector<ValueId> reads_values, writes_values, reads_gradients, writes_gradients;
};

// Passes after whose forward the backward is whole, and the three of a split one.
enum class Pass { forward, backward, split_forward, backward_input, backward_weight };
std::string_view to_string(Pass pass);

// Lowers segments [begin, end) of a network for a micro-batch of this many samples. An empty range
// of layers (everything dropped) lowers to no steps.
//
// backward_weight has the weight gradients of the layers whose kernels split (products), and the
// whole backward of layers whose input needs no gradient; all else is in backward_input.
Lowering lower(const Net& net, SegmentId begin, SegmentId end, Pass pass, std::int64_t samples,
               const ElementSizes& sizes);

// Parameters whose values these steps read; whose gradients they add to. Each once.
std::vector<ParameterId> parameters_read(const Net& net, const Lowering& lowering);
std::vector<ParameterId> parameters_differentiated(const Net& net, const Lowering& lowering);

// Bytes of a value, or of its gradient, for a micro-batch.
Bytes size_of(const Net& net, ValueId value, std::int64_t samples, const ElementSizes& sizes);

// FLOPs and memory traffic of one step. products: what it multiplies; of attention that keeps its
// probabilities each a kernel of its own, and what else it reads and writes one more. Causal or
// not, the FLOPs are all of them; the products of fused attention are what its kernels compute,
// whole blocks of kFusedRows queries and keys on the diagonal and below (Dao, arXiv 2307.08691).
struct StepWork {
  KernelClass kernel = KernelClass::elementwise;
  Flops flops;
  Bytes traffic;
  std::vector<Product> products = {};
};
StepWork work_of(const Net& net, const KernelStep& step, std::int64_t samples,
                 const ElementSizes& sizes);

}  // namespace rehearse
