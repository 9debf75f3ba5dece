// Softmax cross-entropy (of a part of the classes: model/net/layer.h): loss = log sum exp(logits) -
// logits[label]; its gradient with respect to the logits is softmax - one_hot(label), repeated from
// the logits and the saved log-sum-exp. Squared error: loss = 1/2 |logits - one_hot(label)|^2, its
// gradient logits - one_hot(label).
#include <algorithm>
#include <cmath>
#include <vector>

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

template <class Real>
void give_terms(const CrossEntropy& loss, const Call<Real>& call, std::int64_t row) {
  const Real* logits = call.input(0) + row * loss.classes;
  const std::int64_t ways = loss.part.ways, classes = loss.real_classes();
  const std::int64_t label = label_of(call, row, loss.all) - loss.part.number * loss.classes;
  Wide<Real>* terms = call.losses() + row * (ways + 1);
  std::fill_n(terms, ways + 1, Wide<Real>{});
  const double sum = classes == 0 ? CrossEntropy::kOfNone : log_sum_exp(logits, classes);
  terms[loss.part.number] = static_cast<Wide<Real>>(sum);
  if (label >= 0 && label < classes) terms[ways] = static_cast<Wide<Real>>(logits[label]);
}

// The log-sum-exp of all of a row's logits. terms: of a part, room for a row's.
template <class Real>
double whole_sum(const CrossEntropy& loss, const Call<Real>& call, std::int64_t row,
                 std::vector<double>& terms) {
  if (loss.part.is_whole()) return double{call.auxiliary(0)[row]};
  const Wide<Real>* own = call.losses() + row * std::ssize(terms);
  std::copy_n(own, terms.size(), terms.begin());
  return loss_of_terms(terms).log_sum_exp;
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
    if (!loss.part.is_whole()) {
      give_terms(loss, call, row);
      continue;
    }
    const Real* logits = call.input(0) + row * loss.classes;
    const std::int64_t label = label_of(call, row, loss.classes);
    const double sum = log_sum_exp(logits, loss.classes);
    call.auxiliary(0)[row] = static_cast<Wide<Real>>(sum);
    call.losses()[row] = static_cast<Wide<Real>>(sum - double{logits[label]});
  }
}

template <class Real>
void Kernels<CrossEntropy, Real>::backward(const CrossEntropy& loss, const Call<Real>& call) {
  std::vector<double> terms(static_cast<std::size_t>(loss.part.ways + 1));
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const Real* logits = call.input(0) + row * loss.classes;
    Real* dx = call.input_gradient(0) + row * loss.classes;
    const double scale = scale_of(call, row);
    const double sum = whole_sum(loss, call, row, terms);
    const std::int64_t label = call.indices(1)[row] - loss.part.number * loss.classes;
    const std::int64_t classes = loss.real_classes();
    for (std::int64_t i = 0; i < classes; ++i) {
      const double hit = i == label ? 1.0 : 0.0;
      dx[i] = static_cast<Real>(scale * (std::exp(double{logits[i]} - sum) - hit));
    }
    std::fill(dx + classes, dx + loss.classes, Real{});
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
