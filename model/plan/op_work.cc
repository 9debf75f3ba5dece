#include "model/plan/op_work.h"

#include <algorithm>

namespace rehearse {

StepWork load_work(const RankProgram& program, const Op& op) {
  Bytes loaded;
  for (const Operand& operand : op.operands)
    loaded += program.buffers[operand.buffer.index()].size;
  return {KernelClass::copy, Flops{}, 2 * loaded};
}

StepWork accumulate_work(const Training& training, const Op& op) {
  const Accumulate& it = accumulate_of(op);
  const std::int64_t elements = it.end - it.begin;
  const double divides = it.divisor == 1 ? 0 : 1;
  return {KernelClass::elementwise, Flops::flops((1 + divides) * static_cast<double>(elements)),
          Bytes::bytes(3 * elements * state_sizes(training).gradient)};
}

StepWork clear_work(const Training& training, const Op& op) {
  const Clear& it = clear_of(op);
  return {KernelClass::elementwise, Flops{},
          Bytes::bytes((it.end - it.begin) * state_sizes(training).gradient)};
}

std::int64_t elements_squared(const Plan& plan, const RankProgram& program) {
  std::int64_t elements = 0;
  for (const ParameterClass& held : program.parameter_classes) {
    if (!held.is_held) continue;
    const std::int64_t sharers = has_local_steps(plan) ? 1 : held.holders;
    elements += held.sharding == Sharding::none ? (held.elements + sharers - 1) / sharers
                                                : shard_elements(held);
  }
  return elements;
}

StepWork squares_work(const Training& training, std::int64_t elements) {
  return {KernelClass::optimizer, Flops::flops(2 * static_cast<double>(elements)),
          Bytes::bytes(elements * state_sizes(training).gradient)};
}

std::int64_t elements_updated(const RankProgram& program, const Op& op) {
  const ParameterClass& held = program.parameter_classes[optimize_of(op).parameter_class.index()];
  if (held.sharding == Sharding::none) return held.elements;
  return shard_elements(held);
}

namespace {

constexpr std::int64_t kFp32 = 4;

// Bytes of an element that passes of their own move around an update.
std::int64_t beside_update(const Training& training, const StateSizes& sizes) {
  const bool scales = training.dtype == DataType::fp16, sums_apart = training.gradients.has_value();
  std::int64_t bytes = 0;
  if (scales && sizes.gradient < kFp32) bytes += sizes.gradient + kFp32;  // copied to fp32
  if (scales) bytes += 2 * kFp32;
  if (training.optimizer.clip && (scales || sums_apart)) bytes += 2 * kFp32;
  if (sums_apart) bytes += sizes.gradient;  // cleared
  return bytes;
}

}  // namespace

StepWork optimizer_work(const Training& training, std::int64_t elements) {
  const StateSizes sizes = state_sizes(training);
  const std::int64_t bytes =
      2 * sizes.parameter + sizes.gradient + 2 * sizes.optimizer + beside_update(training, sizes);
  return {KernelClass::optimizer,
          Flops::flops(flops_per_weight(training.optimizer) * static_cast<double>(elements)),
          Bytes::bytes(bytes * elements)};
}

namespace {

// Of the weights before they are rounded to a smaller type; 0: they are not.
std::int64_t master_bytes(const StateSizes& sizes) {
  return sizes.moment > sizes.parameter ? sizes.moment : 0;
}

StepWork copy_work(const StateSizes& sizes, std::int64_t elements) {
  return {KernelClass::copy, Flops{}, Bytes::bytes((sizes.parameter + sizes.gradient) * elements)};
}

}  // namespace

StepWork outer_gradient_work(const Training& training, const std::optional<OuterOptimizer>& outer,
                             std::int64_t elements) {
  const StateSizes sizes = state_sizes(training);
  if (!outer) return copy_work(sizes, elements);
  const std::int64_t weight = std::max(sizes.parameter, master_bytes(sizes));
  return {KernelClass::optimizer, Flops::flops(static_cast<double>(elements)),
          Bytes::bytes((weight + sizes.moment + sizes.gradient) * elements)};
}

StepWork outer_step_work(const Training& training, const std::optional<OuterOptimizer>& outer,
                         std::int64_t elements) {
  const StateSizes sizes = state_sizes(training);
  if (!outer) return copy_work(sizes, elements);
  const std::int64_t bytes = sizes.gradient + 2 * outer_state_bytes(training, outer) +
                             sizes.parameter + master_bytes(sizes);
  return {KernelClass::optimizer,
          Flops::flops(flops_per_weight(*outer) * static_cast<double>(elements)),
          Bytes::bytes(bytes * elements)};
}

}  // namespace rehearse
