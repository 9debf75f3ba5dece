#include "model/net/tensor.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/check.h"

namespace rehearse {
namespace {

// ---- what cannot be split --------------------------------------------------------------------

class Divisibility {
 public:
  explicit Divisibility(std::int64_t ways) : ways_(ways) {}

  // what: the number and its verb, "12 heads do not divide"; of: the kind of parallelism.
  void expect(std::int64_t number, std::string_view what, std::string_view of) {
    if (number % ways_ == 0) return;
    const std::string message = fmt::format("{} into {} ways of {} parallelism", what, ways_, of);
    const bool known = std::any_of(errors_.begin(), errors_.end(),
                                   [&](const Diagnostic& e) { return e.message == message; });
    if (!known) errors_.push_back(error(message).front());
  }
  Diagnostics errors() && { return std::move(errors_); }

 private:
  std::int64_t ways_;
  Diagnostics errors_;
};

// Widths between two products: whatever an activation works on.
std::int64_t activation_width(const Net& net, const Layer& layer) {
  const bool activation = std::holds_alternative<Relu>(layer.spec) ||
                          std::holds_alternative<Gelu>(layer.spec) ||
                          std::holds_alternative<SwiGlu>(layer.spec);
  return activation ? net.values[layer.inputs[0].index()].shape.dims.back() : 0;
}

Diagnostics find_indivisible(const Net& net, std::int64_t ways, bool sequence_parallel) {
  Divisibility divides(ways);
  for (const Layer& layer : net.layers) {
    if (const auto* a = std::get_if<Attention>(&layer.spec)) {
      divides.expect(a->heads, fmt::format("{} heads do not divide", a->heads), "tensor");
      if (a->kv_heads == a->heads) continue;
      divides.expect(a->kv_heads, fmt::format("{} kv_heads do not divide", a->kv_heads), "tensor");
    }
    const std::int64_t hidden = activation_width(net, layer);
    divides.expect(hidden, fmt::format("hidden width {} does not divide", hidden), "tensor");
  }
  if (sequence_parallel) {
    const std::int64_t length = labels_per_sample(net);
    divides.expect(length, fmt::format("sequence {} does not divide", length), "sequence");
  }
  return std::move(divides).errors();
}

// Whether the ranks would have to draw parts of one mask, which our kernels draw from its start.
bool splits_masks(const Net& net, bool sequence_parallel) {
  return sequence_parallel &&
         std::any_of(net.layers.begin(), net.layers.end(), [](const Layer& layer) {
           const auto* dropout = std::get_if<Dropout>(&layer.spec);
           return dropout != nullptr && dropout->kernels == Kernels::own;
         });
}

bool is_transformer(const Net& net) {
  bool attends = false;
  for (const Layer& layer : net.layers) {
    if (std::holds_alternative<Conv2d>(layer.spec) ||
        std::holds_alternative<BatchNorm>(layer.spec) ||
        std::holds_alternative<GlobalAveragePool>(layer.spec) ||
        std::holds_alternative<Patches>(layer.spec)) {
      return false;
    }
    attends = attends || std::holds_alternative<Attention>(layer.spec);
  }
  return attends;
}

// ---- who does what ---------------------------------------------------------------------------

enum class Role {
  between,  // the same on all ranks, or on the rank's rows
  table,    // the rank's part of the vocabulary in, a term of a sum out
  column,   // everything in, the rank's features out
  inside,   // on the rank's features
  row,      // the rank's features in, a term of a sum out
};

bool begins(Role role) {
  return role == Role::column;
}
bool ends(Role role) {
  return role == Role::row || role == Role::table;
}

// By layer. A value is the rank's features from a column-parallel product to a row-parallel one.
std::vector<Role> find_roles(const Net& net) {
  std::vector<Role> roles(net.layers.size());
  std::vector<bool> features(net.values.size(), false);
  for (const Segment& segment : net.segments) {
    for (const LayerId id : segment.layers) {
      const Layer& layer = net.layers[id.index()];
      const bool split = features[layer.inputs[0].index()];
      Role& role = roles[id.index()];
      if (std::holds_alternative<Embedding>(layer.spec)) {
        role = Role::table;
      } else if (std::holds_alternative<Linear>(layer.spec)) {
        role = split ? Role::row : Role::column;
      } else {
        role = split ? Role::inside : Role::between;
      }
      features[layer.output.index()] = role == Role::column || role == Role::inside;
    }
  }
  return roles;
}

// The rank's part of a layer. Only vocabularies are ever rounded up: the rest was found divisible.
struct Slice {
  Role role;
  std::int64_t ways;
  bool by_rows;

