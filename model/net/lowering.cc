#include "model/net/lowering.h"

#include <algorithm>

#include "model/base/check.h"
#include "model/net/lowering/places.h"
#include "model/net/lowering/products.h"

namespace rehearse {

std::string_view to_string(KernelKind kind) {
  switch (kind) {
    case KernelKind::forward:
      return "forward";
    case KernelKind::backward:
      return "backward";
    case KernelKind::backward_input:
      return "backward_input";
    case KernelKind::backward_weight:
      return "backward_weight";
    case KernelKind::accumulate:
      return "accumulate";
    case KernelKind::copy:
      return "copy";
  }
  REHEARSE_UNREACHABLE("kernel kind");
}

std::string_view to_string(Pass pass) {
  switch (pass) {
    case Pass::forward:
      return "forward";
    case Pass::backward:
      return "backward";
    case Pass::split_forward:
      return "split_forward";
    case Pass::backward_input:
      return "backward_input";
    case Pass::backward_weight:
      return "backward_weight";
  }
  REHEARSE_UNREACHABLE("pass");
}

Bytes size_of(const Net& net, ValueId value, std::int64_t samples, const ElementSizes& sizes) {
  const Value& v = net.values[value.index()];
  const std::int64_t element = v.type == ValueType::index ? kIndexBytes
                               : value == net.loss        ? sizes.statistic_bytes
                                                          : sizes.activation_bytes;
  return Bytes::bytes(v.shape.elements() * samples * element);
}

Lowering lower(const Net& net, SegmentId begin, SegmentId end, Pass pass, std::int64_t samples,
               const ElementSizes& sizes) {
  const bool splits = pass != Pass::forward && pass != Pass::backward;
  const lowering::RangePlaces range(net, begin, end, samples, sizes, splits);
  switch (pass) {
    case Pass::forward:
    case Pass::split_forward:
      return lowering::lower_forward(net, range, begin, end);
    case Pass::backward:
      return lowering::lower_backward(net, range, begin, end);
    case Pass::backward_input:
      return lowering::lower_split_backward(net, range, begin, end).input;
    case Pass::backward_weight:
      return lowering::lower_split_backward(net, range, begin, end).weight;
  }
  REHEARSE_UNREACHABLE("pass");
}

namespace {

template <class Wanted>
std::vector<ParameterId> parameters_of_steps(const Net& net, const Lowering& lowering,
                                             Wanted wanted) {
  std::vector<ParameterId> found;
  for (const KernelStep& step : lowering.steps) {
    const Layer& layer = net.layers[step.layer.index()];
    if (!wanted(step.kind, layer)) continue;
    for (const ParameterId parameter : layer.parameters) {
      if (std::find(found.begin(), found.end(), parameter) == found.end())
        found.push_back(parameter);
    }
  }
  return found;
}

}  // namespace

std::vector<ParameterId> parameters_read(const Net& net, const Lowering& lowering) {
  return parameters_of_steps(net, lowering, [](KernelKind kind, const Layer&) {
    return kind == KernelKind::forward || kind == KernelKind::backward ||
           kind == KernelKind::backward_input;
  });
}

std::vector<ParameterId> parameters_differentiated(const Net& net, const Lowering& lowering) {
  return parameters_of_steps(net, lowering, [](KernelKind kind, const Layer& layer) {
    return trains(layer) && (kind == KernelKind::backward || kind == KernelKind::backward_weight);
  });
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
  const auto multiplies = [&](StepWork work) {
    work.products = lowering::products_of(net, step, samples, sizes);
    const Bytes behind = lowering::moved_behind(net, step, samples, sizes);
    if (behind > Bytes{}) {
      work.traffic = behind;
      for (const Product& product : work.products)
        work.traffic += product.traffic;
    }
    return work;
  };
  switch (step.kind) {
    case KernelKind::forward:
      return multiplies(scale(layer.facts.kernel, layer.facts.forward));
    case KernelKind::backward:
      return multiplies(
          scale(layer.facts.kernel, layer.facts.backward_input + layer.facts.backward_weight));
    case KernelKind::backward_input:
      return multiplies(scale(layer.facts.kernel, layer.facts.backward_input));
    case KernelKind::backward_weight:
      return multiplies(scale(layer.facts.kernel, layer.facts.backward_weight));
    case KernelKind::accumulate:
      return streams(KernelClass::elementwise, 1, 3);
    case KernelKind::copy:
      return streams(KernelClass::copy, 0, 2);
  }
  REHEARSE_UNREACHABLE("kernel kind");
}

}  // namespace rehearse
