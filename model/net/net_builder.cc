#include "model/net/net_builder.h"

#include "model/base/check.h"

namespace rehearse {

NetBuilder::NetBuilder(std::string name, Shape input, ValueType input_type, Shape labels) {
  net_.name = std::move(name);
  net_.values.push_back({"input", std::move(input), input_type, std::nullopt, false});
  net_.values.push_back({"labels", std::move(labels), ValueType::index, std::nullopt, false});
  net_.input = ValueId(0);
  net_.labels = ValueId(1);
}

void NetBuilder::begin_block(std::string name, bool identity_skip) {
  net_.blocks.push_back({std::move(name), identity_skip, {}});
}

void NetBuilder::begin_segment(std::string name) {
  const BlockId block(net_.blocks.size() - 1);
  Block& current = net_.blocks.back();
  current.segments.push_back(SegmentId(net_.segments.size()));
  net_.segments.push_back({current.name + "." + name, block, {}});
}

void NetBuilder::begin_unit(std::string shape_class) {
  unit_ = UnitId(net_.units.size());
  const BlockId block(net_.blocks.size() - 1);
  net_.units.push_back({net_.blocks.back().name, block, std::move(shape_class)});
}

void NetBuilder::end_unit() {
  unit_.reset();
}

ValueId NetBuilder::add(std::string name, LayerSpec spec, std::vector<ValueId> inputs,
                        std::vector<ParameterId> tied) {
  REHEARSE_CHECK(!net_.segments.empty(), "layer {} stands in no segment", name);
  std::vector<Shape> shapes;
  for (const ValueId input : inputs)
    shapes.push_back(shape_of(input));
  Layer layer{.name = net_.blocks.back().name + "." + name,
              .spec = spec,
              .inputs = std::move(inputs),
              .output = ValueId(net_.values.size()),
              .parameters = std::move(tied),
              .segment = SegmentId(net_.segments.size() - 1),
              .unit = unit_,
              .bypass = std::nullopt,
              .facts = describe(spec, shapes)};
  if (layer.parameters.empty()) {
    for (const ParameterFacts& facts : layer.facts.parameters) {
      layer.parameters.push_back(ParameterId(net_.parameters.size()));
      net_.parameters.push_back({layer.name + "." + facts.name, facts.shape, facts.init,
                                 facts.fan_in, facts.fan_out, facts.decays, layer.segment, unit_});
    }
  }
  REHEARSE_CHECK(layer.parameters.size() == layer.facts.parameters.size(),
                 "layer {} takes {} parameters, got {}", layer.name, layer.facts.parameters.size(),
                 layer.parameters.size());
  const LayerId id(net_.layers.size());
  net_.values.push_back({layer.name, layer.facts.output, ValueType::real, id, false});
  net_.segments.back().layers.push_back(id);
  net_.layers.push_back(std::move(layer));
  return net_.layers.back().output;
}

ValueId NetBuilder::add_bypassed(std::string name, LayerSpec spec, std::vector<ValueId> inputs,
                                 std::size_t bypass) {
  const ValueId output = add(std::move(name), spec, std::move(inputs));
  net_.layers.back().bypass = bypass;
  return output;
}

ValueId NetBuilder::add_dropout(std::string name, double rate, ValueId x) {
  return rate == 0 ? x : add(std::move(name), Dropout{rate}, {x});
}

const std::vector<ParameterId>& NetBuilder::parameters_of(ValueId output) const {
  return net_.layers[net_.values[output.index()].producer->index()].parameters;
}

Net NetBuilder::finish(ValueId loss) {
  net_.loss = loss;
  rehearse::finish(net_);
  return std::move(net_);
}

}  // namespace rehearse
