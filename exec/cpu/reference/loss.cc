// Softmax cross-entropy: loss = log sum exp(logits) - logits[label]; its gradient with respect to
// the logits is softmax - one_hot(label), repeated from the logits and the saved log-sum-exp.
// Squared error: loss = 1/2 |logits - one_hot(label)|^2, its gradient logits - one_hot(label).
#include <algorithm>
#include <cmath>

#include "exec/cpu/reference/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec::reference {
namespace {

template <class Real>
double log_sum_exp(const Real* logits, std::int64_t n) {
  const double largest = double{*std::max_element(logits, logits + n)};
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i)
    sum += std::exp(double{logits[i]} - largest);
  return largest + std::log(sum);
}

template <class Real>
std::int64_t label_of(const Call<Real>& call, std::int64_t row, std::int64_t classes) {
  const std::int64_t label = call.indices(1)[row];
  REHEARSE_CHECK(label >= 0 && label < classes, "label {} of {} classes", label, classes);
  return label;
}

// What the loss of this row is multiplied by in backward.
template <class Real>
double scale_of(const Call<Real>& call, std::int64_t row) {
  const Wide<Real>* dy = call.loss_gradient();
  return dy == nullptr ? call.arguments.loss_scale : double{dy[row]};
}

}  // namespace

template <class Real>
void Kernels<CrossEntropy, Real>::forward(const CrossEntropy& loss, const Call<Real>& call) {
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const Real* logits = call.input(0) + row * loss.classes;
    const std::int64_t label = label_of(call, row, loss.classes);
    const double sum = log_sum_exp(logits, loss.classes);
    call.auxiliary(0)[row] = static_cast<Wide<Real>>(sum);
    call.losses()[row] = static_cast<Wide<Real>>(sum - double{logits[label]});
  }
}

template <class Real>
void Kernels<CrossEntropy, Real>::backward(const CrossEntropy& loss, const Call<Real>& call) {
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const Real* logits = call.input(0) + row * loss.classes;
    Real* dx = call.input_gradient(0) + row * loss.classes;
    const double scale = scale_of(call, row);
    const double sum = double{call.auxiliary(0)[row]};
    for (std::int64_t i = 0; i < loss.classes; ++i) {
      const double hit = i == call.indices(1)[row] ? 1.0 : 0.0;
      dx[i] = static_cast<Real>(scale * (std::exp(double{logits[i]} - sum) - hit));
    }
  }
}

template <class Real>
void Kernels<SquaredError, Real>::forward(const SquaredError& loss, const Call<Real>& call) {
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const Real* logits = call.input(0) + row * loss.classes;
    const std::int64_t label = label_of(call, row, loss.classes);
    double sum = 0;
    for (std::int64_t i = 0; i < loss.classes; ++i) {
      const double apart = double{logits[i]} - (i == label ? 1.0 : 0.0);
      sum += apart * apart;
    }
    call.losses()[row] = static_cast<Wide<Real>>(sum / 2);
  }
}

template <class Real>
void Kernels<SquaredError, Real>::backward(const SquaredError& loss, const Call<Real>& call) {
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const Real* logits = call.input(0) + row * loss.classes;
    Real* dx = call.input_gradient(0) + row * loss.classes;
    const double scale = scale_of(call, row);
    for (std::int64_t i = 0; i < loss.classes; ++i) {
      const double hit = i == call.indices(1)[row] ? 1.0 : 0.0;
      dx[i] = static_cast<Real>(scale * (double{logits[i]} - hit));
    }
  }
}

template struct Kernels<CrossEntropy, float>;
template struct Kernels<CrossEntropy, double>;
template struct Kernels<CrossEntropy, BFloat16>;
template struct Kernels<SquaredError, float>;
template struct Kernels<SquaredError, double>;
template struct Kernels<SquaredError, BFloat16>;

}  // namespace rehearse::exec::reference
