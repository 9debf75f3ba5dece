// Layer norm and RMS norm, row by row; the formulas stand in reference/row_norms.cc. Sums are taken
// in double; those over rows by blocks of rows, in one order whatever the number of threads.
#include <algorithm>
#include <cmath>

#include "exec/cpu/onednn/call.h"
#include "exec/cpu/onednn/kernels.h"
#include "exec/cpu/onednn/vectors.h"

namespace rehearse::exec::onednn {
namespace {

constexpr double kEpsilon = 1e-5;  // as the reference
constexpr std::int64_t kBlocks = 16;

struct Statistics {
  float mean, inverse;
};

template <class Real>
REHEARSE_VECTORS Statistics statistics_of(const Real* x, std::int64_t n, bool centred) {
  double sum = 0, square = 0;
  if (centred) {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; ++i)
      sum += static_cast<double>(x[i]);
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(n));
#pragma omp simd reduction(+ : square)
  for (std::int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(mean);
    square += d * d;
  }
  return {mean, static_cast<float>(1 / std::sqrt(square / static_cast<double>(n) + kEpsilon))};
}

// shift: null without one.
template <class Real>
REHEARSE_VECTORS void normalize(const Real* x, Statistics s, const Real* scale, const Real* shift,
                                std::int64_t n, Real* y) {
  if (shift == nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      y[i] = static_cast<Real>(scale[i] * ((x[i] - s.mean) * s.inverse));
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = static_cast<Real>(scale[i] * ((x[i] - s.mean) * s.inverse) + shift[i]);
}

template <class Real>
REHEARSE_VECTORS void add_parameter_terms(const Real* x, const Real* dy, Statistics s,
                                          std::int64_t n, double* d_scale, double* d_shift) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    d_scale[i] += static_cast<double>(dy[i] * ((x[i] - s.mean) * s.inverse));
    d_shift[i] += static_cast<double>(dy[i]);
  }
}

template <class Real>
REHEARSE_VECTORS void differentiate(const Real* x, const Real* dy, Statistics s, const Real* scale,
                                    std::int64_t n, bool centred, Real* dx) {
  double sum = 0, projected = 0;
#pragma omp simd reduction(+ : sum, projected)
  for (std::int64_t i = 0; i < n; ++i) {
    const double h = static_cast<double>(dy[i] * scale[i]);
    sum += h;
    projected += h * static_cast<double>((x[i] - s.mean) * s.inverse);
  }
  const auto count = static_cast<double>(n);
  const auto mean_h = static_cast<float>(centred ? sum / count : 0.0);
  const auto mean_hx = static_cast<float>(projected / count);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float xh = (x[i] - s.mean) * s.inverse;
    dx[i] = static_cast<Real>(s.inverse * (dy[i] * scale[i] - mean_h - xh * mean_hx));
  }
}

template <class Real>
class RowNorm : public Kernel {
 public:
  RowNorm(SharedSession session, const KernelRequest& request, std::int64_t width, bool centred)
      : session_(std::move(session)),
        is_forward_(request.kind == KernelKind::forward),
        rows_(request.samples * request.inputs[0].elements() / width),
        width_(width),
        centred_(centred) {
    if (!is_forward_) session_->workspace.reserve(sizeof(double) * sums(kBlocks));
  }

  void run(const KernelArguments& a) override { is_forward_ ? forward(a) : backward(a); }

 private:
  std::size_t sums(std::int64_t blocks) const {
    return static_cast<std::size_t>(2 * width_ * blocks);
  }
  const Real* x(const KernelArguments& a, std::int64_t row) const {
    return static_cast<const Real*>(a.inputs[0]) + row * width_;
  }
  const Real* dy(const KernelArguments& a, std::int64_t row) const {
    return static_cast<const Real*>(a.output_gradient) + row * width_;
  }
  float* inverse(const KernelArguments& a) const {
    return static_cast<float*>(a.auxiliaries[centred_ ? 1 : 0]);
  }
  Statistics kept(const KernelArguments& a, std::int64_t row) const {
    return {centred_ ? static_cast<const float*>(a.auxiliaries[0])[row] : 0.0F, inverse(a)[row]};
  }

  void forward(const KernelArguments& a) const {
    const auto* scale = static_cast<const Real*>(a.parameters[0]);
    const auto* shift = centred_ ? static_cast<const Real*>(a.parameters[1]) : nullptr;
    session_->team.share(rows_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const Statistics s = statistics_of(x(a, row), width_, centred_);
        if (centred_) static_cast<float*>(a.auxiliaries[0])[row] = s.mean;
        inverse(a)[row] = s.inverse;
        normalize(x(a, row), s, scale, shift, width_, static_cast<Real*>(a.output) + row * width_);
      }
    });
  }

  void backward(const KernelArguments& a) const {
    // First: the input's gradient may overwrite the output's.
    if (a.parameter_gradients[0] != nullptr) give_parameter_gradients(a);
    if (a.input_gradients[0] == nullptr) return;
    const auto* scale = static_cast<const Real*>(a.parameters[0]);
    session_->team.share(rows_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        differentiate(x(a, row), dy(a, row), kept(a, row), scale, width_, centred_,
                      static_cast<Real*>(a.input_gradients[0]) + row * width_);
      }
    });
  }

  void give_parameter_gradients(const KernelArguments& a) const {
    auto* blocks = reinterpret_cast<double*>(session_->workspace.data());
    std::fill_n(blocks, sums(kBlocks), 0.0);
    const std::int64_t size = (rows_ + kBlocks - 1) / kBlocks;
    session_->team.share(kBlocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        double* own = blocks + sums(block);
        for (std::int64_t row = block * size; row < std::min(rows_, (block + 1) * size); ++row)
          add_parameter_terms(x(a, row), dy(a, row), kept(a, row), width_, own, own + width_);
      }
    });
    give(a, 0, blocks);
    if (centred_) give(a, 1, blocks + width_);
  }

  void give(const KernelArguments& a, std::size_t parameter, const double* blocks) const {
    auto* gradient = static_cast<Real*>(a.parameter_gradients[parameter]);
    for (std::int64_t i = 0; i < width_; ++i) {
      double sum = a.adds_to_parameter_gradients ? static_cast<double>(gradient[i]) : 0.0;
      for (std::int64_t block = 0; block < kBlocks; ++block)
        sum += blocks[sums(block) + static_cast<std::size_t>(i)];
      gradient[i] = static_cast<Real>(sum);
    }
  }

  SharedSession session_;
  bool is_forward_;
  std::int64_t rows_, width_;
  bool centred_;
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_row_norm(const SharedSession& session, const KernelRequest& request,
                                      std::int64_t width, bool centred) {
  return std::make_unique<RowNorm<Real>>(session, request, width, centred);
}

template std::unique_ptr<Kernel> make_row_norm<float>(const SharedSession&, const KernelRequest&,
                                                      std::int64_t, bool);
template std::unique_ptr<Kernel> make_row_norm<BFloat16>(const SharedSession&, const KernelRequest&,
                                                         std::int64_t, bool);

}  // namespace rehearse::exec::onednn
