// Graphs of operations as cuDNN's backend API compiles them, for what the library has no function
// of.
#pragma once

#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "exec/cuda/tensor_graph.h"

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

// A graph as the library runs it: its real type is bf16, its wide type fp32.
class DnnPlan {
 public:
  // The library's first choice that gives the same bits every time; null where it has none.
  static std::unique_ptr<DnnPlan> of(const TensorGraph& graph, const DnnTarget& target);

  std::size_t workspace_bytes() const;
  struct Operand {
    std::size_t tensor;
    void* memory;
  };
  void run(cudnnHandle_t handle, std::span<const Operand> operands, void* workspace) const;

 private:
  DnnPlan(std::vector<Descriptor> parts, Descriptor plan)
      : parts_(std::move(parts)), plan_(std::move(plan)) {}

  // The library may look at what a plan was made of for as long as there is the plan.
  std::vector<Descriptor> parts_;
  Descriptor plan_;
  std::vector<std::pair<std::size_t, float>> numbers_;
};

}  // namespace rehearse::exec::cuda
