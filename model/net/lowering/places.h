// Where tensors lie while a range of segments runs: shared by its forward and its backward pass.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "model/net/lowering.h"
#include "model/net/pack.h"

namespace rehearse::lowering {

void add_once(std::vector<ValueId>& list, ValueId value);

// Tensors of one slab that live from one step to another (inclusive), packed at the end.
class Slab {
 public:
  std::size_t add(Bytes size, std::size_t first);
  void use(std::size_t tensor, std::size_t step);
  Bytes size(std::size_t tensor) const { return sizes_[tensor]; }
  // The tensor lies elsewhere after all.
  void drop(std::size_t tensor) { sizes_[tensor] = Bytes{}; }
  Packing packed() const;

 private:
  std::vector<Bytes> sizes_;
  std::vector<std::size_t> first_, last_;
};

// Where the values of one range lie, the same for its forward and its backward pass.
//
// A value is a boundary if another range, or the loader, writes or reads it; saved if the range's
// backward reads it (kept, if a deferred weight gradient does); else scratch. A layer that works in
// place has its input's place.
class RangePlaces {
 public:
  RangePlaces(const Net& net, SegmentId begin, SegmentId end, std::int64_t samples,
              const ElementSizes& sizes, bool splits_backward);

  bool splits_backward() const { return splits_backward_; }
  // Whether the layer's weight gradients are left to the weight pass of a split backward.
  bool defers(const Layer& layer) const;
  bool is_boundary(ValueId value) const {
    return std::binary_search(boundary_.begin(), boundary_.end(), value);
  }
  bool is_saved(ValueId value) const { return saved_.contains(value); }
  Bytes saved_size() const { return saved_size_; }
  Bytes kept_size() const { return kept_size_; }
  Place saved(ValueId value) const { return saved_.at(value); }
  std::vector<Place> auxiliaries(LayerId layer) const;
  Bytes size(ValueId value) const { return size_of(net_, value, samples_, sizes_); }

 private:
  template <class Visit>
  void each_layer(Visit visit) const;
  void find_boundaries();
  void place_saved();
  std::set<ValueId> needed_by_weight_pass() const;
  std::int64_t bytes_of(AuxiliaryType type) const;

  const Net& net_;
  SegmentId begin_, end_;
  std::int64_t samples_;
  ElementSizes sizes_;
  std::vector<ValueId> boundary_;  // ascending
  bool splits_backward_;
  std::map<ValueId, Place> saved_;
  std::map<LayerId, std::vector<Place>> auxiliaries_;
  Bytes saved_size_, kept_size_;
};

// Scratch places hold the tensor's number until the slab is packed.
Place scratch_place(std::size_t tensor);

template <class Visit>
void each_place(KernelStep& step, Visit visit) {
  const auto maybe = [&](std::optional<Place>& place) {
    if (place) visit(*place);
  };
  for (auto& place : step.inputs)
    maybe(place);
  maybe(step.output);
  for (Place& place : step.auxiliaries)
    visit(place);
  maybe(step.output_gradient);
  for (auto& place : step.input_gradients)
    maybe(place);
  maybe(step.left);
  maybe(step.right);
  maybe(step.sum);
}

// Replaces tensor numbers by offsets.
void pack_scratch(Lowering& lowering, const Slab& slab);

Lowering lower_forward(const Net& net, const RangePlaces& range, SegmentId begin, SegmentId end);
Lowering lower_backward(const Net& net, const RangePlaces& range, SegmentId begin, SegmentId end);
struct SplitBackward {
  Lowering input, weight;
};
SplitBackward lower_split_backward(const Net& net, const RangePlaces& range, SegmentId begin,
                                   SegmentId end);

}  // namespace rehearse::lowering
