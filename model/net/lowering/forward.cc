#include "model/net/lowering/places.h"

namespace rehearse::lowering {
namespace {

class ForwardLowering {
 public:
  ForwardLowering(const Net& net, const RangePlaces& range) : net_(net), range_(range) {}

  Lowering run(SegmentId begin, SegmentId end) {
    for (std::size_t s = begin.index(); s < end.index(); ++s) {
      for (const LayerId id : net_.segments[s].layers)
        add(id);
    }
    pack_scratch(result_, scratch_);
    result_.saved = range_.saved_size();
    result_.kept = range_.kept_size();
    return std::move(result_);
  }

 private:
  void add(LayerId id) {
    const Layer& layer = net_.layers[id.index()];
    const std::size_t now = result_.steps.size();
    KernelStep step;
    step.kind = KernelKind::forward;
    step.layer = id;
    for (const ValueId input : layer.inputs)
      step.inputs.push_back(read(input, now));
    step.auxiliaries = range_.auxiliaries(id);
    step.output = write(layer, *step.inputs[0], now);
    result_.steps.push_back(std::move(step));
  }

  Place read(ValueId value, std::size_t now) {
    const auto known = place_.find(value);
    if (known == place_.end()) {
      add_once(result_.reads_values, value);
      return {Space::value, value, {}};
    }
    touch(known->second, now);
    return known->second;
  }

  Place write(const Layer& layer, const Place& input, std::size_t now) {
    const ValueId value = layer.output;
    Place place;
    if (range_.is_boundary(value)) {
      add_once(result_.writes_values, value);
      place = {Space::value, value, {}};
    } else if (range_.is_saved(value)) {
      place = range_.saved(value);
    } else if (layer.in_place && input.space == Space::scratch) {
      place = input;
    } else {
      place = scratch_place(scratch_.add(range_.size(value), now));
    }
    place_[value] = place;
    return place;
  }

  void touch(const Place& place, std::size_t now) {
    if (place.space == Space::scratch) {
      scratch_.use(static_cast<std::size_t>(place.offset.bytes()), now);
    }
  }

  const Net& net_;
  const RangePlaces& range_;
  Slab scratch_;
  std::map<ValueId, Place> place_;
  Lowering result_;
};

}  // namespace

Lowering lower_forward(const Net& net, const RangePlaces& range, SegmentId begin, SegmentId end) {
  return ForwardLowering(net, range).run(begin, end);
}

}  // namespace rehearse::lowering
