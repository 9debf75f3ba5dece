#include "exec/run/parameters.h"

#include <algorithm>
#include <cmath>

#include "model/base/check.h"
#include "model/base/random.h"

namespace rehearse::exec {

Parameters::Parameters(const Plan& plan, const RankProgram& program, const Net& net,
                       const Arena& arena)
    : net_(net), sizes_(state_sizes(plan.training)), flat_(program.parameter_classes.size()) {
  for (std::size_t c = 0; c < flat_.size(); ++c) {
    std::int64_t offset = 0;
    for (const ParameterId id : program.parameter_classes[c].parameters) {
      const std::int64_t elements = net.parameters[id.index()].shape.elements();
      places_[id] = {ParameterClassId(c), offset, elements};
      offset += elements;
    }
  }
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    if (!is_persistent(buffer.kind)) continue;
    Flat& flat = flat_[buffer.parameter_class->index()];
    std::byte* memory = arena.at(BufferId(b)).data();
    if (buffer.kind == BufferKind::parameters) flat.weights = memory;
    if (buffer.kind == BufferKind::gradients) flat.gradients = memory;
    if (buffer.kind == BufferKind::optimizer_state) flat.state = memory;
  }
}

std::byte* Parameters::weights(ParameterClassId c, std::int64_t element) const {
  return flat_[c.index()].weights + element * sizes_.parameter;
}

std::byte* Parameters::gradients(ParameterClassId c, std::int64_t element) const {
  return flat_[c.index()].gradients + element * sizes_.gradient;
}

std::byte* Parameters::optimizer_state(ParameterClassId c, std::int64_t element) const {
  std::byte* state = flat_[c.index()].state;
  return state == nullptr ? nullptr : state + element * sizes_.optimizer;
}

void* Parameters::weights(ParameterId parameter) const {
  const ParameterPlace& place = places_.at(parameter);
  return weights(place.parameter_class, place.offset);
}

void* Parameters::gradients(ParameterId parameter) const {
  const ParameterPlace& place = places_.at(parameter);
  return gradients(place.parameter_class, place.offset);
}

void Parameters::initialize(Backend& backend, std::uint64_t seed) const {
  for (const auto& [id, place] : places_) {
    backend.store(weights(id), initial_values(net_.parameters[id.index()], id, seed));
    std::byte* state = optimizer_state(place.parameter_class, place.offset);
    if (state != nullptr) backend.fill_zero(state, place.elements);
  }
}

std::vector<double> initial_values(const Parameter& parameter, ParameterId id, std::uint64_t seed) {
  std::vector<double> values(static_cast<std::size_t>(parameter.shape.elements()));
  Random random(seed, id.value());
  const auto fill = [&](auto draw) { std::generate(values.begin(), values.end(), draw); };
  switch (parameter.init) {
    case Init::zeros:
      fill([] { return 0.0; });
      break;
    case Init::ones:
      fill([] { return 1.0; });
      break;
    case Init::he_normal: {
      const double deviation = std::sqrt(2.0 / static_cast<double>(parameter.fan_in));
      fill([&] { return deviation * random.normal(); });
      break;
    }
    case Init::glorot_uniform: {
      const double limit =
          std::sqrt(6.0 / static_cast<double>(parameter.fan_in + parameter.fan_out));
      fill([&] { return limit * (2 * random.uniform() - 1); });
      break;
    }
    case Init::normal_002:
      fill([&] { return 0.02 * random.normal(); });
      break;
  }
  return values;
}

}  // namespace rehearse::exec
