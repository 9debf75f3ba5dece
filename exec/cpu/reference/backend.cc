// The reference backend: chooses the kernel of a layer and step, and does the flat work.
#include <algorithm>
#include <utility>

#include "exec/cpu/reference/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

using reference::Call;
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
      sum[i] = left[i] + right[i];
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
  std::string_view name() const override { return "reference"; }
  ElementSizes sizes() const override { return {sizeof(Real), sizeof(Real)}; }

  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override {
    return std::make_unique<ReferenceKernel<Real>>(request);
  }

  void add(void* into, const void* from, std::int64_t n) override {
    auto* sum = static_cast<Real*>(into);
    const auto* term = static_cast<const Real*>(from);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      sum[i] += term[i];
  }
  void divide(void* values, std::int64_t n, std::int64_t by) override {
    auto* value = static_cast<Real*>(values);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      value[i] /= static_cast<Real>(by);
  }
  void fill_zero(void* values, std::int64_t n) override {
    std::fill_n(static_cast<Real*>(values), n, Real{0});
  }

  // 0 x is 0 for every finite x, and NaN for all others.
  bool all_finite(const void* values, std::int64_t n) override {
    const auto* value = static_cast<const Real*>(values);
    Real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i)
      sum += Real{0} * value[i];
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

  void step(const Update& update, void* parameters, const void* gradients, const Moments& moments,
            std::int64_t n) override {
    reference::step(update, static_cast<Real*>(parameters), static_cast<const Real*>(gradients),
                    static_cast<Real*>(moments[0]), static_cast<Real*>(moments[1]), n);
  }

  void store(void* into, const std::vector<double>& values) override {
    std::transform(values.begin(), values.end(), static_cast<Real*>(into),
                   [](double value) { return static_cast<Real>(value); });
  }
  std::vector<double> load(const void* from, std::int64_t n) override {
    const auto* values = static_cast<const Real*>(from);
    return {values, values + n};
  }

  Bytes workspace() const override {
    return {};
  }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend(DataType type) {
  if (type == DataType::fp64) return std::make_unique<ReferenceBackend<double>>();
  REHEARSE_CHECK(type == DataType::fp32, "the reference has fp32 and fp64, not {}",
                 to_string(type));
  return std::make_unique<ReferenceBackend<float>>();
}

}  // namespace rehearse::exec
