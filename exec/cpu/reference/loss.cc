// Softmax cross-entropy: loss = log sum exp(logits) - logits[label]; its gradient with respect to
// the logits is softmax - one_hot(label), repeated from the logits and the saved log-sum-exp.
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

}  // namespace

template <class Real>
void Kernels<CrossEntropy, Real>::forward(const CrossEntropy& loss, const Call<Real>& call) {
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const Real* logits = call.input(0) + row * loss.classes;
    const std::int64_t label = call.indices(1)[row];
    REHEARSE_CHECK(label >= 0 && label < loss.classes, "label {} of {} classes", label,
                   loss.classes);
    const double sum = log_sum_exp(logits, loss.classes);
    call.auxiliary(0)[row] = static_cast<Wide<Real>>(sum);
    call.losses()[row] = static_cast<Wide<Real>>(sum - double{logits[label]});
  }
}

template <class Real>
void Kernels<CrossEntropy, Real>::backward(const CrossEntropy& loss, const Call<Real>& call) {
  const Wide<Real>* dy = call.loss_gradient();
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const Real* logits = call.input(0) + row * loss.classes;
    Real* dx = call.input_gradient(0) + row * loss.classes;
    const double scale = dy == nullptr ? call.arguments.loss_scale : double{dy[row]};
    const double sum = double{call.auxiliary(0)[row]};
    for (std::int64_t i = 0; i < loss.classes; ++i) {
      const double hit = i == call.indices(1)[row] ? 1.0 : 0.0;
      dx[i] = static_cast<Real>(scale * (std::exp(double{logits[i]} - sum) - hit));
    }
  }
}

template struct Kernels<CrossEntropy, float>;
template struct Kernels<CrossEntropy, double>;
template struct Kernels<CrossEntropy, BFloat16>;

}  // namespace rehearse::exec::reference
