#include "exec/cpu/optimizer_loops.h"
#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {

template <class Real>
void step(const Update& update, Real* weights, const Real* gradients, Real* first, Real* second,
          std::int64_t n) {
  step_range(update, weights, gradients, first, second, n);
}

template void step(const Update&, float*, const float*, float*, float*, std::int64_t);
template void step(const Update&, double*, const double*, double*, double*, std::int64_t);

}  // namespace rehearse::exec::reference
