#include "tests/exec/cuda/pair_runner.h"

#include <algorithm>
#include <cmath>

#include "model/base/random.h"
#include "tests/exec/cpu/layer_runner.h"

namespace rehearse::exec {
namespace {

// Steps of one case and their operands: the same numbers on every backend, bf16's among them.
class Steps {
 public:
  Steps(Backend& backend, const PairCase& it, GeluForm form)
      : backend_(backend), it_(it), gelu_{form} {}

  PairOutcome apart() {
    const Tensor before = hidden(), after = hidden(), between = hidden(), gradient = hidden();
    backend_.prepare(linear(KernelKind::forward))->run(into(before));
    backend_.prepare(activation(KernelKind::forward))->run(activating(before, after));
    backend_.prepare(linear(KernelKind::backward_input))->run(back_into(between));
    backend_.prepare(activation(KernelKind::backward))
        ->run(handing_back(before, between, gradient));
    return {load(before), load(after), load(gradient)};
  }

  // The gradient in place, as in the executor's plans.
  std::optional<PairOutcome> pair() {
    const Tensor before = hidden(), after = hidden(), gradient = hidden();
    const auto forward =
        backend_.prepare_pair(linear(KernelKind::forward), activation(KernelKind::forward));
    const auto backward =
        backend_.prepare_pair(linear(KernelKind::backward_input), activation(KernelKind::backward));
    if (!forward || !backward) return std::nullopt;
    forward->run(into(before), activating(before, after));
    backward->run(back_into(gradient), handing_back(before, gradient, gradient));
    return PairOutcome{load(before), load(after), load(gradient)};
  }

 private:
  KernelRequest request(KernelKind kind, const LayerSpec& layer, std::int64_t in,
                        std::int64_t out) const {
    KernelRequest request;
    request.kind = kind;
    request.layer = layer;
    request.inputs = {{{it_.rows, in}}};
    request.output = {{it_.rows, out}};
    request.wants_input_gradient = {kind != KernelKind::forward};
    return request;
  }
  // Forward the layer in front of the GELU, backward that behind it.
  KernelRequest linear(KernelKind kind) const {
    const bool is_forward = kind == KernelKind::forward;
    const std::int64_t in = is_forward ? it_.in : it_.out, out = is_forward ? it_.out : it_.in;
    return request(kind, Linear{in, out, it_.bias}, in, out);
  }
  KernelRequest activation(KernelKind kind) const { return request(kind, gelu_, it_.out, it_.out); }

  KernelArguments into(const Tensor& before) const {
    KernelArguments arguments;
    arguments.inputs = {x_.data()};
    arguments.parameters = {weights_.data()};
    if (it_.bias) arguments.parameters.push_back(bias_.data());
    arguments.output = before.data();
    return arguments;
  }
  KernelArguments back_into(const Tensor& gradient) const {
    KernelArguments arguments;
    arguments.inputs = {nullptr};
    arguments.parameters = {back_weights_.data()};
    arguments.output_gradient = dz_.data();
    arguments.input_gradients = {gradient.data()};
    return arguments;
  }
  static KernelArguments activating(const Tensor& before, const Tensor& after) {
    KernelArguments arguments;
    arguments.inputs = {before.data()};
    arguments.output = after.data();
    return arguments;
  }
  static KernelArguments handing_back(const Tensor& before, const Tensor& from, const Tensor& to) {
    KernelArguments arguments;
    arguments.inputs = {before.data()};
    arguments.output_gradient = from.data();
    arguments.input_gradients = {to.data()};
    return arguments;
  }

  Tensor hidden() const { return Tensor::poisoned(backend_, it_.rows * it_.out); }
  Tensor drawn(std::uint64_t stream, std::int64_t n, double deviation) const {
    Random random(11, stream);
    std::vector<double> values(static_cast<std::size_t>(n));
    std::generate(values.begin(), values.end(), [&] { return deviation * random.normal(); });
    round_to_bf16(values);
    return {backend_, values};
  }
  std::vector<double> load(const Tensor& tensor) const { return tensor.load(backend_); }

  Backend& backend_;
  const PairCase& it_;
  Gelu gelu_;
  const double deviation_ = 2 / std::sqrt(static_cast<double>(it_.in));
  Tensor x_ = drawn(1, it_.rows*it_.in, 1), weights_ = drawn(2, it_.out*it_.in, deviation_),
         bias_ = drawn(3, it_.out, 0.5), dz_ = drawn(4, it_.rows*it_.in, 1),
         back_weights_ = drawn(5, it_.in*it_.out, deviation_);
};

}  // namespace

std::vector<PairCase> pair_cases() {
  return {{"biased", 24, 32, 64, true},
          {"unbiased", 24, 32, 64, false},
          {"large", 192, 96, 384, true},
          {"odd", 7, 5, 13, true}};
}

PairOutcome run_apart(Backend& backend, const PairCase& it, GeluForm form) {
  return Steps(backend, it, form).apart();
}

std::optional<PairOutcome> run_pair(Backend& backend, const PairCase& it, GeluForm form) {
  return Steps(backend, it, form).pair();
}

}  // namespace rehearse::exec
