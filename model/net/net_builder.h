// Builds a Net layer by layer, in the order the layers run.
#pragma once

#include <string>
#include <vector>

#include "model/net/net.h"

namespace rehearse {

class NetBuilder {
 public:
  // input: what the data loader delivers per sample; labels: what the loss compares with.
  NetBuilder(std::string name, Shape input, ValueType input_type, Shape labels);

  ValueId input() const { return net_.input; }
  ValueId labels() const { return net_.labels; }

  // Everything until the next call belongs to this block (segment).
  void begin_block(std::string name, bool identity_skip = false);
  void begin_segment(std::string name);
  // Layers between these two belong to one maskable unit of the current block.
  void begin_unit(std::string shape_class);
  void end_unit();

  // Appends a layer; its parameters are new unless `tied` names them.
  ValueId add(std::string name, LayerSpec spec, std::vector<ValueId> inputs,
              std::vector<ParameterId> tied = {});
  // Appends a layer of the current unit whose output equals input `bypass` where it is dropped.
  ValueId add_bypassed(std::string name, LayerSpec spec, std::vector<ValueId> inputs,
                       std::size_t bypass);
  // x behind dropout; x itself, and no layer, where the rate is 0.
  ValueId add_dropout(std::string name, double rate, ValueId x);
  // The parameters of the layer that produces this value.
  const std::vector<ParameterId>& parameters_of(ValueId output) const;
  const Shape& shape_of(ValueId value) const { return net_.values[value.index()].shape; }

  // The network with this loss; the builder is empty afterwards.
  Net finish(ValueId loss);

 private:
  Net net_;
  std::optional<UnitId> unit_;
};

}  // namespace rehearse
