#include "model/net/lowering/places.h"

#include <algorithm>

#include "model/base/check.h"

namespace rehearse::lowering {
namespace {

bool in_range(SegmentId segment, SegmentId begin, SegmentId end) {
  return begin <= segment && segment < end;
}

}  // namespace

void add_once(std::vector<ValueId>& list, ValueId value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

std::size_t Slab::add(Bytes size, std::size_t first) {
  sizes_.push_back(size);
  first_.push_back(first);
  last_.push_back(first);
  return sizes_.size() - 1;
}

void Slab::use(std::size_t tensor, std::size_t step) {
  last_[tensor] = std::max(last_[tensor], step);
}

Packing Slab::packed() const {
  const auto overlap = [&](std::size_t a, std::size_t b) {
    return first_[a] <= last_[b] && first_[b] <= last_[a];
  };
  return pack(sizes_, kAlignment, conflicts_by(sizes_.size(), overlap));
}

RangePlaces::RangePlaces(const Net& net, SegmentId begin, SegmentId end, std::int64_t samples,
                         const ElementSizes& sizes, bool splits_backward)
    : net_(net),
      begin_(begin),
      end_(end),
      samples_(samples),
      sizes_(sizes),
      splits_backward_(splits_backward) {
  find_boundaries();
  place_saved();
}

template <class Visit>
void RangePlaces::each_layer(Visit visit) const {
  for (std::size_t s = begin_.index(); s < end_.index(); ++s) {
    for (const LayerId id : net_.segments[s].layers)
      visit(id, net_.layers[id.index()]);
  }
}

void RangePlaces::find_boundaries() {
  each_layer([&](LayerId, const Layer& layer) {
    for (const ValueId input : layer.inputs) {
      const auto producer = net_.values[input.index()].producer;
      if (!producer || !in_range(net_.layers[producer->index()].segment, begin_, end_)) {
        boundary_.push_back(input);
      }
    }
    if (layer.output == net_.loss) boundary_.push_back(layer.output);
  });
  for (const ValueId value : values_across(net_, end_)) {
    const auto producer = net_.values[value.index()].producer;
    if (in_range(net_.layers[producer->index()].segment, begin_, end_)) boundary_.push_back(value);
  }
  std::sort(boundary_.begin(), boundary_.end());
}

bool RangePlaces::defers(const Layer& layer) const {
  if (!splits_backward_ || !trains(layer)) return false;
  return layer.facts.splits_backward ||
         std::none_of(layer.inputs.begin(), layer.inputs.end(),
                      [&](ValueId v) { return net_.values[v.index()].needs_gradient; });
}

std::set<ValueId> RangePlaces::needed_by_weight_pass() const {
  std::set<ValueId> needed;
  each_layer([&](LayerId, const Layer& layer) {
    if (!defers(layer)) return;
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      if (layer.facts.saves_input[i]) needed.insert(layer.inputs[i]);
    }
    if (layer.facts.saves_output) needed.insert(layer.output);
  });
  return needed;
}

void RangePlaces::place_saved() {
  const std::set<ValueId> kept = needed_by_weight_pass();
  const auto take = [&](Bytes size, bool keep) {
    Bytes& end = keep ? kept_size_ : saved_size_;
    const Place place{keep ? Space::kept : Space::saved, {}, end};
    end += align_up(size, kAlignment);
    return place;
  };
  const auto save = [&](ValueId value) {
    if (!is_boundary(value) && !is_saved(value))
      saved_[value] = take(size(value), kept.count(value) > 0);
  };
  each_layer([&](LayerId id, const Layer& layer) {
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      if (layer.facts.saves_input[i]) save(layer.inputs[i]);
    }
    if (layer.facts.saves_output) save(layer.output);
    for (const Auxiliary& auxiliary : layer.facts.auxiliaries) {
      const std::int64_t elements =
          auxiliary.elements_per_sample * samples_ + auxiliary.elements_per_call;
      auxiliaries_[id].push_back(
          take(Bytes::bytes(elements * bytes_of(auxiliary.type)), defers(layer)));
    }
  });
}

std::int64_t RangePlaces::bytes_of(AuxiliaryType type) const {
  switch (type) {
    case AuxiliaryType::statistic:
      return sizes_.statistic_bytes;
    case AuxiliaryType::activation:
      return sizes_.activation_bytes;
    case AuxiliaryType::mask:
      return 1;
  }
  REHEARSE_UNREACHABLE("auxiliary type");
}

std::vector<Place> RangePlaces::auxiliaries(LayerId layer) const {
  const auto found = auxiliaries_.find(layer);
  return found == auxiliaries_.end() ? std::vector<Place>{} : found->second;
}

// Scratch places hold the tensor's number until the slab is packed.
Place scratch_place(std::size_t tensor) {
  return {Space::scratch, {}, Bytes::bytes(static_cast<std::int64_t>(tensor))};
}

// Replaces tensor numbers by offsets.
void pack_scratch(Lowering& lowering, const Slab& slab) {
  const Packing packing = slab.packed();
  for (KernelStep& step : lowering.steps) {
    each_place(step, [&](Place& place) {
      if (place.space != Space::scratch) return;
      place.offset = packing.offsets[static_cast<std::size_t>(place.offset.bytes())];
    });
  }
  lowering.scratch = packing.extent;
}

}  // namespace rehearse::lowering
