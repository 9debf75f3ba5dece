#include "tests/exec/cuda/host_graph.h"

#include <algorithm>
#include <cmath>

#include "model/base/bfloat16.h"
#include "model/base/check.h"

namespace rehearse::exec::cuda {

double number_at(Element type, const void* memory, std::int64_t at) {
  switch (type) {
    case Element::bf16:
      return static_cast<double>(static_cast<const BFloat16*>(memory)[at]);
    case Element::fp32:
      return static_cast<double>(static_cast<const float*>(memory)[at]);
    case Element::fp64:
      return static_cast<const double*>(memory)[at];
  }
  REHEARSE_UNREACHABLE("element");
}

void set_number(Element type, void* memory, std::int64_t at, double value) {
  switch (type) {
    case Element::bf16:
      static_cast<BFloat16*>(memory)[at] = BFloat16(value);
      return;
    case Element::fp32:
      static_cast<float*>(memory)[at] = static_cast<float>(value);
      return;
    case Element::fp64:
      static_cast<double*>(memory)[at] = value;
      return;
  }
}

namespace {

using Dims = TensorGraph::Dims;
using Tensor = TensorGraph::Tensor;
using Function = TensorGraph::Function;

std::int64_t count(const Dims& dims) {
  return dims[0] * dims[1] * dims[2] * dims[3];
}
Dims place(const Dims& dims, std::int64_t element) {
  Dims at{};
  for (std::size_t d = 4; d-- > 0; element /= dims[d])
    at[d] = element % dims[d];
  return at;
}
std::int64_t offset(const Dims& strides, const Dims& at) {
  return at[0] * strides[0] + at[1] * strides[1] + at[2] * strides[2] + at[3] * strides[3];
}

double value_of(Function function, const std::vector<double>& x) {
  switch (function) {
    case Function::add:
      return x[0] + x[1];
    case Function::subtract:
      return x[0] - x[1];
    case Function::multiply:
      return x[0] * x[1];
    case Function::divide:
      return x[0] / x[1];
    case Function::exp:
      return std::exp(x[0]);
    case Function::log:
      return std::log(x[0]);
    case Function::is_at_least:
      return x[0] >= x[1] ? 1 : 0;
    case Function::select:
      return x[2] != 0 ? x[0] : x[1];
  }
  REHEARSE_UNREACHABLE("function");
}

class HostGraph {
 public:
  HostGraph(const TensorGraph& graph, Element real) : graph_(graph), real_(real) {
    for (const Tensor& tensor : graph.tensors)
      own_.emplace_back(tensor.lies == TensorGraph::Lies::between_operations
                            ? static_cast<std::size_t>(extent(tensor))
                            : 0);
    memory_.resize(graph.tensors.size());
  }
  void bind(std::size_t tensor, void* memory) { memory_[tensor] = memory; }

  void run() {
    for (const TensorGraph::Operation& operation : graph_.operations)
      std::visit([&](const auto& what) { run(what, operation); }, operation.what);
  }

 private:
  using Operation = TensorGraph::Operation;

  static std::int64_t extent(const Tensor& tensor) {
    return 1 + offset(tensor.strides, {tensor.dims[0] - 1, tensor.dims[1] - 1, tensor.dims[2] - 1,
                                       tensor.dims[3] - 1});
  }
  Element element(const Tensor& tensor) const {
    if (real_ == Element::fp64 || tensor.type == TensorGraph::Type::real) return real_;
    return Element::fp32;
  }
  const Tensor& tensor(std::size_t number) const { return graph_.tensors[number]; }

