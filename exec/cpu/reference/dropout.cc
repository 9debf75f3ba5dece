// Dropout, element by element; it may write where it reads.
#include "exec/cpu/dropout_mask.h"
#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {
namespace {

// y = x / (1 - rate) where the mask keeps, 0 elsewhere; and likewise dx of dy.
template <class Real>
void drop(const Dropout& dropout, const Call<Real>& call, const Real* from, Real* to) {
  const auto factor = static_cast<Wide<Real>>(1 / (1 - dropout.rate));
  const std::uint32_t bound = mask_bound(dropout);
  const std::int64_t elements = call.request.output.elements();
  for (std::int64_t s = 0; s < call.samples(); ++s, from += elements, to += elements) {
    for (std::int64_t e = 0; e < elements; ++e)
      to[e] = keeps_element(call.arguments.draws, bound, s, e) ? static_cast<Real>(from[e] * factor)
                                                               : Real{};
  }
}

}  // namespace

template <class Real>
void Kernels<Dropout, Real>::forward(const Dropout& dropout, const Call<Real>& call) {
  drop(dropout, call, call.input(0), call.output());
}

template <class Real>
void Kernels<Dropout, Real>::backward(const Dropout& dropout, const Call<Real>& call) {
  drop(dropout, call, call.output_gradient(), call.input_gradient(0));
}

template struct Kernels<Dropout, float>;
template struct Kernels<Dropout, double>;
template struct Kernels<Dropout, BFloat16>;

}  // namespace rehearse::exec::reference