  std::int64_t part(std::int64_t whole) const { return (whole + ways - 1) / ways; }
  void operator()(Linear& linear) const {
    auto& features = role == Role::row ? linear.in_features : linear.out_features;
    features = part(features);
  }
  void operator()(Embedding& table) const {
    table.vocabulary = part(table.vocabulary);
    table.part.ways = ways;
  }
  void operator()(PositionEmbedding& positions) const {
    if (by_rows) positions.part.ways = ways;
  }
  void operator()(Rotary& rotary) const { split_heads(rotary); }
  void operator()(Attention& attention) const { split_heads(attention); }
  void operator()(CrossEntropy& loss) const { loss = {part(loss.classes), {ways}, loss.classes}; }
  // What works element by element takes the width of its input, and what is between the blocks
  // keeps it.
  template <class Other>
  void operator()(Other&) const {}

 private:
  template <class Heads>
  void split_heads(Heads& layer) const {
    layer.heads = part(layer.heads);
    layer.kv_heads = part(layer.kv_heads);
  }
};

// ---- the transform ---------------------------------------------------------------------------

// Layers of a block that become one segment.
struct Run {
  bool between = false;
  std::string segment;  // of the full network, where its first layer was
  std::vector<LayerId> layers;
};

class Sharder {
 public:
  Sharder(const Net& full, std::int64_t ways, bool sequence_parallel)
      : full_(full),
        ways_(ways),
        by_rows_(sequence_parallel),
        roles_(find_roles(full)),
        net_(full) {
    net_.segments.clear();
    for (std::size_t v = 0; v < full.values.size(); ++v)
      stands_.push_back(ValueId(v));
  }

  Net run() {
    for (std::size_t b = 0; b < full_.blocks.size(); ++b)
      add_block(BlockId(b));
    net_.values[net_.loss.index()].exchange = Exchange::sum;
    check_exchanges();
    place_parameters();
    finish(net_);
    return std::move(net_);
  }

 private:
  Role role_of(LayerId layer) const { return roles_[layer.index()]; }

  std::vector<Run> cut(BlockId block) const {
    std::vector<Run> runs;
    for (const SegmentId s : full_.blocks[block.index()].segments) {
      const Segment& segment = full_.segments[s.index()];
      for (const LayerId id : segment.layers) {
        const bool between = role_of(id) == Role::between;
        const bool fits = !runs.empty() && runs.back().between == between &&
                          !ends(role_of(runs.back().layers.back())) &&
                          (between || runs.back().segment == segment.name);
        if (!fits) runs.push_back({between, segment.name, {}});
        runs.back().layers.push_back(id);
      }
    }
    return runs;
  }

  void add_block(BlockId block) {
    net_.blocks[block.index()].segments.clear();
    const std::vector<Run> runs = cut(block);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      if (!runs[i].between) {
        add_split(runs[i], block);
      } else if (i + 1 < runs.size()) {
        add_segment(runs[i + 1].segment + ".in", block, runs[i].layers);
      } else {
        add_segment(runs[i].segment + (i > 0 ? ".out" : ""), block, runs[i].layers);
      }
    }
  }

  // One block of the paper, with what is exchanged before and after it.
  void add_split(const Run& run, BlockId block) {
    for (const LayerId id : run.layers) {
      if (begins(role_of(id))) enter(id, run.segment, block);
    }
    add_segment(run.segment, block, run.layers);
    if (ends(role_of(run.layers.back()))) leave(run.layers.back(), run.segment, block);
  }

  void enter(LayerId id, const std::string& segment, BlockId block) {
    const ValueId input = full_.layers[id.index()].inputs[0];
    const ValueId stand = stands_[input.index()];
    if (!by_rows_) {
      Value& value = net_.values[stand.index()];
      REHEARSE_CHECK(value.exchange != Exchange::sum, "{} ends one split part and begins another",
                     value.name);
      value.exchange = Exchange::sum_gradient;
    } else if (!is_gathered(net_, stand)) {
      add_rows(segment + ".gather", block, GatherRows{ways_}, id, input);
    }
  }