  // Where a tensor has one element along a dimension, it is the same for all places.
  double get(std::size_t number, Dims at) const {
    const Tensor& it = tensor(number);
    if (it.lies == TensorGraph::Lies::as_number) return double{it.number};
    for (std::size_t d = 0; d < 4; ++d)
      at[d] = it.dims[d] == 1 ? 0 : at[d];
    const std::int64_t i = offset(it.strides, at);
    if (it.lies == TensorGraph::Lies::in_memory) return number_at(element(it), memory_[number], i);
    return own_[number][static_cast<std::size_t>(i)];
  }
  void set(std::size_t number, const Dims& at, double value) {
    const Tensor& it = tensor(number);
    const std::int64_t i = offset(it.strides, at);
    if (it.lies == TensorGraph::Lies::in_memory)
      return set_number(element(it), memory_[number], i, value);
    const bool is_rounded = real_ == Element::bf16 && it.type == TensorGraph::Type::real;
    own_[number][static_cast<std::size_t>(i)] =
        is_rounded ? static_cast<double>(BFloat16(value)) : value;
  }
  template <class Value>
  void each(std::size_t into, Value value) {
    const Dims& dims = tensor(into).dims;
    for (std::int64_t i = 0; i < count(dims); ++i)
      set(into, place(dims, i), value(place(dims, i)));
  }

  void run(const TensorGraph::Elementwise& what, const Operation& operation) {
    each(operation.into, [&](const Dims& at) {
      std::vector<double> x;
      for (const std::size_t operand : operation.operands)
        x.push_back(get(operand, at));
      return value_of(what.function, x);
    });
  }
  void run(const TensorGraph::Place& what, const Operation& operation) {
    each(operation.into, [&](const Dims& at) {
      return static_cast<double>(at[static_cast<std::size_t>(what.dimension)]);
    });
  }
  void run(const TensorGraph::Reduce& what, const Operation& operation) {
    const Dims &from = tensor(operation.operands[0]).dims, &into = tensor(operation.into).dims;
    const Dims piece = {from[0] / into[0], from[1] / into[1], from[2] / into[2], from[3] / into[3]};
    each(operation.into, [&](const Dims& at) {
      const bool is_sum = what.how == TensorGraph::Reduction::sum;
      double all = is_sum ? 0 : -INFINITY;
      for (std::int64_t i = 0; i < count(piece); ++i) {
        Dims in_piece = place(piece, i);
        for (std::size_t d = 0; d < 4; ++d)
          in_piece[d] += at[d] * piece[d];
        const double x = get(operation.operands[0], in_piece);
        all = is_sum ? all + x : std::max(all, x);
      }
      return all;
    });
  }
  void run(const TensorGraph::MatrixProduct&, const Operation& operation) {
    const std::size_t a = operation.operands[0], b = operation.operands[1];
    const std::int64_t group = tensor(a).dims[1] / tensor(b).dims[1];
    each(operation.into, [&](const Dims& at) {
      double sum = 0;
      for (std::int64_t k = 0; k < tensor(a).dims[3]; ++k)
        sum += get(a, {at[0], at[1], at[2], k}) * get(b, {at[0], at[1] / group, k, at[3]});
      return sum;
    });
  }
  void run(const TensorGraph::Reshape&, const Operation& operation) {
    const std::size_t from = operation.operands[0];
    const Tensor& into = tensor(operation.into);
    std::vector<double> memory(static_cast<std::size_t>(extent(tensor(from))));
    for (std::int64_t i = 0; i < count(tensor(from).dims); ++i) {
      const Dims at = place(tensor(from).dims, i);
      memory[static_cast<std::size_t>(offset(tensor(from).strides, at))] = get(from, at);
    }
    each(operation.into, [&](const Dims& at) {
      return memory[static_cast<std::size_t>(offset(into.strides, at))];
    });
  }

  const TensorGraph& graph_;
  Element real_;
  std::vector<std::vector<double>> own_;  // of what lies between operations
  std::vector<void*> memory_;
};

}  // namespace

void run_on_host(const TensorGraph& graph, const std::vector<std::size_t>& operands,
                 const std::vector<void*>& memory, Element real) {
  HostGraph it(graph, real);
  for (std::size_t i = 0; i < operands.size(); ++i)
    it.bind(operands[i], memory[i]);
  it.run();
}

}  // namespace rehearse::exec::cuda
