#include "model/net/net.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/check.h"

namespace rehearse {
namespace {

struct Uses {
  std::vector<int> readers;  // by value: layers that read it
  std::vector<bool> saved;   // by value: whether a backward pass reads it
};

Uses count_uses(const Net& net) {
  Uses uses{std::vector<int>(net.values.size(), 0), std::vector<bool>(net.values.size(), false)};
  for (const Segment& segment : net.segments) {
    for (const LayerId id : segment.layers) {
      const Layer& layer = net.layers[id.index()];
      for (std::size_t i = 0; i < layer.inputs.size(); ++i) {
        const auto value = layer.inputs[i].index();
        ++uses.readers[value];
        if (layer.facts.saves_input[i]) uses.saved[value] = true;
      }
      if (layer.facts.saves_output) uses.saved[layer.output.index()] = true;
    }
  }
  return uses;
}

// From the end: what crosses a cut is read by the segment behind it, or crosses the next cut, too.
std::vector<std::vector<ValueId>> find_across(const Net& net) {
  std::vector<std::vector<ValueId>> across(net.segments.size() + 1);
  for (std::size_t s = net.segments.size(); s-- > 0;) {
    std::vector<ValueId>& crossing = across[s];
    const auto add = [&](ValueId value) {
      const auto producer = net.values[value.index()].producer;
      if (!producer || net.layers[producer->index()].segment >= SegmentId(s)) return;
      if (std::find(crossing.begin(), crossing.end(), value) == crossing.end())
        crossing.push_back(value);
    };
    for (const LayerId id : net.segments[s].layers)
      std::for_each(net.layers[id.index()].inputs.begin(), net.layers[id.index()].inputs.end(),
                    add);
    std::for_each(across[s + 1].begin(), across[s + 1].end(), add);
  }
  return across;
}

// In place only within a segment: what a plan may cut between never shares memory.
bool works_in_place(const Net& net, const Uses& uses, const Layer& layer) {
  if (!layer.facts.forward_in_place) return false;
  const Value& input = net.values[layer.inputs[0].index()];
  if (!input.producer || uses.saved[layer.inputs[0].index()]) return false;
  if (uses.readers[layer.inputs[0].index()] != 1) return false;
  return net.layers[input.producer->index()].segment == layer.segment &&
         input.shape == net.values[layer.output.index()].shape;
}

// The terms of a sum that stand for something.
void keep_terms(Layer& sum, const std::vector<std::optional<ValueId>>& stands, const Net& net) {
  std::erase_if(sum.inputs, [&](ValueId term) { return !stands[term.index()]; });
  REHEARSE_CHECK(!sum.inputs.empty(), "{}: none of its units is held", sum.name);
  sum.facts = describe(sum.spec,
                       std::vector<Shape>(sum.inputs.size(), net.values[sum.output.index()].shape));
}

// The input that stands for the layer's output where the layer is gone.
std::optional<std::size_t> stand_in(const Layer& layer) {
  return std::holds_alternative<Dropout>(layer.spec) ? 0 : layer.bypass;
}

template <class Gone>
Net without_layers(const Net& net, Gone gone) {
  Net result = net;
  // What stands for each value; layers come in order, so one pass resolves chains of bypasses.
  std::vector<std::optional<ValueId>> stands(net.values.size());
  for (std::size_t v = 0; v < net.values.size(); ++v)
    stands[v] = ValueId(v);
  for (Segment& segment : result.segments) {
    std::vector<LayerId> kept;
    for (const LayerId id : segment.layers) {
      Layer& layer = result.layers[id.index()];
      if (gone(layer)) {
        const auto input = stand_in(layer);
        stands[layer.output.index()] = input ? stands[layer.inputs[*input].index()] : std::nullopt;
        continue;
      }
      if (std::holds_alternative<Sum>(layer.spec)) keep_terms(layer, stands, result);
      for (ValueId& input : layer.inputs) {
        const auto stand = stands[input.index()];
        REHEARSE_CHECK(stand.has_value(), "layer {} reads {} of a dropped unit", layer.name,
                       net.values[input.index()].name);
        input = *stand;
      }
      kept.push_back(id);
    }
    segment.layers = std::move(kept);
  }
  finish(result);
  return result;
}

}  // namespace

bool ParameterSlice::contains(std::int64_t number) const {
  std::int64_t inner = 1;
  for (std::size_t d = dimension + 1; d < whole.dims.size(); ++d)
    inner *= whole.dims[d];
  const std::int64_t place = number / inner % whole.dims[dimension];
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return range.begin <= place && place < range.end; });
}