  void leave(LayerId id, const std::string& segment, BlockId block) {
    const ValueId output = full_.layers[id.index()].output;
    if (by_rows_) {
      add_rows(segment + ".scatter", block, ScatterRows{ways_}, id, output);
    } else {
      net_.values[output.index()].exchange = Exchange::sum;
    }
  }

  // Appends a collective that belongs to layer `of`; what it yields stands for `value` from here.
  void add_rows(const std::string& name, BlockId block, LayerSpec spec, LayerId of, ValueId value) {
    const LayerId id(net_.layers.size());
    const ValueId output(net_.values.size());
    net_.values.push_back({name, {}, ValueType::real, id, false});
    net_.layers.push_back({.name = name,
                           .spec = spec,
                           .inputs = {value},
                           .output = output,
                           .parameters = {},
                           .segment = {},
                           .unit = full_.layers[of.index()].unit,
                           .bypass = std::nullopt,
                           .facts = {}});
    roles_.push_back(Role::between);
    add_segment(name, block, {id});
    stands_[value.index()] = output;
  }

  void add_segment(std::string name, BlockId block, const std::vector<LayerId>& layers) {
    const SegmentId segment(net_.segments.size());
    net_.blocks[block.index()].segments.push_back(segment);
    net_.segments.push_back({std::move(name), block, layers});
    for (const LayerId id : layers) {
      net_.layers[id.index()].segment = segment;
      slice(id);
    }
  }

  void slice(LayerId id) {
    Layer& layer = net_.layers[id.index()];
    const Role role = role_of(id);
    std::visit(Slice{role, ways_, by_rows_}, layer.spec);
    std::vector<Shape> shapes;
    for (ValueId& input : layer.inputs) {
      input = stands_[input.index()];
      shapes.push_back(net_.values[input.index()].shape);
    }
    layer.facts = describe(layer.spec, shapes);
    net_.values[layer.output.index()].shape = layer.facts.output;
    for (std::size_t i = 0; i < layer.parameters.size(); ++i) {
      // The fans stay those of the full matrix: a slice starts like the rows it was cut from.
      Parameter& parameter = net_.parameters[layer.parameters[i].index()];
      const Shape whole = full_.parameters[layer.parameters[i].index()].shape;
      parameter.shape = layer.facts.parameters[i].shape;
      parameter.spread = spread_of(role, i);
      if (parameter.spread == Spread::sliced) parameter.slice = first_slice(layer, role, whole);
    }
  }

  // Columns of a row-parallel product's weights [out, in], else rows. Packed queries, keys and
  // values are three runs of rows, of each of which a rank has its heads.
  ParameterSlice first_slice(const Layer& layer, Role role, const Shape& whole) const {
    ParameterSlice slice{whole, role == Role::row ? whole.dims.size() - 1 : 0, {}};
    std::vector<std::int64_t> runs = {whole.dims[slice.dimension]};
    if (const Attention* attention = role == Role::column ? attention_after(layer) : nullptr) {
      const std::int64_t keys = attention->kv_heads * attention->head_size;
      runs = {attention->heads * attention->head_size, keys, keys};
    }
    std::int64_t start = 0;
    for (const std::int64_t run : runs) {
      slice.ranges.push_back({start, start + (run + ways_ - 1) / ways_});
      start += run;
    }
    return slice;
  }

  // Of the full network: what its packed output goes into, perhaps rotated.
  const Attention* attention_after(const Layer& product) const {
    ValueId packed = product.output;
    for (std::size_t l = full_.values[packed.index()].producer->index(); l < full_.layers.size();
         ++l) {
      const Layer& layer = full_.layers[l];
      if (layer.inputs.front() != packed) continue;
      if (!std::holds_alternative<Rotary>(layer.spec)) return std::get_if<Attention>(&layer.spec);
      packed = layer.output;
    }
    return nullptr;
  }

  // A product's second parameter is its bias, which follows the output.
  Spread spread_of(Role role, std::size_t parameter) const {
    const bool whole = role == Role::between || (role == Role::row && parameter == 1);
    if (!whole) return Spread::sliced;
    return by_rows_ ? Spread::partial : Spread::replicated;
  }

