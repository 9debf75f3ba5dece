#include <map>

#include "model/base/check.h"
#include "model/net/lowering/places.h"

namespace rehearse::lowering {
namespace {

// A gradient tensor; an addition hands one tensor to both of its inputs, so several values can
// share it, and only its last owner may overwrite it.
struct GradientTensor {
  Place place;
  int owners = 1;
  // Whether the weight pass of a split backward reads it: never overwritten then (one ownership is
  // never released), and not in scratch.
  bool deferred = false;
};

class BackwardLowering {
 public:
  BackwardLowering(const Net& net, const RangePlaces& range) : net_(net), range_(range) {}

  SplitBackward run(SegmentId begin, SegmentId end) {
    receive_gradients(begin, end);
    for (std::size_t s = end.index(); s-- > begin.index();) {
      const auto& layers = net_.segments[s].layers;
      for (auto id = layers.rbegin(); id != layers.rend(); ++id)
        add(*id);
    }
    deliver_gradients(begin);
    place_deferred();
    pack_scratch(result_, scratch_);
    for (Lowering* lowering : {&result_, &weight_}) {
      lowering->saved = range_.saved_size();
      lowering->kept = range_.kept_size();
      lowering->deferred = deferred_size_;
    }
    return {std::move(result_), std::move(weight_)};
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
    if (hands_on(layer)) {
      share(layer, *from);
      return;
    }
    if (range_.defers(layer)) {
      add_deferred(id, layer, from);
    } else if (layer.facts.splits_backward) {
      add_split(id, layer, from);
    } else {
      add_whole(id, layer, from);
    }
    if (from) release(*from);
  }

  // Whether all inputs have the output's gradient.
  static bool hands_on(const Layer& layer) {
    if (const auto* add = std::get_if<Add>(&layer.spec)) return add->branch_scale == 1.0;
    const auto* sum = std::get_if<Sum>(&layer.spec);
    return sum && sum->scale == 1.0;
  }

  // The weight gradient is left to the weight pass, which reads the output's gradient then.
  void add_deferred(LayerId id, const Layer& layer, std::optional<std::size_t> from) {
    const KernelKind kind =
        layer.facts.splits_backward ? KernelKind::backward_weight : KernelKind::backward;
    KernelStep step = begin_step(kind, id, from);
    read_saved(step, layer, weight_);
    if (from) defer(*from);
    weight_.steps.push_back(std::move(step));
    if (!wants_gradient(layer, 0)) return;
    KernelStep input = begin_step(KernelKind::backward_input, id, from);
    input.input_gradients = write_gradients(layer, from);
    finish_gradients(std::move(input), layer);
  }

  void defer(std::size_t tensor) {
    GradientTensor& it = tensors_[tensor];
    if (!it.deferred) it.owners += 1;
    it.deferred = true;
    if (it.place.space == Space::gradient) add_once(weight_.reads_gradients, it.place.value);
  }

  // Scratch tensors that are deferred get a place of their own in the slab of those.
  void place_deferred() {
    std::map<Bytes, Place> places;
    for (const GradientTensor& tensor : tensors_) {
      if (!tensor.deferred || tensor.place.space != Space::scratch) continue;
      const auto [entry, is_new] =
          places.try_emplace(tensor.place.offset, Place{Space::deferred, {}, deferred_size_});
      if (is_new)
        deferred_size_ += align_up(
            scratch_.size(static_cast<std::size_t>(tensor.place.offset.bytes())), kAlignment);
    }
    for (Lowering* lowering : {&result_, &weight_}) {
      for (KernelStep& step : lowering->steps) {
        each_place(step, [&](Place& place) {
          if (place.space != Space::scratch) return;
          const auto found = places.find(place.offset);
          if (found != places.end()) place = found->second;
        });
      }
    }
    for (const auto& [number, place] : places)
      scratch_.drop(static_cast<std::size_t>(number.bytes()));
  }

  // The weight gradient first: it needs the output's gradient, which the other may overwrite.
  void add_split(LayerId id, const Layer& layer, std::optional<std::size_t> from) {
    if (trains(layer)) {
      KernelStep step = begin_step(KernelKind::backward_weight, id, from);
      read_saved(step, layer, result_);
      push(std::move(step));
    }
    if (!wants_gradient(layer, 0)) return;
    KernelStep step = begin_step(KernelKind::backward_input, id, from);
    step.input_gradients = write_gradients(layer, from);
    finish_gradients(std::move(step), layer);
  }

  void add_whole(LayerId id, const Layer& layer, std::optional<std::size_t> from) {
    KernelStep step = begin_step(KernelKind::backward, id, from);
    read_saved(step, layer, result_);
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

  void read_saved(KernelStep& step, const Layer& layer, Lowering& reader) {
    for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
      if (layer.facts.saves_input[i]) step.inputs[i] = saved_place(layer.inputs[i], reader);
    }
    if (layer.facts.saves_output) step.output = saved_place(layer.output, reader);
    step.auxiliaries = range_.auxiliaries(step.layer);
  }

  Place saved_place(ValueId value, Lowering& reader) {
    if (range_.is_saved(value)) return range_.saved(value);
    add_once(reader.reads_values, value);
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

  // An addition's inputs all have the output's gradient: no kernel, one tensor.
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
    const bool keep =
        is_boundary(value) ? is_gradient_of(tensors_[old].place, value) : tensors_[old].owners == 1;
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
  Bytes deferred_size_;
  Lowering result_;  // of the input pass, or of all
  Lowering weight_;  // of the weight pass
};

}  // namespace

Lowering lower_backward(const Net& net, const RangePlaces& range, SegmentId begin, SegmentId end) {
  return BackwardLowering(net, range).run(begin, end).input;
}

SplitBackward lower_split_backward(const Net& net, const RangePlaces& range, SegmentId begin,
                                   SegmentId end) {
  return BackwardLowering(net, range).run(begin, end);
}

}  // namespace rehearse::lowering
