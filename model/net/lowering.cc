#include "model/net/lowering.h"

#include <algorithm>
#include <map>

#include "model/base/check.h"
#include "model/net/pack.h"

namespace rehearse {
namespace {

bool in_range(SegmentId segment, SegmentId begin, SegmentId end) {
  return begin <= segment && segment < end;
}

void add_once(std::vector<ValueId>& list, ValueId value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

// Tensors of one slab that live from one step to another (inclusive), packed at the end.
class Slab {
 public:
  std::size_t add(Bytes size, std::size_t first) {
    sizes_.push_back(size);
    first_.push_back(first);
    last_.push_back(first);
    return sizes_.size() - 1;
  }
  void use(std::size_t tensor, std::size_t step) { last_[tensor] = std::max(last_[tensor], step); }
  Packing packed() const {
    return pack(sizes_, kAlignment, [&](std::size_t a, std::size_t b) {
      return first_[a] <= last_[b] && first_[b] <= last_[a];
    });
  }

 private:
  std::vector<Bytes> sizes_;
  std::vector<std::size_t> first_, last_;
};

// Where the values of one range lie, the same for its forward and its backward pass.
//
// A value is a boundary if another range, or the loader, writes or reads it; saved if the range's
// backward reads it; else scratch. A layer that works in place has its input's place.
class RangePlaces {
 public:
  RangePlaces(const Net& net, SegmentId begin, SegmentId end, std::int64_t samples,
              const ElementSizes& sizes)
      : net_(net), begin_(begin), end_(end), samples_(samples), sizes_(sizes) {
    find_boundaries();
    place_saved();
  }

  bool is_boundary(ValueId value) const { return boundary_.count(value) != 0; }
  bool is_saved(ValueId value) const { return saved_.count(value) != 0; }
  Bytes saved_size() const { return saved_size_; }
  Place saved(ValueId value) const { return {Space::saved, {}, saved_.at(value)}; }
  std::vector<Place> auxiliaries(LayerId layer) const {
    std::vector<Place> places;
    const auto found = auxiliaries_.find(layer);
    if (found == auxiliaries_.end()) return places;
    for (const Bytes offset : found->second) places.push_back({Space::saved, {}, offset});
    return places;
  }
  Bytes size(ValueId value) const { return size_of(net_, value, samples_, sizes_); }

 private:
  template <class Visit>
  void each_layer(SegmentId begin, SegmentId end, Visit visit) const {
    for (std::size_t s = begin.index(); s < end.index(); ++s) {
      for (const LayerId id : net_.segments[s].layers) visit(id, net_.layers[id.index()]);
    }
  }

  void find_boundaries() {
    each_layer(begin_, end_, [&](LayerId, const Layer& layer) {
      for (const ValueId input : layer.inputs) {
        const auto producer = net_.values[input.index()].producer;
        if (!producer ||
            !in_range(net_.layers[producer->index()].segment, begin_, end_)) {
          boundary_[input] = true;
        }
      }
      if (layer.output == net_.loss) boundary_[layer.output] = true;
    });
    each_layer(end_, end_segment(net_), [&](LayerId, const Layer& layer) {
      for (const ValueId input : layer.inputs) {
        const auto producer = net_.values[input.index()].producer;
        if (producer && in_range(net_.layers[producer->index()].segment, begin_, end_)) {
          boundary_[input] = true;
        }
      }
    });
  }

  void place_saved() {
    Bytes end;
    const auto take = [&](Bytes size) {
      const Bytes offset = end;
      end += align_up(size, kAlignment);
      return offset;
    };
    const auto save = [&](ValueId value) {
      if (!is_boundary(value) && !is_saved(value)) saved_[value] = take(size(value));
    };
    each_layer(begin_, end_, [&](LayerId id, const Layer& layer) {
      for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
        if (layer.facts.saves_input[i]) save(layer.inputs[i]);
      }
      if (layer.facts.saves_output) save(layer.output);
      for (const Auxiliary& auxiliary : layer.facts.auxiliaries) {
        const std::int64_t elements =
            auxiliary.elements_per_sample * samples_ + auxiliary.elements_per_call;
        auxiliaries_[id].push_back(take(Bytes::bytes(elements * sizes_.statistic_bytes)));
      }
    });
    saved_size_ = end;
  }

  const Net& net_;
  SegmentId begin_, end_;
  std::int64_t samples_;
  ElementSizes sizes_;
  std::map<ValueId, bool> boundary_;
  std::map<ValueId, Bytes> saved_;
  std::map<LayerId, std::vector<Bytes>> auxiliaries_;
  Bytes saved_size_;
};

// Scratch places hold the tensor's number until the slab is packed.
Place scratch_place(std::size_t tensor) {
  return {Space::scratch, {}, Bytes::bytes(static_cast<std::int64_t>(tensor))};
}

template <class Visit>
void each_place(KernelStep& step, Visit visit) {
  const auto maybe = [&](std::optional<Place>& place) {
    if (place) visit(*place);
  };
  for (auto& place : step.inputs) maybe(place);
  maybe(step.output);
  for (Place& place : step.auxiliaries) visit(place);
  maybe(step.output_gradient);
  for (auto& place : step.input_gradients) maybe(place);
  maybe(step.left);
  maybe(step.right);
  maybe(step.sum);
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

// ---- forward ---------------------------------------------------------------------------------

class ForwardLowering {
 public:
  ForwardLowering(const Net& net, const RangePlaces& range) : net_(net), range_(range) {}

  Lowering run(SegmentId begin, SegmentId end) {
    for (std::size_t s = begin.index(); s < end.index(); ++s) {
      for (const LayerId id : net_.segments[s].layers) add(id);
    }
    pack_scratch(result_, scratch_);
    result_.saved = range_.saved_size();
    return std::move(result_);
  }

 private:
  void add(LayerId id) {
    const Layer& layer = net_.layers[id.index()];
    const std::size_t now = result_.steps.size();
    KernelStep step;
    step.kind = KernelKind::forward;
    step.layer = id;
    for (const ValueId input : layer.inputs) step.inputs.push_back(read(input, now));
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

// ---- backward --------------------------------------------------------------------------------

// A gradient tensor; an addition hands one tensor to both of its inputs, so several values can
// share it, and only its last owner may overwrite it.
struct GradientTensor {
  Place place;
  int owners = 1;
};

class BackwardLowering {
 public:
  BackwardLowering(const Net& net, const RangePlaces& range) : net_(net), range_(range) {}

  Lowering run(SegmentId begin, SegmentId end) {
    receive_gradients(begin, end);
    for (std::size_t s = end.index(); s-- > begin.index();) {
      const auto& layers = net_.segments[s].layers;
      for (auto id = layers.rbegin(); id != layers.rend(); ++id) add(*id);
    }
    deliver_gradients(begin);
    pack_scratch(result_, scratch_);
    result_.saved = range_.saved_size();
    return std::move(result_);
  }

 private:
  // Values that later ranges read have a gradient before this range adds its part.
  void receive_gradients(SegmentId begin, SegmentId end) {
    for (const ValueId value : values_across(net_, end)) {
      if (!is_boundary(value) || !net_.values[value.index()].needs_gradient) continue;
      gradient_of(value);
      if (is_produced_before(value, begin)) add_once(result_.writes_gradients, value);
    }
  }

  // What earlier ranges produced must get its gradient in its own buffer.
  void deliver_gradients(SegmentId begin) {
    for (const auto& [value, tensor] : gradient_) {
      if (!is_produced_before(value, begin) || is_gradient_of(tensors_[tensor].place, value)) {
        continue;
      }
      combine(value, KernelKind::copy, tensor, std::nullopt, new_boundary(value));
    }
  }

  bool is_produced_before(ValueId value, SegmentId begin) const {
    const auto producer = net_.values[value.index()].producer;
    return producer && net_.layers[producer->index()].segment < begin;
  }

  void add(LayerId id) {
    const Layer& layer = net_.layers[id.index()];
    if (!net_.values[layer.output.index()].needs_gradient) return;
    // The loss is where gradients start: its own is the constant 1 / labels.
    std::optional<std::size_t> from;
    if (layer.output != net_.loss) from = gradient_of(layer.output);
    if (const auto* sum = std::get_if<Add>(&layer.spec); sum && sum->branch_scale == 1.0) {
      share(layer, *from);
      return;
    }
    if (layer.facts.splits_backward) {
      add_split(id, layer, from);
    } else {
      add_whole(id, layer, from);
    }
    if (from) release(*from);
  }

  // The weight gradient first: it needs the output's gradient, which the other may overwrite.
  void add_split(LayerId id, const Layer& layer, std::optional<std::size_t> from) {
    if (!layer.parameters.empty()) {
      KernelStep step = begin_step(KernelKind::backward_weight, id, from);
      read_saved(step, layer);
      push(std::move(step));
    }
    if (!wants_gradient(layer, 0)) return;
    KernelStep step = begin_step(KernelKind::backward_input, id, from);
    step.input_gradients = write_gradients(layer, from);
    finish_gradients(std::move(step), layer);
  }

  void add_whole(LayerId id, const Layer& layer, std::optional<std::size_t> from) {
    KernelStep step = begin_step(KernelKind::backward, id, from);
    read_saved(step, layer);
    step.input_gradients = write_gradients(layer, from);
    finish_gradients(std::move(step), layer);
  }

  KernelStep begin_step(KernelKind kind, LayerId id, std::optional<std::size_t> from) {
    KernelStep step;
    step.kind = kind;
    step.layer = id;
    step.inputs.resize(net_.layers[id.index()].inputs.size());
    step.input_gradients.resize(step.inputs.size());
    if (from) step.output_gradient = tensors_[*from].place;
    return step;
  }

  void read_saved(KernelStep& step, const Layer& layer) {
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      if (layer.facts.saves_input[i]) step.inputs[i] = saved_place(layer.inputs[i]);
    }
    if (layer.facts.saves_output) step.output = saved_place(layer.output);
    step.auxiliaries = range_.auxiliaries(step.layer);
  }

  Place saved_place(ValueId value) {
    if (range_.is_saved(value)) return range_.saved(value);
    add_once(result_.reads_values, value);
    return {Space::value, value, {}};
  }

  bool wants_gradient(const Layer& layer, std::size_t input) const {
    return net_.values[layer.inputs[input].index()].needs_gradient;
  }

  // Where this layer writes the gradient of each input. An input that has a gradient already gets
  // a tensor of its own here, which finish_gradients adds to it.
  std::vector<std::optional<Place>> write_gradients(const Layer& layer,
                                                    std::optional<std::size_t> from) {
    std::vector<std::optional<Place>> places(layer.inputs.size());
    written_.assign(layer.inputs.size(), std::nullopt);
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      if (!wants_gradient(layer, i)) continue;
      const ValueId input = layer.inputs[i];
      const bool first = gradient_.count(input) == 0;
      const bool in_place = i == 0 && layer.facts.backward_in_place && from &&
                            tensors_[*from].owners == 1 &&
                            range_.size(input) == range_.size(layer.output);
      if (first && is_boundary(input)) {
        written_[i] = new_boundary(input);
      } else if (in_place) {
        tensors_[*from].owners += 1;
        written_[i] = *from;
      } else {
        written_[i] = new_scratch(range_.size(input));
      }
      places[i] = tensors_[*written_[i]].place;
    }
    return places;
  }

  // Emits the step, then binds what it wrote to the inputs' gradients.
  void finish_gradients(KernelStep step, const Layer& layer) {
    push(std::move(step));
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      if (written_[i]) contribute(layer.inputs[i], *written_[i]);
    }
  }

  // An addition's inputs both have the output's gradient: no kernel, one tensor.
  void share(const Layer& layer, std::size_t from) {
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      if (!wants_gradient(layer, i)) continue;
      tensors_[from].owners += 1;
      contribute(layer.inputs[i], from);
    }
    release(from);
  }

