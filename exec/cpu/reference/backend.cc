// The reference backend: chooses the kernel of a layer and step, and does the flat work.
#include <algorithm>
#include <utility>

#include "exec/cpu/reference/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

using reference::Kernels;

template <class Real>
void run_layer(const Call<Real>& call) {
  std::visit(
      [&]<class Layer>(const Layer& layer) {
        using K = Kernels<Layer, Real>;
        const KernelKind kind = call.request.kind;
        // The layers without kernels are collectives of a plan.
        if constexpr (requires { K::forward(layer, call); }) {
          if (kind == KernelKind::forward) return K::forward(layer, call);
        }
        if constexpr (requires { K::backward(layer, call); }) {
          if (kind == KernelKind::backward) return K::backward(layer, call);
        }
        if constexpr (requires { K::backward_input(layer, call); }) {
          if (kind == KernelKind::backward_input) return K::backward_input(layer, call);
        }
        if constexpr (requires { K::backward_weight(layer, call); }) {
          if (kind == KernelKind::backward_weight) return K::backward_weight(layer, call);
        }
        REHEARSE_UNREACHABLE(
            fmt::format("no kernel for {} of {}", to_string(kind), kind_name(layer)));
      },
      call.request.layer);
}

template <class Real>
class ReferenceKernel : public Kernel {
 public:
  explicit ReferenceKernel(KernelRequest request) : request_(std::move(request)) {}

  void run(const KernelArguments& arguments) override {
    if (request_.kind == KernelKind::accumulate) return accumulate(arguments);
    if (request_.kind == KernelKind::copy) return copy(arguments);
    run_layer(Call<Real>{request_, arguments});
  }

 private:
  void accumulate(const KernelArguments& arguments) const {
    const auto* left = static_cast<const Real*>(arguments.left);
    const auto* right = static_cast<const Real*>(arguments.right);
    auto* sum = static_cast<Real*>(arguments.sum);
#pragma omp simd
    for (std::int64_t i = 0; i < request_.elements; ++i)
      sum[i] = static_cast<Real>(left[i] + right[i]);
  }
  void copy(const KernelArguments& arguments) const {
    std::copy_n(static_cast<const Real*>(arguments.left), request_.elements,
                static_cast<Real*>(arguments.sum));
  }

  KernelRequest request_;
};

template <class Real>
class ReferenceBackend : public Backend {
 public:
  explicit ReferenceBackend(DataType type) : type_(type) {}

  std::string_view name() const override { return "reference"; }
  DataType type() const override { return type_; }
  ElementSizes sizes() const override { return {sizeof(Real), sizeof(Wide<Real>)}; }

  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override {
    return std::make_unique<ReferenceKernel<Real>>(request);
  }

  void add(void* into, const void* from, std::int64_t n) override { add_of<Real>(into, from, n); }
  void add_statistics(void* into, const void* from, std::int64_t n) override {
    add_of<Wide<Real>>(into, from, n);
  }
  void divide(void* values, std::int64_t n, std::int64_t by) override {
    auto* value = static_cast<Real*>(values);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      value[i] = static_cast<Real>(value[i] / static_cast<Wide<Real>>(by));
  }

  // 0 x is 0 for every finite x, and NaN for all others.
  bool all_finite(const void* values, std::int64_t n) override {
    const auto* value = static_cast<const Real*>(values);
    Wide<Real> sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i)
      sum += Wide<Real>{0} * value[i];
    return sum == 0;
  }

  double sum_of_squares(const void* values, std::int64_t n) override {
    const auto* value = static_cast<const Real*>(values);
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i)
      sum += static_cast<double>(value[i]) * static_cast<double>(value[i]);
    return sum;
  }

  void step(const Update& update, void* parameters, const void* gradients,
            const OptimizerState& state, std::int64_t n) override {
    reference::step(update, static_cast<Real*>(parameters), static_cast<const Real*>(gradients),
                    state, n);
  }
  void outer_gradient(const OuterPiece& piece, void* gradients, std::int64_t n) override {
    reference::outer_gradient(piece, static_cast<Real*>(gradients), n);
  }
  void outer_step(const std::optional<OuterOptimizer>& outer, const OuterPiece& piece,
                  const void* averages, std::int64_t n) override {
    reference::outer_step(outer, piece, static_cast<const Real*>(averages), n);
  }

  void scale_channels(void* y, const void* x, const std::vector<double>& factors,
                      const std::vector<double>& offsets, std::int64_t rows) override {
    reference::scale_channels(static_cast<Real*>(y), static_cast<const Real*>(x), factors, offsets,
                              rows);
  }

  void store(void* into, const std::vector<double>& values) override {
    reference::store_rounded(values, static_cast<Real*>(into));
  }
  std::vector<double> load(const void* from, std::int64_t n) override {
    const auto* values = static_cast<const Real*>(from);
    return {values, values + n};
  }
  void store_statistics(void* into, const std::vector<double>& values) override {
    reference::store_rounded(values, static_cast<Wide<Real>*>(into));
  }
  std::vector<double> load_statistics(const void* from, std::int64_t n) override {
    const auto* values = static_cast<const Wide<Real>*>(from);
    return {values, values + n};
  }

  Bytes workspace() const override {
    return {};
  }

 private:
  template <class Number>
  static void add_of(void* into, const void* from, std::int64_t n) {
    auto* sum = static_cast<Number*>(into);
    const auto* term = static_cast<const Number*>(from);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      sum[i] = static_cast<Number>(sum[i] + term[i]);
  }

  DataType type_;
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend(DataType type) {
  switch (type) {
    case DataType::bf16:
      return std::make_unique<ReferenceBackend<BFloat16>>(type);
    case DataType::fp32:
      return std::make_unique<ReferenceBackend<float>>(type);
    case DataType::fp64:
      return std::make_unique<ReferenceBackend<double>>(type);
    case DataType::fp16:
    case DataType::fp8:
    case DataType::tf32:
      break;
  }
  REHEARSE_UNREACHABLE(fmt::format("the reference does not compute in {}", to_string(type)));
}

}  // namespace rehearse::exec
