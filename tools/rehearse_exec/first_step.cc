#include "tools/rehearse_exec/first_step.h"

#include "exec/data/safetensors.h"
#include "model/base/check.h"
#include "model/base/text.h"
#include "model/plan/plan_text.h"

namespace rehearse::cli {
namespace {

using exec::NamedTensor;
using exec::TensorType;

TensorType real_type(const exec::Backend& backend) {
  switch (backend.type()) {
    case DataType::bf16:
      return TensorType::bf16;
    case DataType::fp32:
    case DataType::tf32:
      return TensorType::f32;
    case DataType::fp64:
      return TensorType::f64;
    case DataType::fp16:
    case DataType::fp8:
      break;
  }
  REHEARSE_UNREACHABLE("no backend computes in fp16 or fp8");
}

// Of the global batch, micro-batch by micro-batch.
template <class Load>
NamedTensor batch_of(const Plan& plan, const Net& net, ValueId value, TensorType type, Load load) {
  const Shape& shape = net.values[value.index()].shape;
  NamedTensor tensor{"", type, {plan.training.batch}, {}};
  tensor.shape.insert(tensor.shape.end(), shape.dims.begin(), shape.dims.end());
  const std::int64_t element = exec::bytes_of(type);
  const std::int64_t bytes = plan.micro_batch_samples * shape.elements() * element;
  tensor.data.resize(static_cast<std::size_t>(plan.training.batch * shape.elements() * element));
  for (std::int64_t m = 0; m < plan.training.batch / plan.micro_batch_samples; ++m)
    load(m, tensor.data.data() + m * bytes);
  return tensor;
}

// "gpt layers=12 ...": the plan's line without its first word.
std::string model_of(const Plan& plan) {
  const std::string text = print(plan);
  for (const std::string_view line : split(text, '\n')) {
    constexpr std::string_view kWord = "model ";
    if (line.starts_with(kWord)) return std::string(line.substr(kWord.size()));
  }
  return "";
}

}  // namespace

Status write_first_step(const std::string& path, const Plan& plan, const Net& net,
                        const exec::TrainingRun& run, exec::BatchSource& batches,
                        const exec::Backend& backend) {
  const TensorType real = real_type(backend);
  std::vector<NamedTensor> tensors;
  const ElementSizes sizes = backend.sizes();
  for (std::size_t p = 0; p < net.parameters.size(); ++p) {
    const Parameter& parameter = net.parameters[p];
    const std::int64_t bytes = parameter.shape.elements() * sizes.activation_bytes;
    REHEARSE_CHECK(std::ssize(run.first_step->weights[p]) == bytes, "{} is not whole",
                   parameter.name);
    tensors.push_back(
        {"weights/" + parameter.name, real, parameter.shape.dims, run.first_step->weights[p]});
    tensors.push_back(
        {"gradients/" + parameter.name, real, parameter.shape.dims, run.first_step->gradients[p]});
  }
  const bool pixels = net.values[net.input.index()].type == ValueType::real;
  tensors.push_back(batch_of(plan, net, net.input, pixels ? real : TensorType::i32,
                             [&](std::int64_t m, void* into) { batches.load_input(0, m, into); }));
  tensors.back().name = "batch/input";
  tensors.push_back(batch_of(plan, net, net.labels, TensorType::i32,
                             [&](std::int64_t m, void* into) { batches.load_labels(0, m, into); }));
  tensors.back().name = "batch/labels";
  return exec::write_safetensors(path, tensors,
                                 {{"model", model_of(plan)}, {"loss", exact(run.losses.front())}});
}

}  // namespace rehearse::cli
