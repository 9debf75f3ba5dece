// What a kernel works on, with types: the request that it was prepared for and its operands.
#pragma once

#include <cstddef>
#include <cstdint>

#include "exec/backend.h"
#include "model/base/bfloat16.h"

namespace rehearse::exec {

template <class Real>
struct Call {
  const KernelRequest& request;
  const KernelArguments& arguments;

  std::int64_t samples() const { return request.samples; }
  // Elements of the output, over all samples.
  std::int64_t elements() const { return samples() * request.output.elements(); }
  // All dimensions of an input but the last, over all samples.
  std::int64_t rows(std::size_t input) const {
    const Shape& shape = request.inputs[input];
    return samples() * shape.elements() / shape.dims.back();
  }

  const Real* input(std::size_t i) const { return static_cast<const Real*>(arguments.inputs[i]); }
  const std::int32_t* indices(std::size_t i) const {
    return static_cast<const std::int32_t*>(arguments.inputs[i]);
  }
  Real* output() const { return static_cast<Real*>(arguments.output); }
  Wide<Real>* auxiliary(std::size_t i) const {
    return static_cast<Wide<Real>*>(arguments.auxiliaries[i]);
  }
  // The output and its gradient where they are losses.
  Wide<Real>* losses() const { return static_cast<Wide<Real>*>(arguments.output); }
  const Wide<Real>* loss_gradient() const {
    return static_cast<const Wide<Real>*>(arguments.output_gradient);
  }
  const Real* parameter(std::size_t i) const {
    return static_cast<const Real*>(arguments.parameters[i]);
  }
  const Real* output_gradient() const {
    return static_cast<const Real*>(arguments.output_gradient);
  }
  // Null where nobody wants it.
  Real* input_gradient(std::size_t i) const {
    return static_cast<Real*>(arguments.input_gradients[i]);
  }
  // Whether the parameters' gradients are wanted, or the layer's are not trained here.
  bool trains() const { return arguments.parameter_gradients[0] != nullptr; }
  // Overwrites or adds to one element of a parameter's gradient, as the caller said.
  void give_gradient(std::size_t parameter, std::int64_t element, double value) const {
    Real& gradient = static_cast<Real*>(arguments.parameter_gradients[parameter])[element];
    const double before = arguments.adds_to_parameter_gradients ? double{gradient} : 0.0;
    gradient = static_cast<Real>(before + value);
  }
};

}  // namespace rehearse::exec
