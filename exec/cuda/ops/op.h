// What the ops of this folder have in common.
//
// Op<Layer, Real> has forward and backward (or the two parts of a split backward), as the layer's
// facts say, for any Queue, which is where its work is queued:
//   each(n, f)            f(i) for every i in [0, n), in any order and at once
//   rows(n, f)            f(row, team) for every row in [0, n): by a team of threads, which all
//                         come to its sum(x) and max(x)
//   copy, fill            as KernelDevice's
//   product(p)            a matrix product (products.h)
//   has_product(p)        whether that, with its epilogue, is one kernel
//   convolve(c)           a convolution or one of its gradients (convolution.h)
//   has_attention(a)      whether it has one kernel for that attention (products.h), which then
//   attend(a)             is what does it
//   scratch(bytes)        memory for what is queued until it is asked for again
// f is called on the device: it captures by value, and pointers are to the device's memory.
//
// Arithmetic is in Wide<Real>, rounded where it is stored. Nothing depends on the order in which
// threads run: the same inputs give the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "exec/call.h"
#include "exec/cuda/portable.h"

namespace rehearse::exec::cuda {

template <class Layer, class Real>
struct Op;

// A parameter's gradient, which is overwritten or added to; null: it is not wanted.
template <class Real>
struct Gradient {
  Real* at = nullptr;
  bool adds = false;

  REHEARSE_PORTABLE void give(std::int64_t element, Wide<Real> value) const {
    at[element] = static_cast<Real>(adds ? static_cast<Wide<Real>>(at[element]) + value : value);
  }
};

template <class Real>
Gradient<Real> gradient_of(const Call<Real>& call, std::size_t parameter) {
  return {static_cast<Real*>(call.arguments.parameter_gradients[parameter]),
          call.arguments.adds_to_parameter_gradients};
}

// Added to variances and mean squares, as the libraries' default.
inline constexpr double kNormEpsilon = 1e-5;

// Two sums at once.
template <class Number>
struct Pair {
  Number first = 0, second = 0;
  REHEARSE_PORTABLE Pair& operator+=(const Pair& other) {
    first += other.first, second += other.second;
    return *this;
  }
};

// For every column: emit(column, the sum over all rows of term(row, column)), a Sum. Neighbouring
// threads read neighbouring columns. Rows are cut into as many parts as keep a device busy.
template <class Sum, class Queue, class Term, class Emit>
void sum_rows(Queue& queue, std::int64_t rows, std::int64_t columns, Term term, Emit emit) {
  constexpr std::int64_t kBusy = 1 << 18, kFewest = 16;  // threads; rows of one of them
  const std::int64_t parts = std::max<std::int64_t>(1, std::min(kBusy / columns, rows / kFewest));
  const std::int64_t part_rows = (rows + parts - 1) / parts;
  auto* const partial = reinterpret_cast<Sum*>(
      queue.scratch(static_cast<std::size_t>(parts * columns) * sizeof(Sum)));
  queue.each(parts * columns, [=] REHEARSE_KERNEL(std::int64_t i) {
    const std::int64_t begin = i / columns * part_rows, column = i % columns;
    const std::int64_t end = begin + part_rows < rows ? begin + part_rows : rows;
    Sum sum{};
    for (std::int64_t row = begin; row < end; ++row)
      sum += term(row, column);
    partial[i] = sum;
  });
  queue.each(columns, [=] REHEARSE_KERNEL(std::int64_t column) {
    Sum sum{};
    for (std::int64_t part = 0; part < parts; ++part)
      sum += partial[part * columns + column];
    emit(column, sum);
  });
}

}  // namespace rehearse::exec::cuda