  // The value's gradient gains this tensor; takes over one ownership of it. A boundary's gradient
  // may stay another value's tensor until the end: often an accumulation moves it home for free.
  void contribute(ValueId value, std::size_t tensor) {
    const auto known = gradient_.find(value);
    if (known == gradient_.end()) {
      gradient_[value] = tensor;
      return;
    }
    const std::size_t old = known->second;
    REHEARSE_CHECK(old != tensor, "{} is both inputs of one addition",
                   net_.values[value.index()].name);
    const bool keep = is_boundary(value) ? is_gradient_of(tensors_[old].place, value)
                                         : tensors_[old].owners == 1;
    const std::size_t sum = keep                 ? old
                            : is_boundary(value) ? new_boundary(value)
                                                 : new_scratch(range_.size(value));
    combine(value, KernelKind::accumulate, old, tensor, sum);
    release(tensor);
    if (sum != old) release(old);
    gradient_[value] = sum;
  }

  void combine(ValueId value, KernelKind kind, std::size_t left, std::optional<std::size_t> right,
               std::size_t sum) {
    KernelStep step;
    step.kind = kind;
    step.layer = *net_.values[value.index()].producer;
    step.left = tensors_[left].place;
    if (right) step.right = tensors_[*right].place;
    step.sum = tensors_[sum].place;
    step.elements = net_.values[value.index()].shape.elements();
    push(std::move(step));
  }