  // A gradient may be summed over the ranks only if all of it is terms: if a value went into a
  // block and past it, every rank would count what comes back past it.
  void check_exchanges() const {
    for (std::size_t l = 0; l < net_.layers.size(); ++l) {
      for (const ValueId input : net_.layers[l].inputs) {
        const Value& value = net_.values[input.index()];
        const bool terms = value.exchange == Exchange::sum_gradient || is_gathered(net_, input);
        REHEARSE_CHECK(!terms || begins(roles_[l]), "{} reads {}, whose gradient the ranks sum",
                       net_.layers[l].name, value.name);
      }
    }
  }

  // Layers keep their order, so the first that uses a parameter is still the first that runs.
  void place_parameters() {
    for (auto layer = net_.layers.rbegin(); layer != net_.layers.rend(); ++layer) {
      for (const ParameterId parameter : layer->parameters)
        net_.parameters[parameter.index()].segment = layer->segment;
    }
  }

  const Net& full_;
  std::int64_t ways_;
  bool by_rows_;
  std::vector<Role> roles_;      // by layer
  std::vector<ValueId> stands_;  // by value of the full network: which one has its contents now
  Net net_;
};

std::size_t layers_that_run(const Net& net) {
  std::size_t count = 0;
  for (const Segment& segment : net.segments)
    count += segment.layers.size();
  return count;
}

}  // namespace

Result<Net> shard(const Net& full, std::int64_t ways, bool sequence_parallel) {
  REHEARSE_CHECK(layers_that_run(full) == full.layers.size(), "{} of {} layers to shard",
                 layers_that_run(full), full.layers.size());
  if (ways < 1) return error(fmt::format("tensor parallelism has at least 1 way, got {}", ways));
  if (ways == 1) return full;
  if (!is_transformer(full)) {
    return error(fmt::format("tensor parallelism splits transformer decoders, network '{}' is none",
                             full.name));
  }
  if (splits_masks(full, sequence_parallel)) {
    return error(
        "sequence parallelism needs a dropout of 0, or other kernels than ours: the ranks' rows "
        "would not have the masks of the whole sequence");
  }
  Diagnostics indivisible = find_indivisible(full, ways, sequence_parallel);
  if (!indivisible.empty()) return indivisible;
  return Sharder(full, ways, sequence_parallel).run();
}

namespace {

struct Take {
  std::int64_t number;
  void operator()(Embedding& table) const { take(table.part); }
  void operator()(PositionEmbedding& positions) const { take(positions.part); }
  void operator()(CrossEntropy& loss) const { take(loss.part); }
  template <class Other>
  void operator()(Other&) const {}

 private:
  void take(PartOf& part) const {
    if (!part.is_whole()) part.number = number;
  }
};

}  // namespace

Net slice_of(Net net, std::int64_t number) {
  for (Layer& layer : net.layers)
    std::visit(Take{number}, layer.spec);
  for (Parameter& parameter : net.parameters) {
    if (parameter.spread != Spread::sliced) continue;
    // What is padded is cut in one run, to the end.
    const std::int64_t end = parameter.slice->whole.dims[parameter.slice->dimension];
    for (ParameterSlice::Range& range : parameter.slice->ranges) {
      const std::int64_t shift = number * (range.end - range.begin);
      range = {std::min(range.begin + shift, end), std::min(range.end + shift, end)};
    }
  }
  return net;
}

bool is_bias_of_sum(const Net& net, const Layer& layer) {
  if (!std::holds_alternative<Linear>(layer.spec) || layer.parameters.size() < 2) return false;
  const auto spread = [&](std::size_t k) {
    return net.parameters[layer.parameters[k].index()].spread;
  };
  return spread(0) == Spread::sliced && spread(1) != Spread::sliced;
}

bool is_gathered(const Net& net, ValueId value) {
  const auto producer = net.values[value.index()].producer;
  return producer && std::holds_alternative<GatherRows>(net.layers[producer->index()].spec);
}

bool exchanges_after(const Net& net, SegmentId segment) {
  const auto& layers = net.segments[segment.index()].layers;
  return std::any_of(layers.begin(), layers.end(), [&](LayerId id) {
    const ValueId output = net.layers[id.index()].output;
    return net.values[output.index()].exchange != Exchange::none;
  });
}

}  // namespace rehearse
