// Flat loops over float or BFloat16, shared among the threads of a rank.
#pragma once

#include "exec/backend.h"
#include "exec/cpu/onednn/team.h"
#include "model/base/bfloat16.h"

namespace rehearse::exec::onednn {

template <class Real>
void add(const Team& team, Real* into, const Real* from, std::int64_t n);  // into += from
// sum = left + right; any of them may be another.
template <class Real>
void add(const Team& team, Real* sum, const Real* left, const Real* right, std::int64_t n);
template <class Real>
void copy(const Team& team, Real* to, const Real* from, std::int64_t n);
template <class Real>
void fill_zero(const Team& team, Real* values, std::int64_t n);
template <class Real>
void divide(const Team& team, Real* values, std::int64_t n, float by);
// Rows of `count` elements to where they lie `to_apart`; on the caller's thread. Between equal
// types, or to and from float.
template <class To, class From>
void convert_rows(To* to, std::int64_t to_apart, const From* from, std::int64_t from_apart,
                  std::int64_t rows, std::int64_t count);
// Each row of y = that of x + the same row of n elements; y may be x.
template <class Real>
void add_to_rows(const Team& team, Real* y, const Real* x, const Real* row, std::int64_t rows,
                 std::int64_t n);
// sum (+)= the sum of rows of n elements, in their order and in double.
template <class Real>
void sum_rows(const Team& team, Real* sum, const Real* x, std::int64_t rows, std::int64_t n,
              bool adds);
// The same of rows that begin `apart` elements apart.
template <class Real>
void sum_rows_apart(const Team& team, Real* sum, const Real* x, std::int64_t rows, std::int64_t n,
                    std::int64_t apart, bool adds);
// In double; the same bits on any number of threads.
template <class Real>
double sum_of_squares(const Team& team, const Real* values, std::int64_t n);
// One step of an optimizer (exec/cpu/optimizer_loops.h).
template <class Real>
void step(const Team& team, const Update& update, Real* weights, const Real* gradients,
          const OptimizerState& state, std::int64_t n);
// Backend::outer_gradient and outer_step.
template <class Real>
void outer_gradient(const Team& team, const OuterPiece& piece, Real* gradients, std::int64_t n);
template <class Real>
void outer_step(const Team& team, const std::optional<OuterOptimizer>& outer,
                const OuterPiece& piece, const Real* averages, std::int64_t n);

}  // namespace rehearse::exec::onednn
