// Sums of several tensors, and a number added per channel; the formulas stand in reference/sums.cc.
// Both are bound by memory: every input is read once, in pieces that stay in a cache.
#include <algorithm>

#include "exec/cpu/onednn/elementwise.h"
#include "exec/cpu/onednn/kernels.h"
#include "exec/cpu/onednn/vectors.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

constexpr std::int64_t kGrain = 4096;  // elements that a thread takes at least
constexpr std::int64_t kPiece = 1024;  // whose sums are kept apart until all inputs are in them

template <class Real>
REHEARSE_VECTORS void add_term(float* total, const Real* x, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    total[i] += x[i];
}

template <class Real, class From>
REHEARSE_VECTORS void scale(Real* to, const From* from, float by, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = static_cast<Real>(from[i] * by);
}

template <class Real>
class SumKernel : public Kernel {
 public:
  SumKernel(SharedSession session, const KernelRequest& request, const Sum& layer)
      : session_(std::move(session)),
        is_forward_(request.kind == KernelKind::forward),
        elements_(request.samples * request.output.elements()),
        scale_(static_cast<float>(layer.scale)) {}

  void run(const KernelArguments& a) override {
    session_->team.share(elements_, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t at = begin; at < end; at += kPiece) {
        const std::int64_t n = std::min(kPiece, end - at);
        is_forward_ ? forward(a, at, n) : backward(a, at, n);
      }
    });
  }

 private:
  // The output may be the first input: it is written when all are read.
  void forward(const KernelArguments& a, std::int64_t at, std::int64_t n) const {
    float total[kPiece];
    convert_rows(total, n, static_cast<const Real*>(a.inputs[0]) + at, n, 1, n);
    for (std::size_t term = 1; term < a.inputs.size(); ++term)
      add_term(total, static_cast<const Real*>(a.inputs[term]) + at, n);
    scale(static_cast<Real*>(a.output) + at, total, scale_, n);
  }

  void backward(const KernelArguments& a, std::int64_t at, std::int64_t n) const {
    for (void* gradient : a.input_gradients) {
      if (gradient == nullptr) continue;
      scale(static_cast<Real*>(gradient) + at, static_cast<const Real*>(a.output_gradient) + at,
            scale_, n);
    }
  }

  SharedSession session_;
  bool is_forward_;
  std::int64_t elements_;
  float scale_;
};

template <class Real>
class BiasKernel : public Kernel {
 public:
  BiasKernel(SharedSession session, const KernelRequest& request, const Bias& layer)
      : session_(std::move(session)),
        kind_(request.kind),
        width_(layer.width),
        rows_(request.samples * request.output.elements() / layer.width) {}

  void run(const KernelArguments& a) override {
    const auto* dy = static_cast<const Real*>(a.output_gradient);
    switch (kind_) {
      case KernelKind::forward:
        return add_to_rows(session_->team, static_cast<Real*>(a.output),
                           static_cast<const Real*>(a.inputs[0]),
                           static_cast<const Real*>(a.parameters[0]), rows_, width_);
      case KernelKind::backward_input:
        if (a.input_gradients[0] == a.output_gradient) return;
        return copy(session_->team, static_cast<Real*>(a.input_gradients[0]), dy, rows_ * width_);
      case KernelKind::backward_weight:
        return sum_rows(session_->team, static_cast<Real*>(a.parameter_gradients[0]), dy, rows_,
                        width_, a.adds_to_parameter_gradients);
      case KernelKind::backward:
      case KernelKind::accumulate:
      case KernelKind::copy:
        break;
    }
    REHEARSE_UNREACHABLE("bias has two backward kernels");
  }

 private:
  SharedSession session_;
  KernelKind kind_;
  std::int64_t width_, rows_;
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_sum(const SharedSession& session, const KernelRequest& request,
                                 const Sum& layer) {
  return std::make_unique<SumKernel<Real>>(session, request, layer);
}

template <class Real>
std::unique_ptr<Kernel> make_bias(const SharedSession& session, const KernelRequest& request,
                                  const Bias& layer) {
  return std::make_unique<BiasKernel<Real>>(session, request, layer);
}

template std::unique_ptr<Kernel> make_sum<float>(const SharedSession&, const KernelRequest&,
                                                 const Sum&);
template std::unique_ptr<Kernel> make_sum<BFloat16>(const SharedSession&, const KernelRequest&,
                                                    const Sum&);
template std::unique_ptr<Kernel> make_bias<float>(const SharedSession&, const KernelRequest&,
                                                  const Bias&);
template std::unique_ptr<Kernel> make_bias<BFloat16>(const SharedSession&, const KernelRequest&,
                                                     const Bias&);

}  // namespace rehearse::exec::onednn
