#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {

template <class Real>
void Kernels<GlobalAveragePool, Real>::forward(const GlobalAveragePool&, const Call<Real>& call) {
  const std::int64_t channels = call.request.output.elements();
  const std::int64_t positions = call.request.inputs[0].elements() / channels;
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const Real* x = call.input(0) + n * positions * channels + c;
      double sum = 0;
      for (std::int64_t p = 0; p < positions; ++p)
        sum += double{x[p * channels]};
      call.output()[n * channels + c] = static_cast<Real>(sum / static_cast<double>(positions));
    }
  }
}

template <class Real>
void Kernels<GlobalAveragePool, Real>::backward(const GlobalAveragePool&, const Call<Real>& call) {
  const std::int64_t channels = call.request.output.elements();
  const std::int64_t positions = call.request.inputs[0].elements() / channels;
  for (std::int64_t row = 0; row < call.samples() * positions; ++row) {
    const Real* dy = call.output_gradient() + row / positions * channels;
    Real* dx = call.input_gradient(0) + row * channels;
    for (std::int64_t c = 0; c < channels; ++c)
      dx[c] = dy[c] / static_cast<Real>(positions);
  }
}

template struct Kernels<GlobalAveragePool, float>;
template struct Kernels<GlobalAveragePool, double>;

}  // namespace rehearse::exec::reference