std::vector<ParameterSlice::Run> ParameterSlice::runs() const {
  std::int64_t inner = 1;
  for (std::size_t d = dimension + 1; d < whole.dims.size(); ++d)
    inner *= whole.dims[d];
  const std::int64_t across = whole.dims[dimension] * inner;
  std::vector<Run> runs;
  std::int64_t part = 0;
  for (std::int64_t row = 0; row < whole.elements(); row += across) {
    for (const Range& range : ranges) {
      const std::int64_t elements = (range.end - range.begin) * inner;
      if (elements > 0) runs.push_back({part, row + range.begin * inner, elements});
      part += elements;
    }
  }
  return runs;
}

std::string_view to_string(Exchange exchange) {
  switch (exchange) {
    case Exchange::none:
      return "none";
    case Exchange::sum:
      return "sum";
    case Exchange::sum_gradient:
      return "sum_gradient";
  }
  REHEARSE_UNREACHABLE("exchange");
}

std::string_view to_string(Spread spread) {
  switch (spread) {
    case Spread::replicated:
      return "replicated";
    case Spread::sliced:
      return "sliced";
    case Spread::partial:
      return "partial";
  }
  REHEARSE_UNREACHABLE("spread");
}

void finish(Net& net) {
  const Uses uses = count_uses(net);
  for (Value& value : net.values)
    value.needs_gradient = false;
  std::vector<bool> written(net.values.size(), false);
  for (std::size_t v = 0; v < net.values.size(); ++v)
    written[v] = !net.values[v].producer;
  for (const Segment& segment : net.segments) {
    for (const LayerId id : segment.layers) {
      Layer& layer = net.layers[id.index()];
      bool needs_gradient = trains(layer);
      for (const ValueId input : layer.inputs) {
        const Value& value = net.values[input.index()];
        REHEARSE_CHECK(written[input.index()], "layer {} reads {} before it is written", layer.name,
                       value.name);
        needs_gradient = needs_gradient || value.needs_gradient;
      }
      net.values[layer.output.index()].needs_gradient = needs_gradient;
      written[layer.output.index()] = true;
      layer.in_place = works_in_place(net, uses, layer);
    }
  }
  net.across = find_across(net);
  REHEARSE_CHECK(written[net.loss.index()], "network {} computes no loss", net.name);
}

Subnetwork full_subnetwork(const Net& net) {
  return {std::vector<bool>(net.units.size(), true)};
}

Net restrict(const Net& net, const Subnetwork& subnetwork) {
  REHEARSE_CHECK(subnetwork.holds.size() == net.units.size(), "{} of {} units described",
                 subnetwork.holds.size(), net.units.size());
  return without_layers(net, [&](const Layer& layer) {
    return layer.unit && !subnetwork.holds[layer.unit->index()];
  });
}

Net freeze(const Net& net, const Subnetwork& subnetwork) {
  REHEARSE_CHECK(subnetwork.holds.size() == net.units.size(), "{} of {} units described",
                 subnetwork.holds.size(), net.units.size());
  Net result = net;
  for (Layer& layer : result.layers) {
    const bool held = !layer.unit || subnetwork.holds[layer.unit->index()];
    if (held || layer.parameters.empty()) continue;
    layer.frozen = true;
    layer.facts = without_weight_gradients(std::move(layer.facts));
  }
  finish(result);
  return result;
}

Net without_dropout(const Net& net) {
  return without_layers(
      net, [](const Layer& layer) { return std::holds_alternative<Dropout>(layer.spec); });
}

Net scale_branches(const Net& net, double factor) {
  Net result = net;
  for (Layer& layer : result.layers) {
    if (auto* sum = std::get_if<Sum>(&layer.spec)) {
      sum->scale *= factor;
      layer.facts =
          describe(layer.spec, std::vector<Shape>(layer.inputs.size(), layer.facts.output));
    }
    if (!layer.unit) continue;
    if (auto* add = std::get_if<Add>(&layer.spec)) add->branch_scale *= factor;
  }
  return result;
}

Net scale_branches(const Net& net, const std::vector<double>& factors) {
  REHEARSE_CHECK(factors.size() == net.units.size(), "{} factors for {} units", factors.size(),
                 net.units.size());
  const bool is_one =
      std::adjacent_find(factors.begin(), factors.end(), std::not_equal_to<>()) == factors.end();
  if (is_one) return factors.empty() ? net : scale_branches(net, factors.front());
  Net result = net;
  for (Layer& layer : result.layers) {
    REHEARSE_CHECK(!std::holds_alternative<Sum>(layer.spec), "a width's sum has one factor");
    if (!layer.unit) continue;
    if (auto* add = std::get_if<Add>(&layer.spec))
      add->branch_scale *= factors[layer.unit->index()];
  }
  return result;
}

