// Operations on tensors as data: cuDNN compiles them (dnn_plan.h), tests run them on the host.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <variant>
#include <vector>

namespace rehearse::exec::cuda {

// Tensors have four dimensions and are named by their numbers; an operation's operands come before
// it. Arithmetic is in the wide type; what is real is rounded when it is stored.
struct TensorGraph {
  using Dims = std::array<std::int64_t, 4>;
  enum class Type { real, wide, index, truth };
  // memory: whoever runs the graph says where; number: one, the same for all elements.
  enum class Lies { between_operations, in_memory, as_number };
  struct Tensor {
    Type type = Type::wide;
    Dims dims{}, strides{};  // strides in elements, of a tensor in no memory as if there were
    Lies lies = Lies::between_operations;
    float number = 0;
  };

  enum class Function { add, subtract, multiply, divide, exp, log, is_at_least, select };
  struct Elementwise {  // select: the first where the third is true, or else the second
    Function function;
  };
  struct Place {  // each element's along one dimension
    std::int64_t dimension;
  };
  enum class Reduction { sum, max };
  struct Reduce {  // over neighbours: where the result has fewer elements than the operand
    Reduction how;
  };
  struct MatrixProduct {
  };                  // of the last two dimensions; neighbouring heads share one of the second
  struct Reshape {};  // the same elements in memory, seen with other dimensions and strides
  struct Operation {
    std::variant<Elementwise, Place, Reduce, MatrixProduct, Reshape> what;
    std::vector<std::size_t> operands;
    std::size_t into;
  };

  std::vector<Tensor> tensors;
  std::vector<Operation> operations;

  std::size_t add(const Tensor& tensor) {
    tensors.push_back(tensor);
    return tensors.size() - 1;
  }
  template <class What>
  std::size_t add(What what, std::initializer_list<std::size_t> operands, std::size_t into) {
    operations.push_back({what, operands, into});
    return into;
  }
};

}  // namespace rehearse::exec::cuda
