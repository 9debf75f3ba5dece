#include "exec/cuda/dnn_graph.h"

#include <algorithm>

#include "exec/cuda/check.h"
#include "model/base/check.h"

namespace rehearse::exec::cuda {
namespace {

// Operands are as aligned as the arena's buffers and as heads of 8 bf16 numbers.
constexpr std::int64_t kAlignedTo = 16;

// The statuses 3000 to 3999 are all reasons why something is not supported.
bool is_refusal(cudnnStatus_t status) {
  return static_cast<int>(status) / 1000 == static_cast<int>(CUDNN_STATUS_NOT_SUPPORTED) / 1000;
}

DnnGraph::Dims dense(const DnnGraph::Dims& dims) {
  return {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1};
}

}  // namespace

// ---- descriptors --------------------------------------------------------------------------------

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  REHEARSE_DNN(cudnnBackendCreateDescriptor, type, &it_);
}

Descriptor::~Descriptor() {
  if (it_ != nullptr) REHEARSE_LAZY(kDnn, cudnnBackendDestroyDescriptor)(it_);
}

void Descriptor::set(Name name, Type type, const void* values, std::size_t count) {
  REHEARSE_DNN(cudnnBackendSetAttribute, it_, name, type, static_cast<std::int64_t>(count), values);
}

void Descriptor::set(Name name, std::span<const Descriptor> values) {
  std::vector<cudnnBackendDescriptor_t> list;
  for (const Descriptor& value : values)
    list.push_back(value.it_);
  set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, list.data(), list.size());
}

bool Descriptor::finish() {
  const cudnnStatus_t status = REHEARSE_LAZY(kDnn, cudnnBackendFinalize)(it_);
  if (is_refusal(status)) return false;
  check(status, "cudnnBackendFinalize");
  return true;
}

std::int64_t Descriptor::get(Name name, Type type, void* values, std::int64_t count) const {
  std::int64_t there = 0;
  REHEARSE_DNN(cudnnBackendGetAttribute, it_, name, type, count, &there, values);
  return there;
}

void Descriptor::get(Name name, Descriptor& into) const {
  get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, &into.it_, 1);
}

std::vector<Descriptor> Descriptor::get_all(Name name, cudnnBackendDescriptorType_t type) const {
  const std::int64_t most = get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, nullptr, 0);
  std::vector<Descriptor> list;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < most; ++i)
    raw.push_back(list.emplace_back(type).it_);
  const std::int64_t there = get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw.data(), most);
  while (std::ssize(list) > there)
    list.pop_back();
  return list;
}

void Descriptor::execute(cudnnHandle_t handle, const Descriptor& operands) const {
  REHEARSE_DNN(cudnnBackendExecute, handle, it_, operands.it_);
}

DnnTarget::DnnTarget(std::string_view device) : device_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
  device_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, device.data(),
               device.size());
  REHEARSE_CHECK(device_->finish(), "cuDNN knows no such device: {}", device);
}

void DnnTarget::set_handle(Descriptor& of, Descriptor::Name name) const {
  if (!device_) of.set(name, CUDNN_TYPE_HANDLE, handle_);
}

void DnnTarget::set_device(Descriptor& of, Descriptor::Name name) const {
  if (device_) of.set(name, *device_);
}

// ---- graphs -------------------------------------------------------------------------------------

DnnGraph::Tensor DnnGraph::add(cudnnDataType_t type, const Dims& dims, const Dims& strides,
                               std::optional<Descriptor::Name> flag) {
  const std::int64_t id = std::ssize(tensors_) + 1;
  Descriptor& it = tensors_.emplace_back(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  it.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  it.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, dims.data(), dims.size());
  it.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides.data(), strides.size());
  it.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
  it.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignedTo);
  if (flag) it.set(*flag, CUDNN_TYPE_BOOLEAN, true);
  REHEARSE_CHECK(it.finish(), "cuDNN refuses tensor {}", id);
  return {id, dims, strides};
}

