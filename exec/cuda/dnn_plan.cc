#include "exec/cuda/dnn_plan.h"

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

namespace {

cudnnDataType_t type_of(TensorGraph::Type type) {
  switch (type) {
    case TensorGraph::Type::real:
      return CUDNN_DATA_BFLOAT16;
    case TensorGraph::Type::wide:
      return CUDNN_DATA_FLOAT;
    case TensorGraph::Type::index:
      return CUDNN_DATA_INT32;
    case TensorGraph::Type::truth:
      return CUDNN_DATA_BOOLEAN;
  }
  REHEARSE_UNREACHABLE("type");
}

cudnnPointwiseMode_t mode_of(TensorGraph::Function function) {
  switch (function) {
    case TensorGraph::Function::add:
      return CUDNN_POINTWISE_ADD;
    case TensorGraph::Function::subtract:
      return CUDNN_POINTWISE_SUB;
    case TensorGraph::Function::multiply:
      return CUDNN_POINTWISE_MUL;
    case TensorGraph::Function::divide:
      return CUDNN_POINTWISE_DIV;
    case TensorGraph::Function::exp:
      return CUDNN_POINTWISE_EXP;
    case TensorGraph::Function::log:
      return CUDNN_POINTWISE_LOG;
    case TensorGraph::Function::is_at_least:
      return CUDNN_POINTWISE_CMP_GE;
    case TensorGraph::Function::select:
      return CUDNN_POINTWISE_BINARY_SELECT;
  }
  REHEARSE_UNREACHABLE("function");
}

std::int64_t id_of(std::size_t tensor) {
  return static_cast<std::int64_t>(tensor) + 1;
}

// A graph in the library's descriptors, each after those that it is made of.
class Translation {
 public:
  explicit Translation(const TensorGraph& graph) : graph_(graph) {
    for (std::size_t t = 0; t < graph.tensors.size(); ++t)
      add_tensor(t);
    for (const TensorGraph::Operation& operation : graph.operations)
      std::visit([&](const auto& what) { translate(what, operation); }, operation.what);
  }

  // Whether the library has every operation by itself.
  bool is_supported() const { return is_supported_; }
  std::span<const Descriptor> operations() const { return operations_; }
  std::vector<Descriptor> take_all() {
    for (Descriptor& operation : operations_)
      parts_.push_back(std::move(operation));
    return std::move(parts_);
  }

 private:
  using Operation = TensorGraph::Operation;