  // The gradient of a value when its producer's turn comes: complete by now.
  std::size_t gradient_of(ValueId value) {
    const auto known = gradient_.find(value);
    if (known != gradient_.end()) return known->second;
    REHEARSE_CHECK(is_boundary(value), "nothing contributes to the gradient of {}",
                   net_.values[value.index()].name);
    add_once(result_.reads_gradients, value);
    tensors_.push_back({{Space::gradient, value, {}}, 1});
    return gradient_[value] = tensors_.size() - 1;
  }

  // Whether the gradient of this value leaves the range, or comes from outside.
  bool is_boundary(ValueId value) const { return range_.is_boundary(value); }
  static bool is_gradient_of(const Place& place, ValueId value) {
    return place.space == Space::gradient && place.value == value;
  }

  std::size_t new_boundary(ValueId value) {
    add_once(result_.writes_gradients, value);
    tensors_.push_back({{Space::gradient, value, {}}, 1});
    return tensors_.size() - 1;
  }
  std::size_t new_scratch(Bytes size) {
    tensors_.push_back({scratch_place(scratch_.add(size, result_.steps.size())), 1});
    return tensors_.size() - 1;
  }
  void release(std::size_t tensor) { tensors_[tensor].owners -= 1; }

  void push(KernelStep step) {
    const std::size_t now = result_.steps.size();
    each_place(step, [&](Place& place) {
      if (place.space != Space::scratch) return;
      scratch_.use(static_cast<std::size_t>(place.offset.bytes()), now);
    });
    result_.steps.push_back(std::move(step));
  }

