// ReLU, GELU, SwiGLU and the residual addition: element by element, so every kernel here may
// write where it reads. The other backends use the loops of ReLU and the addition too: "omp simd"
// tells the compiler that an output that equals an input is no obstacle to vectors.
#include <cmath>
#include <numbers>

#include "exec/cpu/reference/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec::reference {
namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

// GELU is x s(x) (model/net/layer.h): the share s and its slope.
struct Share {
  double value, slope;
};

constexpr double kCubic = 0.044715, kSteepness = 1.702;
constexpr double kRoot = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;  // of 2/pi

Share gelu_share(GeluForm form, double x) {
  switch (form) {
    case GeluForm::tanh: {
      const double t = std::tanh(kRoot * (x + kCubic * x * x * x));
      return {0.5 * (1 + t), 0.5 * (1 - t * t) * kRoot * (1 + 3 * kCubic * x * x)};
    }
    case GeluForm::erf:
      return {0.5 * (1 + std::erf(x / std::numbers::sqrt2)), 0.5 * kRoot * std::exp(-0.5 * x * x)};
    case GeluForm::sigmoid: {
      const double s = sigmoid(kSteepness * x);
      return {s, kSteepness * s * (1 - s)};
    }
  }
  REHEARSE_UNREACHABLE("form of GELU");
}

}  // namespace

template <class Real>
void Kernels<Relu, Real>::forward(const Relu&, const Call<Real>& call) {
  const Real* x = call.input(0);
  Real* y = call.output();
  const std::int64_t n = call.elements();
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = x[i] < 0 ? Real{} : x[i];  // what is not a number stays so
}

template <class Real>
void Kernels<Relu, Real>::backward(const Relu&, const Call<Real>& call) {
  const Real* y = call.output();
  const Real* dy = call.output_gradient();
  Real* dx = call.input_gradient(0);
  const std::int64_t n = call.elements();
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const Real gradient = dy[i];  // read always: a conditional read is no vector's
    dx[i] = y[i] > 0 ? gradient : Real{};
  }
}

template <class Real>
void Kernels<Gelu, Real>::forward(const Gelu& gelu, const Call<Real>& call) {
  for (std::int64_t i = 0; i < call.elements(); ++i) {
    const double x = double{call.input(0)[i]};
    call.output()[i] = static_cast<Real>(x * gelu_share(gelu.form, x).value);
  }
}

template <class Real>
void Kernels<Gelu, Real>::backward(const Gelu& gelu, const Call<Real>& call) {
  for (std::int64_t i = 0; i < call.elements(); ++i) {
    const double x = double{call.input(0)[i]};
    const Share share = gelu_share(gelu.form, x);
    const double slope = share.value + x * share.slope;
    call.input_gradient(0)[i] = static_cast<Real>(double{call.output_gradient()[i]} * slope);
  }
}

// y = g s(g) u with the sigmoid s; d/dg = u s (1 + g (1 - s)), d/du = g s (Shazeer, arXiv
// 2002.05202).
template <class Real>
void Kernels<SwiGlu, Real>::forward(const SwiGlu&, const Call<Real>& call) {
  for (std::int64_t i = 0; i < call.elements(); ++i) {
    const double gate = double{call.input(0)[i]}, up = double{call.input(1)[i]};
    call.output()[i] = static_cast<Real>(gate * sigmoid(gate) * up);
  }
}

template <class Real>
void Kernels<SwiGlu, Real>::backward(const SwiGlu&, const Call<Real>& call) {
  Real* d_gate = call.input_gradient(0);
  Real* d_up = call.input_gradient(1);
  for (std::int64_t i = 0; i < call.elements(); ++i) {
    const double gate = double{call.input(0)[i]}, up = double{call.input(1)[i]};
    const double s = sigmoid(gate), dy = double{call.output_gradient()[i]};
    if (d_gate != nullptr) d_gate[i] = static_cast<Real>(dy * up * s * (1 + gate * (1 - s)));
    if (d_up != nullptr) d_up[i] = static_cast<Real>(dy * gate * s);
  }
}

template <class Real>
void Kernels<Add, Real>::forward(const Add& add, const Call<Real>& call) {
  const Real* branch = call.input(0);
  const Real* shortcut = call.input(1);
  Real* y = call.output();
  const auto scale = static_cast<Wide<Real>>(add.branch_scale);
  const std::int64_t n = call.elements();
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = static_cast<Real>(branch[i] * scale + shortcut[i]);
}

template <class Real>
void Kernels<Add, Real>::backward(const Add& add, const Call<Real>& call) {
  const double factors[] = {add.branch_scale, 1.0};
  const Real* dy = call.output_gradient();
  const std::int64_t n = call.elements();
  for (std::size_t input = 0; input < 2; ++input) {
    Real* dx = call.input_gradient(input);
    if (dx == nullptr) continue;
    const auto factor = static_cast<Wide<Real>>(factors[input]);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      dx[i] = static_cast<Real>(dy[i] * factor);
  }
}

template struct Kernels<Relu, float>;
template struct Kernels<Relu, double>;
template struct Kernels<Relu, BFloat16>;
template struct Kernels<Gelu, float>;
template struct Kernels<Gelu, double>;
template struct Kernels<Gelu, BFloat16>;
template struct Kernels<SwiGlu, float>;
template struct Kernels<SwiGlu, double>;
template struct Kernels<SwiGlu, BFloat16>;
template struct Kernels<Add, float>;
template struct Kernels<Add, double>;
template struct Kernels<Add, BFloat16>;

}  // namespace rehearse::exec::reference
