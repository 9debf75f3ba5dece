#include "model/net/width.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/base/check.h"

namespace rehearse {
namespace {

// ---- which widths there are --------------------------------------------------------------------

enum class Place {
  outside,
  first,   // the product whose rows are cut
  inside,  // works channel by channel, or head by head
  last,    // the product whose columns are cut
};

// An inner width, by the layers that see it.
struct Width {
  std::vector<LayerId> layers;  // in the order they run
  WidthAxis axis = WidthAxis::hidden;
  std::int64_t channels = 0;  // or groups of heads, if there are heads
  bool closed = false;        // it ends in a product
};

bool is_product(const LayerSpec& spec) {
  return std::holds_alternative<Linear>(spec) || std::holds_alternative<Conv2d>(spec);
}

bool works_by_channel(const LayerSpec& spec) {
  return std::holds_alternative<Relu>(spec) || std::holds_alternative<Gelu>(spec) ||
         std::holds_alternative<SwiGlu>(spec) || std::holds_alternative<BatchNorm>(spec) ||
         std::holds_alternative<Rotary>(spec) || std::holds_alternative<Attention>(spec) ||
         std::holds_alternative<Dropout>(spec);
}

class Finder {
 public:
  explicit Finder(const Net& net)
      : net_(net),
        width_of_(net.values.size()),
        readers_(net.values.size(), 0),
        users_(net.parameters.size(), 0) {
    for (const Layer& layer : net.layers) {
      for (const ValueId input : layer.inputs)
        ++readers_[input.index()];
      for (const ParameterId parameter : layer.parameters)
        ++users_[parameter.index()];
    }
  }

  std::vector<Width> run() {
    for (const Segment& segment : net_.segments) {
      for (const LayerId id : segment.layers)
        visit(id);
    }
    std::erase_if(widths_, [](const Width& width) { return !width.closed; });
    for (Width& width : widths_)
      std::sort(width.layers.begin(), width.layers.end());
    return std::move(widths_);
  }

 private:
  // The open width that all inputs carry; what carries on nothing ends it without a product.
  void visit(LayerId id) {
    const Layer& layer = net_.layers[id.index()];
    const auto width = width_of_[layer.inputs[0].index()];
    if (is_product(layer.spec)) {
      if (width) {
        widths_[*width].layers.push_back(id);
        widths_[*width].closed = true;
      } else if (is_private(layer)) {
        width_of_[layer.output.index()] = widths_.size();
        const bool is_image = std::holds_alternative<Conv2d>(layer.spec);
        widths_.push_back({{id},
                           is_image ? WidthAxis::channels : WidthAxis::hidden,
                           layer.facts.output.dims.back(),
                           false});
      }
      return;
    }
    if (!width || !works_by_channel(layer.spec) || !is_private(layer)) return;
    for (std::size_t i = 1; i < layer.inputs.size(); ++i) {
      const auto other = width_of_[layer.inputs[i].index()];
      if (!other) return;
      if (*other != *width) join(*width, *other);
    }
    if (const auto* attention = std::get_if<Attention>(&layer.spec)) {
      widths_[*width].axis = WidthAxis::heads;
      widths_[*width].channels = attention->kv_heads;
    }
    widths_[*width].layers.push_back(id);
    width_of_[layer.output.index()] = width;
  }

  // Nobody else reads its output or uses its parameters.
  bool is_private(const Layer& layer) const {
    return readers_[layer.output.index()] == 1 &&
           std::all_of(layer.parameters.begin(), layer.parameters.end(),
                       [&](ParameterId parameter) { return users_[parameter.index()] == 1; });
  }

  void join(std::size_t into, std::size_t other) {
    auto& layers = widths_[other].layers;
    widths_[into].layers.insert(widths_[into].layers.end(), layers.begin(), layers.end());
    layers.clear();
  }