  const Net& net_;
  const RangePlaces& range_;
  Slab scratch_;
  std::vector<GradientTensor> tensors_;
  std::map<ValueId, std::size_t> gradient_;
  std::vector<std::optional<std::size_t>> written_;
  Lowering result_;
};

}  // namespace

std::string_view to_string(KernelKind kind) {
  switch (kind) {
    case KernelKind::forward: return "forward";
    case KernelKind::backward: return "backward";
    case KernelKind::backward_input: return "backward_input";
    case KernelKind::backward_weight: return "backward_weight";
    case KernelKind::accumulate: return "accumulate";
    case KernelKind::copy: return "copy";
  }
  REHEARSE_UNREACHABLE("kernel kind");
}

std::string_view to_string(Pass pass) { return pass == Pass::forward ? "forward" : "backward"; }

Bytes size_of(const Net& net, ValueId value, std::int64_t samples, const ElementSizes& sizes) {
  const Value& v = net.values[value.index()];
  const std::int64_t element = v.type == ValueType::index ? kIndexBytes
                               : value == net.loss        ? sizes.statistic_bytes
                                                          : sizes.activation_bytes;
  return Bytes::bytes(v.shape.elements() * samples * element);
}

std::vector<ValueId> values_across(const Net& net, SegmentId cut) {
  std::vector<ValueId> across;
  for (std::size_t s = cut.index(); s < net.segments.size(); ++s) {
    for (const LayerId id : net.segments[s].layers) {
      for (const ValueId input : net.layers[id.index()].inputs) {
        const auto producer = net.values[input.index()].producer;
        if (producer && net.layers[producer->index()].segment < cut) add_once(across, input);
      }
    }
  }
  return across;
}

Lowering lower(const Net& net, SegmentId begin, SegmentId end, Pass pass, std::int64_t samples,
               const ElementSizes& sizes) {
  const RangePlaces range(net, begin, end, samples, sizes);
  if (pass == Pass::forward) return ForwardLowering(net, range).run(begin, end);
  return BackwardLowering(net, range).run(begin, end);
}

StepWork work_of(const Net& net, const KernelStep& step, std::int64_t samples,
                 const ElementSizes& sizes) {
  const Layer& layer = net.layers[step.layer.index()];
  const auto scale = [&](KernelClass kernel, const Work& work) {
    const std::int64_t elements = work.elements_per_sample * samples + work.elements_per_call;
    return StepWork{kernel, work.per_sample * static_cast<double>(samples) + work.per_call,
                    Bytes::bytes(elements * sizes.activation_bytes)};
  };
  const auto streams = [&](KernelClass kernel, double flops, std::int64_t tensors) {
    const std::int64_t elements = step.elements * samples;
    return StepWork{kernel, Flops::flops(flops * static_cast<double>(elements)),
                    Bytes::bytes(tensors * elements * sizes.activation_bytes)};
  };
  switch (step.kind) {
    case KernelKind::forward: return scale(layer.facts.kernel, layer.facts.forward);
    case KernelKind::backward:
      return scale(layer.facts.kernel, layer.facts.backward_input + layer.facts.backward_weight);
    case KernelKind::backward_input: return scale(layer.facts.kernel, layer.facts.backward_input);
    case KernelKind::backward_weight: return scale(layer.facts.kernel, layer.facts.backward_weight);
    case KernelKind::accumulate: return streams(KernelClass::elementwise, 1, 3);
    case KernelKind::copy: return streams(KernelClass::copy, 0, 2);
  }
  REHEARSE_UNREACHABLE("kernel kind");
}

}  // namespace rehearse
