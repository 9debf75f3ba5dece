#include "exec/cpu/optimizer_loops.h"
#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {

template <class Real>
void step(const Update& update, Real* weights, const Real* gradients, const OptimizerState& state,
          std::int64_t n) {
  step_range(update, weights, gradients, state, 0, n);
}

template <class Real>
void outer_gradient(const OuterPiece& piece, Real* gradients, std::int64_t n) {
  outer_gradient_range(piece, gradients, 0, n);
}

template <class Real>
void outer_step(const std::optional<OuterOptimizer>& outer, const OuterPiece& piece,
                const Real* averages, std::int64_t n) {
  outer_step_range(outer, piece, averages, 0, n);
}

template void step(const Update&, float*, const float*, const OptimizerState&, std::int64_t);
template void step(const Update&, double*, const double*, const OptimizerState&, std::int64_t);
template void step(const Update&, BFloat16*, const BFloat16*, const OptimizerState&, std::int64_t);
template void outer_gradient(const OuterPiece&, float*, std::int64_t);
template void outer_gradient(const OuterPiece&, double*, std::int64_t);
template void outer_gradient(const OuterPiece&, BFloat16*, std::int64_t);
template void outer_step(const std::optional<OuterOptimizer>&, const OuterPiece&, const float*,
                         std::int64_t);
template void outer_step(const std::optional<OuterOptimizer>&, const OuterPiece&, const double*,
                         std::int64_t);
template void outer_step(const std::optional<OuterOptimizer>&, const OuterPiece&, const BFloat16*,
                         std::int64_t);

}  // namespace rehearse::exec::reference