  const Net& net_;
  std::vector<std::optional<std::size_t>> width_of_;  // by value
  std::vector<int> readers_, users_;                  // by value; by parameter
  std::vector<Width> widths_;
};

// ---- one unit's part of a layer ----------------------------------------------------------------

// Channels, or groups of heads, [begin, end) of `all`.
struct Part {
  Place place = Place::outside;
  std::int64_t begin = 0, end = 0, all = 1;

  std::int64_t of(std::int64_t whole) const { return whole / all * (end - begin); }
  void operator()(Linear& linear) const {
    if (place == Place::last) {
      linear.in_features = of(linear.in_features);
      linear.bias = false;
    } else {
      linear.out_features = of(linear.out_features);
    }
  }
  void operator()(Conv2d& conv) const {
    auto& channels = place == Place::last ? conv.in_channels : conv.out_channels;
    channels = of(channels);
  }
  void operator()(BatchNorm& norm) const { norm.channels = of(norm.channels); }
  void operator()(Rotary& rotary) const { cut_heads(rotary); }
  void operator()(Attention& attention) const { cut_heads(attention); }
  // The others take the width of their input.
  template <class Other>
  void operator()(Other&) const {}

 private:
  template <class Heads>
  void cut_heads(Heads& layer) const {
    layer.heads = of(layer.heads);
    layer.kv_heads = of(layer.kv_heads);
  }
};

// ---- the transform -----------------------------------------------------------------------------

class Splitter {
 public:
  Splitter(const Net& full, std::vector<Width> widths, std::int64_t units)
      : full_(full),
        widths_(std::move(widths)),
        units_(units),
        width_of_(full.layers.size()),
        net_(full) {
    for (std::size_t w = 0; w < widths_.size(); ++w) {
      for (const LayerId id : widths_[w].layers)
        width_of_[id.index()] = w;
    }
  }

  Net run() {
    net_.units.clear();
    for (Layer& layer : net_.layers)
      layer.unit = std::nullopt, layer.bypass = std::nullopt;
    for (Parameter& parameter : net_.parameters)
      parameter.unit = std::nullopt;
    for (Block& block : net_.blocks)
      block.identity_skip = false;
    for (std::size_t w = 0; w < widths_.size(); ++w)
      add_units(w);
    for (std::size_t s = 0; s < full_.segments.size(); ++s)
      split(SegmentId(s));
    finish(net_);
    return std::move(net_);
  }

 private:
  Part part_of(std::size_t width, std::int64_t unit) const {
    const std::int64_t n = widths_[width].channels;
    return {Place::outside, unit * n / units_, (unit + 1) * n / units_, n};
  }

  void add_units(std::size_t w) {
    const Layer& first = full_.layers[widths_[w].layers.front().index()];
    const Segment& segment = full_.segments[first.segment.index()];
    units_of_.push_back(net_.units.size());
    for (std::int64_t k = 0; k < units_; ++k) {
      const Part part = part_of(w, k);
      const std::int64_t channels = part.end - part.begin;
      net_.units.push_back(
          {fmt::format("{}[{}:{}]", segment.name, part.begin, part.end), segment.block,
           fmt::format("{}x{}", to_string(first.facts.output), channels), w, channels});
    }
  }

  // Layers of one width that follow one another run unit by unit.
  void split(SegmentId segment) {
    const std::vector<LayerId>& layers = full_.segments[segment.index()].layers;
    std::vector<LayerId> result;
    for (std::size_t begin = 0; begin < layers.size();) {
      const auto width = width_of_[layers[begin].index()];
      std::size_t end = begin + 1;
      while (width && end < layers.size() && width_of_[layers[end].index()] == width)
        ++end;
      const std::vector<LayerId> run(layers.begin() + static_cast<std::ptrdiff_t>(begin),
                                     layers.begin() + static_cast<std::ptrdiff_t>(end));
      if (width) {
        split_run(run, *width, result);
      } else {
        result.push_back(run.front());
      }
      begin = end;
    }
    net_.segments[segment.index()].layers = std::move(result);
  }

