#include "exec/cpu/optimizer_loops.h"
#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {

template <class Real>
void step(const Update& update, Real* weights, const Real* gradients, const OptimizerState& state,
          std::int64_t n) {
  step_range(update, weights, gradients, state, 0, n);
}

template void step(const Update&, float*, const float*, const OptimizerState&, std::int64_t);
template void step(const Update&, double*, const double*, const OptimizerState&, std::int64_t);
template void step(const Update&, BFloat16*, const BFloat16*, const OptimizerState&, std::int64_t);

}  // namespace rehearse::exec::reference
