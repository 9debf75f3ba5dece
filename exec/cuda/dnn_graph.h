// Graphs of operations by cuDNN's backend API, for what the library has no function of.
#pragma once

#include <cudnn.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace rehearse::exec::cuda {

// One of the library's descriptors: its attributes are set, then it is finished.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  Descriptor(Descriptor&& other) noexcept : it_(std::exchange(other.it_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  using Name = cudnnBackendAttributeName_t;
  using Type = cudnnBackendAttributeType_t;
  void set(Name name, Type type, const void* values, std::size_t count);
  template <class Value>
  void set(Name name, Type type, const Value& value) {
    set(name, type, &value, 1);
  }
  void set(Name name, const Descriptor& value) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, value.it_);
  }
  void set(Name name, std::span<const Descriptor> values);
  // False where the library does not have what is described. Throws for every other failure.
  bool finish();
  // How many values there are, and up to `count` of them.
  std::int64_t get(Name name, Type type, void* values, std::int64_t count) const;
  void get(Name name, Descriptor& into) const;
  // Of a plan, with its operands.
  void execute(cudnnHandle_t handle, const Descriptor& operands) const;
  std::vector<Descriptor> get_all(Name name, cudnnBackendDescriptorType_t type) const;

 private:
  cudnnBackendDescriptor_t it_ = nullptr;
};

// For what plans are made: the GPU of a handle, or one that is not here.
class DnnTarget {
 public:
  explicit DnnTarget(cudnnHandle_t handle) : handle_(handle) {}
  // As the library describes devices (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION). Plans for it
  // cannot be run.
  explicit DnnTarget(std::string_view device);

  cudnnHandle_t handle() const { return handle_; }
  void set_handle(Descriptor& of, Descriptor::Name name) const;
  void set_device(Descriptor& of, Descriptor::Name name) const;

 private:
  cudnnHandle_t handle_ = nullptr;
  std::optional<Descriptor> device_;
};

// Operations on tensors of four dimensions, in the order in which they are added.
class DnnGraph {
 public:
  using Dims = std::array<std::int64_t, 4>;
  struct Tensor {
    std::int64_t id = 0;
    Dims dims{}, strides{};
  };

  // In memory that a run names by the tensor's id.
  Tensor tensor(cudnnDataType_t type, const Dims& dims, const Dims& strides);
  // Between operations, in no memory. strides: in elements, as if there were.
  Tensor between(cudnnDataType_t type, const Dims& dims, const Dims& strides);
  Tensor between(cudnnDataType_t type, const Dims& dims);
  // One fp32 number for all elements.
  Tensor number(float value);

  void pointwise(cudnnPointwiseMode_t mode, std::initializer_list<Tensor> operands,
                 const Tensor& into, cudnnDataType_t math = CUDNN_DATA_FLOAT);
  // Each element's place along one dimension.
  void place(std::int64_t axis, const Tensor& like, const Tensor& into);
  // Over the dimensions in which `into` has one element, in a fixed order.
  void reduce(cudnnReduceTensorOp_t op, const Tensor& x, const Tensor& into);
  // Of the last two dimensions; heads of b are shared by heads of a where there are fewer.
  void multiply(const Tensor& a, const Tensor& b, const Tensor& into);
  void reshape(const Tensor& x, const Tensor& into);

 private:
  friend class DnnPlan;
  Tensor add(cudnnDataType_t type, const Dims& dims, const Dims& strides,
             std::optional<Descriptor::Name> flag);
  void set(Descriptor& operation, Descriptor::Name name, const Tensor& tensor) const;
  // What is done, finished, as the library describes it apart from its operands.
  const Descriptor& keep(Descriptor part);
  void keep_operation(Descriptor operation);
  void add_pointwise(Descriptor what, std::span<const Tensor> operands, const Tensor& into);

  std::deque<Descriptor> tensors_, parts_;
  std::vector<Descriptor> operations_;
  std::deque<std::pair<std::int64_t, float>> numbers_;
  bool is_supported_ = true;  // of every operation by itself
};

// A graph as the library runs it.
class DnnPlan {
 public:
  struct Binding {
    std::int64_t tensor;
    const void* memory;
  };
  // The library's first choice that gives the same bits every time; null where it has none.
  static std::unique_ptr<DnnPlan> of(DnnGraph graph, const DnnTarget& target);

  std::size_t workspace_bytes() const;
  void run(cudnnHandle_t handle, std::span<const Binding> bindings, void* workspace) const;

 private:
  DnnPlan(DnnGraph graph, Descriptor whole, Descriptor plan)
      : graph_(std::move(graph)), whole_(std::move(whole)), plan_(std::move(plan)) {}

  // The library may look at what a plan was made of for as long as there is the plan.
  DnnGraph graph_;
  Descriptor whole_, plan_;
};

}  // namespace rehearse::exec::cuda