  void split_run(const std::vector<LayerId>& run, std::size_t width, std::vector<LayerId>& result) {
    const bool ends = run.back() == widths_[width].layers.back();
    std::vector<ValueId> terms;
    for (std::int64_t unit = 0; unit < units_; ++unit) {
      for (const LayerId id : run) {
        result.push_back(add_part(id, width, unit));
        if (ends && id == run.back()) terms.push_back(net_.layers[result.back().index()].output);
      }
    }
    if (ends) add_sum(run.back(), terms, result);
  }

  Place place_of(LayerId id, std::size_t width) const {
    if (id == widths_[width].layers.back()) return Place::last;
    return is_product(full_.layers[id.index()].spec) ? Place::first : Place::inside;
  }

  // The first unit's layers keep their ids; but what all units add up to is the old output.
  LayerId add_part(LayerId id, std::size_t width, std::int64_t unit) {
    const Layer& whole = full_.layers[id.index()];
    Part part = part_of(width, unit);
    part.place = place_of(id, width);
    Layer layer = whole;
    layer.name = fmt::format("{}[{}]", whole.name, unit);
    std::visit(part, layer.spec);
    std::vector<Shape> shapes;
    for (ValueId& input : layer.inputs) {
      const auto known = parts_.find({input, unit});
      if (known != parts_.end()) input = known->second;
      shapes.push_back(net_.values[input.index()].shape);
    }
    layer.facts = describe(layer.spec, shapes);
    layer.unit = UnitId(units_of_[width] + static_cast<std::size_t>(unit));
    layer.bypass = std::nullopt;
    layer.parameters = cut_parameters(whole, layer, part, unit);
    const LayerId own = unit == 0 ? id : LayerId(net_.layers.size());
    layer.output = part_of_value(whole.output, layer, own, part.place, unit);
    if (unit == 0) {
      net_.layers[id.index()] = std::move(layer);
    } else {
      net_.layers.push_back(std::move(layer));
    }
    return own;
  }

  ValueId part_of_value(ValueId whole, const Layer& layer, LayerId producer, Place place,
                        std::int64_t unit) {
    Value value = full_.values[whole.index()];
    value.name = fmt::format("{}[{}]", value.name, unit);
    value.shape = layer.facts.output;
    value.producer = producer;
    const bool keeps = unit == 0 && place != Place::last;
    const ValueId own = keeps ? whole : ValueId(net_.values.size());
    if (keeps) {
      net_.values[whole.index()] = std::move(value);
    } else {
      net_.values.push_back(std::move(value));
    }
    if (place != Place::last) parts_[{whole, unit}] = own;
    return own;
  }

  // The last product's bias is no unit's.
  std::vector<ParameterId> cut_parameters(const Layer& whole, const Layer& layer, const Part& part,
                                          std::int64_t unit) {
    std::vector<ParameterId> own;
    for (std::size_t i = 0; i < layer.facts.parameters.size(); ++i) {
      const ParameterId id = whole.parameters[i];
      Parameter parameter = full_.parameters[id.index()];
      parameter.name = fmt::format("{}[{}]", parameter.name, unit);
      parameter.slice = slice_of(whole, parameter.shape, part);
      parameter.drawn_as = id;
      parameter.shape = layer.facts.parameters[i].shape;
      parameter.unit = layer.unit;
      own.push_back(unit == 0 ? id : ParameterId(net_.parameters.size()));
      if (unit == 0) {
        net_.parameters[id.index()] = std::move(parameter);
      } else {
        net_.parameters.push_back(std::move(parameter));
      }
    }
    return own;
  }

  // Rows of the first product's weights and of whatever is inside, columns of the last one's.
  // Packed queries, keys and values are three runs of rows.
  ParameterSlice slice_of(const Layer& whole, const Shape& shape, const Part& part) const {
    ParameterSlice slice{shape, part.place == Place::last ? shape.dims.size() - 1 : 0, {}};
    std::vector<std::int64_t> runs = {shape.dims[slice.dimension]};
    if (const Attention* attention = attention_after(whole);
        attention && part.place == Place::first)
      runs = {attention->heads * attention->head_size, attention->kv_heads * attention->head_size,
              attention->kv_heads * attention->head_size};
    std::int64_t start = 0;
    for (const std::int64_t run : runs) {
      const std::int64_t each = run / part.all;
      slice.ranges.push_back({start + each * part.begin, start + each * part.end});
      start += run;
    }
    return slice;
  }

