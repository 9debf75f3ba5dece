#include "model/net/alike.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "model/base/check.h"

namespace rehearse {
namespace {

// Everything about a block that prices and memory follow from, as numbers.
class Signature {
 public:
  explicit Signature(const Net& net)
      : net_(net), users_(net.parameters.size()), place_(net.layers.size(), 0) {
    for (std::size_t b = 0; b < net.blocks.size(); ++b) {
      double place = 0;
      each_layer(b, [&](LayerId id) {
        place_[id.index()] = ++place;
        for (const ParameterId parameter : net.layers[id.index()].parameters) {
          auto& users = users_[parameter.index()];
          if (users.empty() || users.back() != b) users.push_back(b);
        }
      });
    }
  }

  std::vector<double> of(std::size_t block) {
    numbers_.clear();
    for (const SegmentId segment : net_.blocks[block].segments) {
      add(-1);
      for (const LayerId id : net_.segments[segment.index()].layers)
        add_layer(block, net_.layers[id.index()]);
    }
    return numbers_;
  }

 private:
  template <class Visit>
  void each_layer(std::size_t block, Visit visit) const {
    for (const SegmentId segment : net_.blocks[block].segments) {
      for (const LayerId id : net_.segments[segment.index()].layers)
        visit(id);
    }
  }

  template <class... Numbers>
  void add(Numbers... numbers) {
    (numbers_.push_back(static_cast<double>(numbers)), ...);
  }

  void add_layer(std::size_t block, const Layer& layer) {
    const auto [kind, is_new] = kinds_.try_emplace(kind_name(layer.spec), kinds_.size());
    add(kind->second, layer.in_place, layer.frozen);
    add_facts(layer.facts);
    for (const ValueId input : layer.inputs)
      add_input(block, input);
    add_value(layer.output);
    for (const ParameterId id : layer.parameters) {
      const Parameter& parameter = net_.parameters[id.index()];
      add_shape(parameter.shape);
      add(static_cast<int>(parameter.spread), parameter.unit.has_value());
      // Whoever shares one is like nobody else.
      if (users_[id.index()].size() > 1) add(block);
    }
  }

  void add_facts(const LayerFacts& facts) {
    add(static_cast<int>(facts.kernel), facts.saves_output, facts.forward_in_place,
        facts.backward_in_place, facts.splits_backward);
    for (const Work& work : {facts.forward, facts.backward_input, facts.backward_weight})
      add(work.per_sample.flops(), work.per_call.flops(), work.elements_per_sample,
          work.elements_per_call);
    for (const bool saves : facts.saves_input)
      add(saves);
    for (const Auxiliary& auxiliary : facts.auxiliaries)
      add(auxiliary.elements_per_sample, auxiliary.elements_per_call);
  }

  // Kernels may take longer for one shape than for another of as many elements.
  void add_shape(const Shape& shape) {
    add(shape.dims.size());
    for (const std::int64_t dim : shape.dims)
      add(dim);
  }

  void add_value(ValueId id) {
    const Value& value = net_.values[id.index()];
    add_shape(value.shape);
    add(static_cast<int>(value.type), value.needs_gradient, static_cast<int>(value.exchange));
  }

  void add_input(std::size_t block, ValueId id) {
    add_value(id);
    const auto& producer = net_.values[id.index()].producer;
    if (!producer) return add(-1, id.index());
    const SegmentId segment = net_.layers[producer->index()].segment;
    const std::size_t from = net_.segments[segment.index()].block.index();
    add(block - from, from == block ? place_[producer->index()] : 0);
  }

  const Net& net_;
  std::map<std::string_view, std::size_t> kinds_;
  std::vector<std::vector<std::size_t>> users_;  // by parameter: blocks
  std::vector<double> place_;                    // by layer, in its block
  std::vector<double> numbers_;
};

}  // namespace

std::vector<std::size_t> alike_blocks(const Net& net) {
  Signature signature(net);
  std::map<std::vector<double>, std::size_t> first;
  std::vector<std::size_t> alike;
  for (std::size_t b = 0; b < net.blocks.size(); ++b)
    alike.push_back(first.try_emplace(signature.of(b), b).first->second);
  return alike;
}

BlockRun longest_run(const std::vector<std::size_t>& alike) {
  BlockRun longest;
  for (std::size_t begin = 0; begin < alike.size();) {
    std::size_t end = begin + 1;
    while (end < alike.size() && alike[end] == alike[begin])
      ++end;
    if (end - begin > longest.size()) longest = {begin, end};
    begin = end;
  }
  return longest;
}

Net without_blocks(const Net& net, std::size_t begin, std::size_t end) {
  if (begin == end) return net;
  Net result = net;
  const SegmentId first = begin_of(net, BlockId(begin)), last = end_of(net, BlockId(end - 1));
  const auto removed = static_cast<std::uint32_t>(last.index() - first.index());
  // What the removed blocks read of those before, and those after of the removed ones.
  std::optional<ValueId> in, out;
  const auto stands = [&](ValueId value, bool inside) {
    const auto& producer = net.values[value.index()].producer;
    if (!producer) return;
    const SegmentId made = net.layers[producer->index()].segment;
    if (inside ? made >= first : made < first || made >= last) return;
    std::optional<ValueId>& one = inside ? in : out;
    REHEARSE_CHECK(!one || *one == value, "blocks {} to {} are joined by several values", begin,
                   end);
    one = value;
  };
  for (std::size_t s = first.index(); s < net.segments.size(); ++s) {
    for (const LayerId id : net.segments[s].layers) {
      for (const ValueId input : net.layers[id.index()].inputs)
        stands(input, SegmentId(s) < last);
    }
  }
  const auto renumbered = [&](SegmentId segment) {
    return segment < last ? segment : SegmentId(segment.value() - removed);
  };
  for (Layer& layer : result.layers) {
    layer.segment = renumbered(layer.segment);
    for (ValueId& input : layer.inputs) {
      if (out && input == *out) input = *in;
    }
  }
  for (Parameter& parameter : result.parameters)
    parameter.segment = renumbered(parameter.segment);
  const auto cut = [](auto& list, std::size_t from, std::size_t to) {
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(from),
               list.begin() + static_cast<std::ptrdiff_t>(to));
  };
  cut(result.segments, first.index(), last.index());
  cut(result.blocks, begin, end);
  for (std::size_t b = begin; b < result.blocks.size(); ++b) {
    for (SegmentId& segment : result.blocks[b].segments) {
      segment = renumbered(segment);
      result.segments[segment.index()].block = BlockId(b);
    }
  }
  finish(result);
  return result;
}

}  // namespace rehearse
