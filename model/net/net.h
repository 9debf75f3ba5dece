// The network being trained: a chain of blocks, each a chain of segments, each a list of layers.
//
// Blocks are what stages and subnetworks are made of, segments are the finest grain at which a plan
// cuts, layers are what kernels run. Values connect layers: each is written once, by the layer that
// produces it or by the data loader. A unit is the part of the network that a subnetwork holds or
// drops as a whole (the main branch of a residual block).
//
// Ids are indices into the vectors of Net and stay the same in a restricted network, so that what
// two workers hold can be compared.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/ids.h"
#include "model/net/layer.h"

namespace rehearse {

enum class ValueType {
  real,   // stored in the training's activation type
  index,  // int32: token numbers, labels
};

// What the ranks of a tensor-parallel group exchange about a value (model/net/tensor.h). It is a
// boundary between segments then: its producer ends a segment, its readers are in later ones.
enum class Exchange {
  none,
  sum,           // each rank has a term of it: all-reduced in place before anybody reads it
  sum_gradient,  // each rank has a term of its gradient: all-reduced in place before the backward
                 // pass of its producer reads it
};
std::string_view to_string(Exchange exchange);

// Where the ranks of a tensor-parallel group have a parameter, and what they know of its gradient.
enum class Spread {
  replicated,  // equal values and equal gradients on all ranks
  sliced,      // each rank has a slice of its own
  partial,     // equal values; each rank's gradient is a term of a sum over the group
};
std::string_view to_string(Spread spread);

struct Value {
  std::string name;
  Shape shape;
  ValueType type = ValueType::real;
  std::optional<LayerId> producer;  // none: the data loader
  bool needs_gradient = false;      // whether a trained parameter lies before it
  Exchange exchange = Exchange::none;
};

struct Layer {
  std::string name;
  LayerSpec spec;
  std::vector<ValueId> inputs;
  ValueId output;
  std::vector<ParameterId> parameters;
  SegmentId segment;
  std::optional<UnitId> unit;
  // The input whose value stands for the output where the unit is dropped; none where nothing
  // outside the unit reads the output.
  std::optional<std::size_t> bypass;
  LayerFacts facts;
  bool frozen = false;  // its parameters are read only: no gradients of them are computed
  // Whether the output takes over the memory of the first input: nobody else reads that.
  bool in_place = false;
};

// The part of a larger parameter that a unit of a width has, or a tensor-parallel rank: indices of
// one dimension.
struct ParameterSlice {
  Shape whole;
  std::size_t dimension = 0;
  struct Range {
    std::int64_t begin = 0, end = 0;
  };
  std::vector<Range> ranges;  // ascending
  // Whether element `number` of the whole, in the order of its rows, is in the slice.
  bool contains(std::int64_t number) const;
  // Elements that follow one another in both, in the order of the slice's.
  struct Run {
    std::int64_t part = 0, whole = 0, elements = 0;  // where it begins, and how long it is
  };
  std::vector<Run> runs() const;
};

struct Parameter {
  std::string name;
  Shape shape;
  Init init;
  std::int64_t fan_in, fan_out;
  bool decays;
  SegmentId segment;  // of the first layer that uses it
  std::optional<UnitId> unit;
  Spread spread = Spread::replicated;
  // Where it is a part of a parameter (width.h, tensor.h); drawn_as: that one's number, by which it
  // is drawn, if not by its own.
  std::optional<ParameterSlice> slice = std::nullopt;
  std::optional<ParameterId> drawn_as = std::nullopt;
};

struct Segment {
  std::string name;
  BlockId block;
  std::vector<LayerId> layers;  // in the order they run; without dropped ones
};

struct Block {
  std::string name;
  bool identity_skip = false;  // whether dropping its unit leaves exactly the identity
  std::vector<SegmentId> segments;
};

struct Unit {
  std::string name;
  BlockId block;
  std::string shape_class;  // units of equal shapes share it
  // Of a width (width.h): which of the network's widths it is a part of, and its channels or heads.
  std::optional<std::size_t> width = std::nullopt;
  std::int64_t channels = 0;
};

struct Net {
  std::string name;
  std::vector<Block> blocks;
  std::vector<Segment> segments;
  std::vector<Layer> layers;
  std::vector<Value> values;
  std::vector<Parameter> parameters;
  std::vector<Unit> units;
  // By cut, before each segment and behind the last one: see values_across.
  std::vector<std::vector<ValueId>> across;
  ValueId input, labels, loss;  // loss: one number per label
};

// Units a worker holds, by unit id.
struct Subnetwork {
  std::vector<bool> holds;
  friend bool operator==(const Subnetwork&, const Subnetwork&) = default;
};
Subnetwork full_subnetwork(const Net& net);

// The network without the units that are not held: their layers are gone from the segments and
// consumers read what the bypass says; a Sum has the terms that are left, of which a width needs
// one. Ids are unchanged.
Net restrict(const Net& net, const Subnetwork& subnetwork);

// The network that computes the same, but trains what is held only: the layers of other units are
// frozen. Ids are unchanged.
Net freeze(const Net& net, const Subnetwork& subnetwork);

// The network with every maskable branch multiplied by `factor` where it is added to its shortcut,
// and the sum over every width's units.
Net scale_branches(const Net& net, double factor);
// The same with a factor for each unit; widths need one for all of theirs.
Net scale_branches(const Net& net, const std::vector<double>& factors);

// The network as it is evaluated: without its dropout layers.
Net without_dropout(const Net& net);

// The network in which attention keeps no probabilities: its kernels compute them again in backward
// (Korthikanti et al., arXiv 2205.05198, section 5, "selective activation recomputation"); ours are
// the fused ones, Megatron's run the whole attention again where it is not.
Net recompute_attention(const Net& net);

// The network as these kernels run it, with a dropout of attention's probabilities: what is kept
// for backward differs.
Net with_kernels(const Net& net, Kernels kernels, double attention_dropout);
// Why it can be predicted, but is not run here; none: it is.
std::optional<std::string> predicted_only(const Net& net);

// What follows from layers and their order: which values need gradients and cross which cuts, which
// layers work in place. Called by whoever builds or changes a network; checks the invariants.
void finish(Net& net);

// ---- queries ---------------------------------------------------------------------------------

// Whether gradients of its parameters are computed.
bool trains(const Layer& layer);

std::int64_t parameter_count(const Net& net);
// The layer of a segment that is an exchange of rows between tensor-parallel ranks, alone in it.
std::optional<LayerId> row_exchange(const Net& net, SegmentId segment);
// Parameters used by the layers of segments [begin, end), in order of first use.
std::vector<ParameterId> parameters_of(const Net& net, SegmentId begin, SegmentId end);
// Arithmetic of one sample without recomputation: forward, and backward of both kinds.
struct PassFlops {
  Flops forward, backward_input, backward_weight;
  Flops total() const { return forward + backward_input + backward_weight; }
};
PassFlops flops_of(const Net& net, SegmentId begin, SegmentId end, std::int64_t samples);
PassFlops flops_of(const Net& net, std::int64_t samples);
// Labels per sample: 1 for an image, the sequence's length for a language model.
std::int64_t labels_per_sample(const Net& net);
SegmentId end_segment(const Net& net);
// The values that cross the cut before this segment: written before it, read at or after it, in the
// order of their first readers there. The data loader's values are not among them.
const std::vector<ValueId>& values_across(const Net& net, SegmentId cut);
// First segment of the block, and one past its last.
SegmentId begin_of(const Net& net, BlockId block);
SegmentId end_of(const Net& net, BlockId block);

}  // namespace rehearse