  // The first descriptors are those of the tensors, in their order.
  void add_tensor(std::size_t tensor) {
    const TensorGraph::Tensor& from = graph_.tensors[tensor];
    Descriptor it(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    it.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type_of(from.type));
    it.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, from.dims.data(), from.dims.size());
    it.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, from.strides.data(), from.strides.size());
    it.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id_of(tensor));
    it.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignedTo);
    if (from.lies == TensorGraph::Lies::between_operations)
      it.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, true);
    if (from.lies == TensorGraph::Lies::as_number)
      it.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, true);
    keep(std::move(it));
  }
  const Descriptor& keep(Descriptor part) {
    is_supported_ = part.finish() && is_supported_;
    parts_.push_back(std::move(part));
    return parts_.back();
  }
  void keep_operation(Descriptor operation) {
    is_supported_ = operation.finish() && is_supported_;
    operations_.push_back(std::move(operation));
  }

  void translate(const TensorGraph::Elementwise& what, const Operation& operation) {
    const bool is_truth = graph_.tensors[operation.into].type == TensorGraph::Type::truth;
    Descriptor mode(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    mode.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode_of(what.function));
    mode.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE,
             is_truth ? CUDNN_DATA_BOOLEAN : CUDNN_DATA_FLOAT);
    add_pointwise(std::move(mode), operation);
  }
  void translate(const TensorGraph::Place& what, const Operation& operation) {
    Descriptor mode(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    mode.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, CUDNN_POINTWISE_GEN_INDEX);
    mode.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    mode.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, what.dimension);
    add_pointwise(std::move(mode), operation);
  }
  void translate(const TensorGraph::Reduce& what, const Operation& operation) {
    Descriptor how(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    how.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE,
            what.how == TensorGraph::Reduction::sum ? CUDNN_REDUCE_TENSOR_ADD
                                                    : CUDNN_REDUCE_TENSOR_MAX);
    how.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    Descriptor it(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    it.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, keep(std::move(how)));
    finish(std::move(it), operation,
           {CUDNN_ATTR_OPERATION_REDUCTION_XDESC, CUDNN_ATTR_OPERATION_REDUCTION_YDESC});
  }
  void translate(const TensorGraph::MatrixProduct&, const Operation& operation) {
    Descriptor how(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    Descriptor it(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    it.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, keep(std::move(how)));
    finish(std::move(it), operation,
           {CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_ATTR_OPERATION_MATMUL_BDESC,
            CUDNN_ATTR_OPERATION_MATMUL_CDESC});
  }
  void translate(const TensorGraph::Reshape&, const Operation& operation) {
    finish(Descriptor(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR), operation,
           {CUDNN_ATTR_OPERATION_RESHAPE_XDESC, CUDNN_ATTR_OPERATION_RESHAPE_YDESC});
  }

  void add_pointwise(Descriptor mode, const Operation& operation) {
    std::vector<Descriptor::Name> names = {CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                                           CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                                           CUDNN_ATTR_OPERATION_POINTWISE_TDESC};
    names.resize(operation.operands.size());
    names.push_back(CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
    Descriptor it(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    it.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(mode)));
    finish(std::move(it), operation, names);
  }
  // names: of the operands, then of the result.
  void finish(Descriptor it, const Operation& operation,
              const std::vector<Descriptor::Name>& names) {
    for (std::size_t i = 0; i < operation.operands.size(); ++i)
      it.set(names[i], parts_[operation.operands[i]]);
    it.set(names.back(), parts_[operation.into]);
    keep_operation(std::move(it));
  }

  const TensorGraph& graph_;
  std::vector<Descriptor> parts_, operations_;
  bool is_supported_ = true;
};

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

std::unique_ptr<DnnPlan> DnnPlan::of(const TensorGraph& graph, const DnnTarget& target) {
  Translation translation(graph);
  if (!translation.is_supported()) return nullptr;
  Descriptor whole(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  whole.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, translation.operations());
  target.set_handle(whole, CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
  if (!whole.finish()) return nullptr;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (Descriptor& configuration : configurations(whole, target, mode)) {
      if (!gives_the_same_bits(configuration)) continue;
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      target.set_handle(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
      target.set_device(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
      if (!plan.finish()) continue;
      std::vector<Descriptor> parts = translation.take_all();
      parts.push_back(std::move(whole));
      parts.push_back(std::move(configuration));
      std::unique_ptr<DnnPlan> it(new DnnPlan(std::move(parts), std::move(plan)));
      for (std::size_t t = 0; t < graph.tensors.size(); ++t) {
        if (graph.tensors[t].lies == TensorGraph::Lies::as_number)
          it->numbers_.emplace_back(t, graph.tensors[t].number);
      }
      return it;
    }
  }
  return nullptr;
}

std::size_t DnnPlan::workspace_bytes() const {
  std::int64_t bytes = 0;
  plan_.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &bytes, 1);
  return static_cast<std::size_t>(bytes);
}

void DnnPlan::run(cudnnHandle_t handle, std::span<const Operand> operands, void* workspace) const {
  std::vector<std::int64_t> ids;
  std::vector<const void*> memory;
  for (const Operand& operand : operands) {
    ids.push_back(id_of(operand.tensor));
    memory.push_back(operand.memory);
  }
  for (const auto& [tensor, number] : numbers_) {
    ids.push_back(id_of(tensor));
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
