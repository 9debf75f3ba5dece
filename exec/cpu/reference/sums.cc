// Sums of several tensors: y = scale * (x1 + x2 + ...), every input's gradient is scale * dy. And a
// number per channel: y = x + b, db is the sum of dy over samples and positions.
#include <algorithm>

#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {

template <class Real>
void Kernels<Sum, Real>::forward(const Sum& sum, const Call<Real>& call) {
  const std::size_t terms = call.request.inputs.size();
  for (std::int64_t i = 0; i < call.elements(); ++i) {
    double total = 0;
    for (std::size_t term = 0; term < terms; ++term)
      total += double{call.input(term)[i]};
    call.output()[i] = static_cast<Real>(sum.scale * total);
  }
}

template <class Real>
void Kernels<Sum, Real>::backward(const Sum& sum, const Call<Real>& call) {
  for (std::size_t term = 0; term < call.request.inputs.size(); ++term) {
    Real* dx = call.input_gradient(term);
    if (dx == nullptr) continue;
    for (std::int64_t i = 0; i < call.elements(); ++i)
      dx[i] = static_cast<Real>(sum.scale * double{call.output_gradient()[i]});
  }
}

template <class Real>
void Kernels<Bias, Real>::forward(const Bias& bias, const Call<Real>& call) {
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const std::int64_t begin = row * bias.width;
    for (std::int64_t i = 0; i < bias.width; ++i)
      call.output()[begin + i] = static_cast<Real>(call.input(0)[begin + i] + call.parameter(0)[i]);
  }
}

template <class Real>
void Kernels<Bias, Real>::backward_input(const Bias&, const Call<Real>& call) {
  if (call.input_gradient(0) == call.output_gradient()) return;
  std::copy_n(call.output_gradient(), call.elements(), call.input_gradient(0));
}

template <class Real>
void Kernels<Bias, Real>::backward_weight(const Bias& bias, const Call<Real>& call) {
  for (std::int64_t i = 0; i < bias.width; ++i) {
    double sum = 0;
    for (std::int64_t row = 0; row < call.rows(0); ++row)
      sum += double{call.output_gradient()[row * bias.width + i]};
    call.give_gradient(0, i, sum);
  }
}

template <class Real>
void scale_channels(Real* y, const Real* x, const std::vector<double>& factors,
                    const std::vector<double>& offsets, std::int64_t rows) {
  using Factor = Wide<Real>;
  const std::vector<Factor> factor(factors.begin(), factors.end());
  const std::vector<Factor> offset(offsets.begin(), offsets.end());
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::size_t c = 0; c < factor.size(); ++c)
      *y++ = static_cast<Real>(*x++ * factor[c] + offset[c]);
  }
}
template void scale_channels(float*, const float*, const std::vector<double>&,
                             const std::vector<double>&, std::int64_t);
template void scale_channels(double*, const double*, const std::vector<double>&,
                             const std::vector<double>&, std::int64_t);
template void scale_channels(BFloat16*, const BFloat16*, const std::vector<double>&,
                             const std::vector<double>&, std::int64_t);

template struct Kernels<Sum, float>;
template struct Kernels<Sum, double>;
template struct Kernels<Sum, BFloat16>;
template struct Kernels<Bias, float>;
template struct Kernels<Bias, double>;
template struct Kernels<Bias, BFloat16>;

}  // namespace rehearse::exec::reference