  const Attention* attention_after(const Layer& first) const {
    const auto width = width_of_[full_.values[first.output.index()].producer->index()];
    for (const LayerId id : widths_[*width].layers) {
      if (const auto* attention = std::get_if<Attention>(&full_.layers[id.index()].spec))
        return attention;
    }
    return nullptr;
  }

  void add_sum(LayerId last, const std::vector<ValueId>& terms, std::vector<LayerId>& result) {
    const Layer& whole = full_.layers[last.index()];
    const bool biased = whole.parameters.size() > 1;
    ValueId sum = whole.output;
    if (biased) {
      sum = ValueId(net_.values.size());
      net_.values.push_back(full_.values[whole.output.index()]);
      net_.values[sum.index()].name += ".sum";
    }
    result.push_back(append(whole, "sum", Sum{1.0}, terms, sum, {}));
    if (!biased) return;
    const std::int64_t width = whole.facts.output.dims.back();
    result.push_back(
        append(whole, "bias", Bias{width}, {sum}, whole.output, {whole.parameters[1]}));
  }

  LayerId append(const Layer& whole, std::string_view what, LayerSpec spec,
                 std::vector<ValueId> inputs, ValueId output, std::vector<ParameterId> parameters) {
    const LayerId id(net_.layers.size());
    const std::vector<Shape> shapes(inputs.size(), whole.facts.output);
    net_.layers.push_back({.name = fmt::format("{}.{}", whole.name, what),
                           .spec = spec,
                           .inputs = std::move(inputs),
                           .output = output,
                           .parameters = std::move(parameters),
                           .segment = whole.segment,
                           .unit = std::nullopt,
                           .bypass = std::nullopt,
                           .facts = describe(spec, shapes)});
    net_.values[output.index()].producer = id;
    return id;
  }