namespace {

// change: whether it has changed a layer, which keeps its shapes and has no parameters.
template <class Change>
Net change_layers(const Net& net, Change change) {
  Net result = net;
  for (Layer& layer : result.layers) {
    if (!change(layer.spec)) continue;
    std::vector<Shape> inputs;
    for (const ValueId input : layer.inputs)
      inputs.push_back(net.values[input.index()].shape);
    layer.facts = describe(layer.spec, inputs);
  }
  finish(result);
  return result;
}

}  // namespace

Net recompute_attention(const Net& net) {
  return change_layers(net, [](LayerSpec& spec) {
    auto* attention = std::get_if<Attention>(&spec);
    if (attention == nullptr) return false;
    attention->checkpointed = !attention->fused && attention->kernels == Kernels::megatron;
    attention->fused = !attention->checkpointed;
    return true;
  });
}

Net with_kernels(const Net& net, Kernels kernels, double attention_dropout) {
  return change_layers(net, [&](LayerSpec& spec) {
    auto* dropout = std::get_if<Dropout>(&spec);
    auto* attention = std::get_if<Attention>(&spec);
    if (dropout != nullptr) dropout->kernels = kernels;
    if (attention != nullptr) {
      attention->kernels = kernels;
      attention->dropout = attention_dropout;
    }
    return dropout != nullptr || attention != nullptr;
  });
}

std::optional<std::string> predicted_only(const Net& net) {
  for (const Layer& layer : net.layers) {
    const auto* dropout = std::get_if<Dropout>(&layer.spec);
    const auto* attention = std::get_if<Attention>(&layer.spec);
    const bool own = (dropout == nullptr || dropout->kernels == Kernels::own) &&
                     (attention == nullptr || attention->kernels == Kernels::own);
    if (!own) return fmt::format("layer {} is of other kernels than ours", layer.name);
    if (attention != nullptr && attention->dropout > 0)
      return fmt::format("layer {} has a dropout of its probabilities", layer.name);
  }
  return std::nullopt;
}

std::optional<LayerId> row_exchange(const Net& net, SegmentId segment) {
  const auto& layers = net.segments[segment.index()].layers;
  if (layers.size() != 1) return std::nullopt;
  const LayerSpec& spec = net.layers[layers.front().index()].spec;
  const bool exchanges =
      std::holds_alternative<GatherRows>(spec) || std::holds_alternative<ScatterRows>(spec);
  return exchanges ? std::optional(layers.front()) : std::nullopt;
}

bool trains(const Layer& layer) {
  return !layer.parameters.empty() && !layer.frozen;
}

std::int64_t parameter_count(const Net& net) {
  std::int64_t count = 0;
  for (const Parameter& parameter : net.parameters)
    count += parameter.shape.elements();
  return count;
}

std::vector<ParameterId> parameters_of(const Net& net, SegmentId begin, SegmentId end) {
  std::vector<ParameterId> found;
  std::vector<bool> seen(net.parameters.size(), false);
  for (std::size_t s = begin.index(); s < end.index(); ++s) {
    for (const LayerId id : net.segments[s].layers) {
      for (const ParameterId parameter : net.layers[id.index()].parameters) {
        if (seen[parameter.index()]) continue;
        seen[parameter.index()] = true;
        found.push_back(parameter);
      }
    }
  }
  return found;
}

PassFlops flops_of(const Net& net, SegmentId begin, SegmentId end, std::int64_t samples) {
  PassFlops sum;
  const auto n = static_cast<double>(samples);
  const auto of = [&](const Work& work) { return work.per_sample * n + work.per_call; };
  for (std::size_t s = begin.index(); s < end.index(); ++s) {
    for (const LayerId id : net.segments[s].layers) {
      const Layer& layer = net.layers[id.index()];
      sum.forward += of(layer.facts.forward);
      const bool input_gradient =
          std::any_of(layer.inputs.begin(), layer.inputs.end(),
                      [&](ValueId v) { return net.values[v.index()].needs_gradient; });
      if (input_gradient || !layer.facts.splits_backward) {
        sum.backward_input += of(layer.facts.backward_input);
      }
      if (trains(layer)) sum.backward_weight += of(layer.facts.backward_weight);
    }
  }
  return sum;
}

PassFlops flops_of(const Net& net, std::int64_t samples) {
  return flops_of(net, SegmentId(0), end_segment(net), samples);
}

std::int64_t labels_per_sample(const Net& net) {
  return net.values[net.labels.index()].shape.elements();
}

SegmentId end_segment(const Net& net) {
  return SegmentId(net.segments.size());
}

const std::vector<ValueId>& values_across(const Net& net, SegmentId cut) {
  return net.across[cut.index()];
}

SegmentId begin_of(const Net& net, BlockId block) {
  return net.blocks[block.index()].segments.front();
}

SegmentId end_of(const Net& net, BlockId block) {
  return SegmentId(net.blocks[block.index()].segments.back().value() + 1);
}

}  // namespace rehearse