DnnGraph::Tensor DnnGraph::tensor(cudnnDataType_t type, const Dims& dims, const Dims& strides) {
  return add(type, dims, strides, std::nullopt);
}
DnnGraph::Tensor DnnGraph::between(cudnnDataType_t type, const Dims& dims, const Dims& strides) {
  return add(type, dims, strides, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
}
DnnGraph::Tensor DnnGraph::between(cudnnDataType_t type, const Dims& dims) {
  return between(type, dims, dense(dims));
}

DnnGraph::Tensor DnnGraph::number(float value) {
  const Tensor it =
      add(CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, CUDNN_ATTR_TENSOR_IS_BY_VALUE);
  numbers_.emplace_back(it.id, value);
  return it;
}

void DnnGraph::set(Descriptor& operation, Descriptor::Name name, const Tensor& tensor) const {
  operation.set(name, tensors_[static_cast<std::size_t>(tensor.id - 1)]);
}

const Descriptor& DnnGraph::keep(Descriptor part) {
  is_supported_ = part.finish() && is_supported_;
  return parts_.emplace_back(std::move(part));
}

void DnnGraph::keep_operation(Descriptor operation) {
  is_supported_ = operation.finish() && is_supported_;
  operations_.push_back(std::move(operation));
}

void DnnGraph::add_pointwise(Descriptor what, std::span<const Tensor> operands,
                             const Tensor& into) {
  static constexpr Descriptor::Name kOperands[] = {CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                                                   CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                                                   CUDNN_ATTR_OPERATION_POINTWISE_TDESC};
  Descriptor it(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  it.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(what)));
  for (std::size_t i = 0; i < operands.size(); ++i)
    set(it, kOperands[i], operands[i]);
  set(it, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, into);
  keep_operation(std::move(it));
}

void DnnGraph::pointwise(cudnnPointwiseMode_t mode, std::initializer_list<Tensor> operands,
                         const Tensor& into, cudnnDataType_t math) {
  Descriptor what(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  what.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
  what.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, math);
  add_pointwise(std::move(what), operands, into);
}

void DnnGraph::place(std::int64_t axis, const Tensor& like, const Tensor& into) {
  Descriptor what(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  what.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, CUDNN_POINTWISE_GEN_INDEX);
  what.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  what.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, axis);
  add_pointwise(std::move(what), {&like, 1}, into);
}

void DnnGraph::reduce(cudnnReduceTensorOp_t op, const Tensor& x, const Tensor& into) {
  Descriptor what(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  what.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, op);
  what.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  Descriptor it(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  it.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, keep(std::move(what)));
  set(it, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
  set(it, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, into);
  keep_operation(std::move(it));
}

void DnnGraph::multiply(const Tensor& a, const Tensor& b, const Tensor& into) {
  Descriptor what(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  what.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  Descriptor it(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  it.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, keep(std::move(what)));
  set(it, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
  set(it, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
  set(it, CUDNN_ATTR_OPERATION_MATMUL_CDESC, into);
  keep_operation(std::move(it));
}

void DnnGraph::reshape(const Tensor& x, const Tensor& into) {
  Descriptor it(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  set(it, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x);
  set(it, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, into);
  keep_operation(std::move(it));
}

// ---- plans --------------------------------------------------------------------------------------

namespace {

bool gives_the_same_bits(const Descriptor& configuration) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  const std::int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                        notes.data(), notes.size());
  return std::find(notes.begin(), notes.begin() + count, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) ==
         notes.begin() + count;
}

// What the library would take, best first; in the second mode, what it has at all.
std::vector<Descriptor> configurations(const Descriptor& graph, const DnnTarget& target,
                                       cudnnBackendHeurMode_t mode) {
  Descriptor choices(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  choices.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  choices.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  target.set_device(choices, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
  if (!choices.finish()) return {};
  return choices.get_all(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
}

}  // namespace

std::unique_ptr<DnnPlan> DnnPlan::of(DnnGraph graph, const DnnTarget& target) {
  if (!graph.is_supported_) return nullptr;
  Descriptor whole(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  whole.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, graph.operations_);
  target.set_handle(whole, CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
  if (!whole.finish()) return nullptr;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const Descriptor& configuration : configurations(whole, target, mode)) {
      if (!gives_the_same_bits(configuration)) continue;
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      target.set_handle(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
      target.set_device(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
      if (plan.finish())
        return std::unique_ptr<DnnPlan>(
            new DnnPlan(std::move(graph), std::move(whole), std::move(plan)));
    }
  }
  return nullptr;
}

std::size_t DnnPlan::workspace_bytes() const {
  std::int64_t bytes = 0;
  plan_.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &bytes, 1);
  return static_cast<std::size_t>(bytes);
}

void DnnPlan::run(cudnnHandle_t handle, std::span<const Binding> bindings, void* workspace) const {
  std::vector<std::int64_t> ids;
  std::vector<const void*> memory;
  for (const Binding& binding : bindings) {
    ids.push_back(binding.tensor);
    memory.push_back(binding.memory);
  }
  for (const auto& [id, number] : graph_.numbers_) {
    ids.push_back(id);
    memory.push_back(&number);
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids.data(), ids.size());
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, memory.data(),
           memory.size());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
  REHEARSE_CHECK(pack.finish(), "cuDNN refuses {} operands", ids.size());
  plan_.execute(handle, pack);
}

}  // namespace rehearse::exec::cuda
