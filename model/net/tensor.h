// Tensor parallelism: the network that one rank of a tensor-parallel group runs.
//
// Megatron-LM (Shoeybi et al., arXiv 1909.08053, section 3). A block is y = f(x A) B: the columns
// of A are split over the ranks, so each has its features of f(x A) without talking (attention:
// its heads), and the rows of B, so each has a term of y. Hence one all-reduce of y forward
// (Exchange::sum, the paper's g) and one of the gradient of x backward (Exchange::sum_gradient, the
// paper's f). What stands between two blocks (norms, residual additions, positions) every rank
// repeats. A decoder then runs in these segments:
//
//   attention.in   norm1                                -> sum_gradient
//   attention      qkv, (rotary), attention, projection -> sum
//   ffn.in         add1, norm2                          -> sum_gradient
//   ffn            up, (gate), gelu or swiglu, down     -> sum
//   ffn.out        add2
//
// The token embedding is split by vocabulary and its rows are summed likewise; the head is split by
// columns. The cross-entropy works on the rank's part of the vocabulary. Its output is marked `sum`
// and its own backward needs the exchange, too: per position each rank's log-sum-exp, at its own
// place among zeros, and the label's logit. (Megatron reduces the maximum, the sum of exponentials
// and the label's logit, one after the other.)
//
// Sequence parallelism (Korthikanti et al., arXiv 2205.05198, section 4) splits what is between the
// blocks by rows of the sequence: in place of each all-reduce a GatherRows ahead of the block and a
// ScatterRows after it, each alone in a segment (attention.gather, attention.scatter, ...), and no
// exchange is left but that of the loss. Backward needs the gathered rows again; they need not be
// kept, since the rank's own are (is_gathered). Which rows are a rank's: of all samples' rows, one
// sample after the other, the number-th part, so that gathering and scattering move contiguous
// memory. Nothing between the blocks looks at other rows, and positions know theirs
// (PositionEmbedding).
//
// Biases of the second product belong to the sum, not to its terms: whoever runs the network has
// one rank add them, the first. All know the whole gradient of the sum, so all of the bias's, but
// under sequence parallelism, where gradients of what is on every rank are terms of a sum
// (Spread::partial), it is the first's to give (is_bias_of_sum()).
//
// Dropout stands between the blocks: every rank draws the same mask. On rows of a sequence it would
// draw that of the first rows, so sequence parallelism refuses it where kernels draw masks again.
//
// A vocabulary is padded up to a multiple of the number of ranks (Megatron's own is 128 times
// that); the padding is never a label.
#pragma once

#include <cstdint>

#include "model/base/diagnostic.h"
#include "model/net/net.h"

namespace rehearse {

// The shapes, FLOPs and parameters of one of `ways` ranks; all have the same. Which slices these
// are (Parameter::slice, PartOf) is said of the first; slice_of() has another's. Segments are cut
// as above; layers, values, parameters, units and blocks keep their ids, new layers and values get
// higher ones. `full` has all its units: shard first, restrict afterwards. One way is `full`
// itself.
//
// Errors: heads, kv_heads, a feed-forward width or (with sequence parallelism) the sequence do not
// divide into `ways`; dropout with sequence parallelism; the network has layers other than those of
// transformer decoders.
Result<Net> shard(const Net& full, std::int64_t ways, bool sequence_parallel);

// The same network, which shard() cut, as the number-th of the ranks has it.
Net slice_of(Net sharded, std::int64_t number);

// Whether a layer is a second product with a bias, which only the first rank adds.
bool is_bias_of_sum(const Net& net, const Layer& layer);

// Whether the value is rows gathered from all ranks: a plan may free it after the forward pass and
// have the backward pass read a second gather of the input of its producer.
bool is_gathered(const Net& net, ValueId value);

// Whether tensor-parallel ranks exchange what this segment has made, or its gradient.
bool exchanges_after(const Net& net, SegmentId segment);

}  // namespace rehearse