  const Net& full_;
  const std::vector<Width> widths_;
  const std::int64_t units_;
  std::vector<std::optional<std::size_t>> width_of_;  // by layer
  std::vector<std::size_t> units_of_;                 // by width: its first unit
  std::map<std::pair<ValueId, std::int64_t>, ValueId> parts_;
  Net net_;
};

Diagnostics no_unit(const Net& full, BlockId block) {
  return error(fmt::format("block '{}' has no unit: everybody holds it anyway",
                           full.blocks[block.index()].name));
}

bool is_wanted(const Net& full, const Width& width, const UnitRule& rule) {
  const SegmentId segment = full.layers[width.layers.front().index()].segment;
  const BlockId block = full.segments[segment.index()].block;
  const bool held = std::count(rule.always_held.begin(), rule.always_held.end(), block) > 0;
  const bool cut =
      rule.axes.empty() || std::count(rule.axes.begin(), rule.axes.end(), width.axis) > 0;
  return cut && !held;
}

std::string names_of(const std::vector<WidthAxis>& axes) {
  std::string names;
  for (const WidthAxis axis : axes)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", to_string(axis));
  return names;
}

// Those with channels enough everywhere: "; 'axes: [hidden]' works".
std::string other_axes(const std::vector<Width>& widths, std::int64_t units) {
  std::vector<WidthAxis> good, bad;
  for (const Width& width : widths)
    (width.channels >= units ? good : bad).push_back(width.axis);
  std::erase_if(good, [&](WidthAxis axis) { return std::count(bad.begin(), bad.end(), axis) > 0; });
  std::sort(good.begin(), good.end());
  good.erase(std::unique(good.begin(), good.end()), good.end());
  return good.empty() ? "" : fmt::format("; 'axes: [{}]' works", names_of(good));
}

Result<Net> split_widths(const Net& full, const UnitRule& rule) {
  std::vector<Width> widths = Finder(full).run();
  if (widths.empty()) {
    return error(fmt::format(
        "network '{}' has no inner width, such as hidden units between two products", full.name));
  }
  for (const BlockId block : rule.always_held) {
    const bool has = std::any_of(widths.begin(), widths.end(), [&](const Width& width) {
      const SegmentId segment = full.layers[width.layers.front().index()].segment;
      return full.segments[segment.index()].block == block;
    });
    if (!has) return no_unit(full, block);
  }
  std::vector<WidthAxis> axes;
  for (const Width& width : widths)
    axes.push_back(width.axis);
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  std::erase_if(widths, [&](const Width& width) { return !is_wanted(full, width, rule); });
  if (widths.empty()) {
    return error(
        fmt::format("network '{}' has no inner width of {} that is not always held: its "
                    "widths are of {}",
                    full.name, names_of(rule.axes.empty() ? axes : rule.axes), names_of(axes)));
  }
  for (const Width& width : widths) {
    if (width.channels >= rule.of_width) continue;
    const Layer& first = full.layers[width.layers.front().index()];
    return error(
        fmt::format("{} has {} channels or groups of heads, fewer than the {} units that it "
                    "is cut into{}",
                    first.name, width.channels, rule.of_width, other_axes(widths, rule.of_width)));
  }
  return Splitter(full, std::move(widths), rule.of_width).run();
}

// What was a unit of these blocks is no unit's.
Result<Net> hold_blocks(const Net& full, const std::vector<BlockId>& blocks) {
  Net net = full;
  net.units.clear();
  std::vector<std::optional<UnitId>> kept;
  for (const Unit& unit : full.units) {
    const bool held = std::count(blocks.begin(), blocks.end(), unit.block) > 0;
    kept.push_back(held ? std::nullopt : std::optional(UnitId(net.units.size())));
    if (!held) net.units.push_back(unit);
  }
  for (const BlockId block : blocks) {
    const bool has = std::any_of(full.units.begin(), full.units.end(),
                                 [&](const Unit& unit) { return unit.block == block; });
    if (!has) return no_unit(full, block);
  }
  for (Layer& layer : net.layers) {
    if (layer.unit) layer.unit = kept[layer.unit->index()];
    if (!layer.unit) layer.bypass = std::nullopt;
  }
  for (Parameter& parameter : net.parameters) {
    if (parameter.unit) parameter.unit = kept[parameter.unit->index()];
  }
  return net;
}

}  // namespace

std::string_view to_string(WidthAxis axis) {
  switch (axis) {
    case WidthAxis::hidden:
      return "hidden";
    case WidthAxis::heads:
      return "heads";
    case WidthAxis::channels:
      return "channels";
  }
  REHEARSE_UNREACHABLE("width axis");
}

std::vector<InnerWidth> inner_widths(const Net& net) {
  std::vector<InnerWidth> widths;
  for (const Width& width : Finder(net).run()) {
    InnerWidth own{width.axis, width.channels, 0, net.layers[width.layers.front().index()].segment};
    for (const LayerId id : width.layers) {
      const auto& parameters = net.layers[id.index()].parameters;
      const std::size_t cut = id == width.layers.back() ? 1 : parameters.size();
      for (std::size_t p = 0; p < cut; ++p)
        own.parameters += net.parameters[parameters[p].index()].shape.elements();
    }
    widths.push_back(own);
  }
  return widths;
}

Result<Net> cut_units(const Net& full, const UnitRule& rule) {
  REHEARSE_CHECK(rule.of_width >= 1, "{} units of a width", rule.of_width);
  for (const BlockId block : rule.always_held) {
    if (block.index() >= full.blocks.size())
      return error(fmt::format("block {} is always held, but the network has {}", block.value(),
                               full.blocks.size()));
  }
  if (rule.of_width > 1) return split_widths(full, rule);
  return rule.always_held.empty() ? full : hold_blocks(full, rule.always_held);
}

}  // namespace rehearse
