#include "exec/cpu/onednn/elementwise.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "exec/cpu/onednn/kernels.h"
#include "exec/cpu/onednn/vectors.h"
#include "exec/cpu/optimizer_loops.h"

namespace rehearse::exec::onednn {
namespace {

constexpr std::int64_t kGrain = 4096;  // elements that a thread takes at least
constexpr std::int64_t kColumns = 64;  // of sums over rows

template <class Real>
REHEARSE_VECTORS void add_range(Real* sum, const Real* left, const Real* right, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    sum[i] = static_cast<Real>(left[i] + right[i]);
}

template <class To, class From>
REHEARSE_VECTORS void convert_range(To* to, const From* from, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = static_cast<To>(from[i]);
}

template <class Real>
REHEARSE_VECTORS void divide_range(Real* values, float by, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    values[i] = static_cast<Real>(values[i] / by);
}

// Columns [begin, end) of the sum of rows that begin `apart` elements apart, in the rows' order.
template <class Real>
REHEARSE_VECTORS void sum_columns(const Real* x, std::int64_t rows, std::int64_t apart,
                                  std::int64_t begin, std::int64_t end, bool adds, Real* sum) {
  for (std::int64_t first = begin; first < end; first += kColumns) {
    const std::int64_t count = std::min(kColumns, end - first);
    double columns[kColumns] = {};
    for (std::int64_t row = 0; row < rows; ++row) {
      const Real* in = x + row * apart + first;
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i)
        columns[i] += static_cast<double>(in[i]);
    }
    for (std::int64_t i = 0; i < count; ++i)
      sum[first + i] = static_cast<Real>(columns[i] + (adds ? double{sum[first + i]} : 0.0));
  }
}

template <class Real>
REHEARSE_VECTORS double squares_of_range(const Real* values, std::int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i)
    sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return sum;
}

template <class Real>
REHEARSE_VECTORS void step_vectors(const Update& update, Real* w, const Real* g,
                                   const OptimizerState& state, std::int64_t begin,
                                   std::int64_t n) {
  step_range(update, w, g, state, begin, n);
}

template <class Real>
REHEARSE_VECTORS void outer_gradient_vectors(const OuterPiece& piece, Real* gradients,
                                             std::int64_t begin, std::int64_t n) {
  outer_gradient_range(piece, gradients, begin, n);
}

template <class Real>
REHEARSE_VECTORS void outer_step_vectors(const std::optional<OuterOptimizer>& outer,
                                         const OuterPiece& piece, const Real* averages,
                                         std::int64_t begin, std::int64_t n) {
  outer_step_range(outer, piece, averages, begin, n);
}

// Residual additions, ReLU, SwiGLU, sums and copies of tensors.
template <class Real>
REHEARSE_VECTORS void add_scaled(Real* y, const Real* branch, const Real* shortcut, float scale,
                                 std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = static_cast<Real>(branch[i] * scale + shortcut[i]);
}

template <class Real>
REHEARSE_VECTORS void scale_range(Real* to, const Real* from, float scale, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = static_cast<Real>(from[i] * scale);
}

template <class Real>
REHEARSE_VECTORS void relu(Real* y, const Real* x, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = x[i] < 0 ? Real{} : x[i];  // what is not a number stays so
}

template <class Real>
REHEARSE_VECTORS void relu_gradient(Real* dx, const Real* y, const Real* dy, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const Real gradient = dy[i];  // read always: a conditional read is no vector's
    dx[i] = y[i] > 0 ? gradient : Real{};
  }
}

inline float sigmoid(float x) {
  return 1.0F / (1.0F + exponential(-x));
}

template <class Real>
REHEARSE_VECTORS void swiglu(Real* y, const Real* gate, const Real* up, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = static_cast<Real>(gate[i] * sigmoid(gate[i]) * up[i]);
}

template <class Real>
REHEARSE_VECTORS void swiglu_gradient(Real* d_gate, Real* d_up, const Real* gate, const Real* up,
                                      const Real* dy, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float g{gate[i]}, u{up[i]}, d{dy[i]}, s = sigmoid(g);
    d_gate[i] = static_cast<Real>(d * u * s * (1.0F + g * (1.0F - s)));
    d_up[i] = static_cast<Real>(d * g * s);
  }
}

// Calls a loop on the parts of the output's elements that the threads take.
template <class Loop>
class Elementwise : public Kernel {
 public:
  Elementwise(SharedSession session, std::int64_t elements, Loop loop)
      : session_(std::move(session)), elements_(elements), loop_(loop) {}

  void run(const KernelArguments& a) override {
    session_->team.share(elements_, kGrain, [&](std::int64_t begin, std::int64_t end) {
      loop_(a, begin, end - begin);
    });
  }

 private:
  SharedSession session_;
  std::int64_t elements_;
  Loop loop_;
};

template <class Loop>
std::unique_ptr<Kernel> elementwise(const SharedSession& session, const KernelRequest& request,
                                    Loop loop) {
  return std::make_unique<Elementwise<Loop>>(session, request.samples * request.output.elements(),
                                             loop);
}

template <class Real>
void move(Real* to, const Real* from, std::int64_t n) {
  std::memmove(static_cast<void*>(to), from, static_cast<std::size_t>(n) * sizeof(Real));
}

template <class Real>
const Real* from(const void* data, std::int64_t begin) {
  return static_cast<const Real*>(data) + begin;
}
template <class Real>
Real* to(void* data, std::int64_t begin) {
  return static_cast<Real*>(data) + begin;
}

}  // namespace

template <class Real>
void add(const Team& team, Real* into, const Real* from, std::int64_t n) {
  add(team, into, into, from, n);
}

template <class Real>
void add(const Team& team, Real* sum, const Real* left, const Real* right, std::int64_t n) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    add_range(sum + begin, left + begin, right + begin, end - begin);
  });
}

template <class Real>
void copy(const Team& team, Real* to, const Real* from, std::int64_t n) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    move(to + begin, from + begin, end - begin);
  });
}

template <class Real>
void fill_zero(const Team& team, Real* values, std::int64_t n) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::memset(static_cast<void*>(values + begin), 0,
                static_cast<std::size_t>(end - begin) * sizeof(Real));
  });
}

template <class Real>
void divide(const Team& team, Real* values, std::int64_t n, float by) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    divide_range(values + begin, by, end - begin);
  });
}

template <class To, class From>
void convert_rows(To* to, std::int64_t to_apart, const From* from, std::int64_t from_apart,
                  std::int64_t rows, std::int64_t count) {
  for (std::int64_t row = 0; row < rows; ++row)
    convert_range(to + row * to_apart, from + row * from_apart, count);
}

template <class Real>
void add_to_rows(const Team& team, Real* y, const Real* x, const Real* row, std::int64_t rows,
                 std::int64_t n) {
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / n);
  team.share(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin * n; at < end * n; at += n)
      add_range(y + at, x + at, row, n);
  });
}

template <class Real>
void sum_rows(const Team& team, Real* sum, const Real* x, std::int64_t rows, std::int64_t n,
              bool adds) {
  sum_rows_apart(team, sum, x, rows, n, n, adds);
}

template <class Real>
void sum_rows_apart(const Team& team, Real* sum, const Real* x, std::int64_t rows, std::int64_t n,
                    std::int64_t apart, bool adds) {
  team.share(n, kColumns, [&](std::int64_t begin, std::int64_t end) {
    sum_columns(x, rows, apart, begin, end, adds, sum);
  });
}

template <class Real>
double sum_of_squares(const Team& team, const Real* values, std::int64_t n) {
  std::vector<double> sums(static_cast<std::size_t>((n + kGrain - 1) / kGrain));
  team.share(static_cast<std::int64_t>(sums.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t at = k * kGrain;
      sums[static_cast<std::size_t>(k)] = squares_of_range(values + at, std::min(kGrain, n - at));
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

template <class Real>
void step(const Team& team, const Update& update, Real* weights, const Real* gradients,
          const OptimizerState& state, std::int64_t n) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    step_vectors(update, weights, gradients, state, begin, end - begin);
  });
}

template <class Real>
void outer_gradient(const Team& team, const OuterPiece& piece, Real* gradients, std::int64_t n) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    outer_gradient_vectors(piece, gradients, begin, end - begin);
  });
}

template <class Real>
void outer_step(const Team& team, const std::optional<OuterOptimizer>& outer,
                const OuterPiece& piece, const Real* averages, std::int64_t n) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    outer_step_vectors(outer, piece, averages, begin, end - begin);
  });
}

template <class Real>
std::unique_ptr<Kernel> make_relu(const SharedSession& session, const KernelRequest& request) {
  if (request.kind == KernelKind::forward) {
    return elementwise(session, request, [](const KernelArguments& a, std::int64_t at, auto n) {
      relu(to<Real>(a.output, at), from<Real>(a.inputs[0], at), n);
    });
  }
  return elementwise(session, request, [](const KernelArguments& a, std::int64_t at, auto n) {
    relu_gradient(to<Real>(a.input_gradients[0], at), from<Real>(a.output, at),
                  from<Real>(a.output_gradient, at), n);
  });
}

template <class Real>
std::unique_ptr<Kernel> make_swiglu(const SharedSession& session, const KernelRequest& request) {
  if (request.kind == KernelKind::forward) {
    return elementwise(session, request, [](const KernelArguments& a, std::int64_t at, auto n) {
      swiglu(to<Real>(a.output, at), from<Real>(a.inputs[0], at), from<Real>(a.inputs[1], at), n);
    });
  }
  // The reference leaves one of them out.
  if (!request.wants_input_gradient[0] || !request.wants_input_gradient[1]) return nullptr;
  return elementwise(session, request, [](const KernelArguments& a, std::int64_t at, auto n) {
    swiglu_gradient(to<Real>(a.input_gradients[0], at), to<Real>(a.input_gradients[1], at),
                    from<Real>(a.inputs[0], at), from<Real>(a.inputs[1], at),
                    from<Real>(a.output_gradient, at), n);
  });
}

template <class Real>
std::unique_ptr<Kernel> make_add(const SharedSession& session, const KernelRequest& request,
                                 const Add& layer) {
  const auto scale = static_cast<float>(layer.branch_scale);
  if (request.kind == KernelKind::forward) {
    return elementwise(session, request,
                       [scale](const KernelArguments& a, std::int64_t at, auto n) {
                         add_scaled(to<Real>(a.output, at), from<Real>(a.inputs[0], at),
                                    from<Real>(a.inputs[1], at), scale, n);
                       });
  }
  return elementwise(session, request, [scale](const KernelArguments& a, std::int64_t at, auto n) {
    const float factors[] = {scale, 1.0F};
    for (std::size_t input = 0; input < 2; ++input) {
      if (a.input_gradients[input] == nullptr) continue;
      scale_range(to<Real>(a.input_gradients[input], at), from<Real>(a.output_gradient, at),
                  factors[input], n);
    }
  });
}

template <class Real>
std::unique_ptr<Kernel> make_accumulate(const SharedSession& session,
                                        const KernelRequest& request) {
  const auto loop = [](const KernelArguments& a, std::int64_t at, std::int64_t n) {
    add_range(to<Real>(a.sum, at), from<Real>(a.left, at), from<Real>(a.right, at), n);
  };
  return std::make_unique<Elementwise<decltype(loop)>>(session, request.elements, loop);
}

template <class Real>
std::unique_ptr<Kernel> make_copy(const SharedSession& session, const KernelRequest& request) {
  const auto loop = [](const KernelArguments& a, std::int64_t at, std::int64_t n) {
    move(to<Real>(a.sum, at), from<Real>(a.left, at), n);
  };
  return std::make_unique<Elementwise<decltype(loop)>>(session, request.elements, loop);
}

template void add(const Team&, float*, const float*, std::int64_t);
template void add(const Team&, BFloat16*, const BFloat16*, std::int64_t);
template void add(const Team&, float*, const float*, const float*, std::int64_t);
template void add(const Team&, BFloat16*, const BFloat16*, const BFloat16*, std::int64_t);
template void copy(const Team&, float*, const float*, std::int64_t);
template void copy(const Team&, BFloat16*, const BFloat16*, std::int64_t);
template void fill_zero(const Team&, float*, std::int64_t);
template void fill_zero(const Team&, BFloat16*, std::int64_t);
template void divide(const Team&, float*, std::int64_t, float);
template void divide(const Team&, BFloat16*, std::int64_t, float);
template void add_to_rows(const Team&, float*, const float*, const float*, std::int64_t,
                          std::int64_t);
template void add_to_rows(const Team&, BFloat16*, const BFloat16*, const BFloat16*, std::int64_t,
                          std::int64_t);
template void sum_rows(const Team&, float*, const float*, std::int64_t, std::int64_t, bool);
template void sum_rows(const Team&, BFloat16*, const BFloat16*, std::int64_t, std::int64_t, bool);
template void sum_rows_apart(const Team&, float*, const float*, std::int64_t, std::int64_t,
                             std::int64_t, bool);
template void sum_rows_apart(const Team&, BFloat16*, const BFloat16*, std::int64_t, std::int64_t,
                             std::int64_t, bool);
template double sum_of_squares(const Team&, const float*, std::int64_t);
template double sum_of_squares(const Team&, const BFloat16*, std::int64_t);
template void step(const Team&, const Update&, float*, const float*, const OptimizerState&,
                   std::int64_t);
template void step(const Team&, const Update&, BFloat16*, const BFloat16*, const OptimizerState&,
                   std::int64_t);
template void outer_gradient(const Team&, const OuterPiece&, float*, std::int64_t);
template void outer_gradient(const Team&, const OuterPiece&, BFloat16*, std::int64_t);
template void outer_step(const Team&, const std::optional<OuterOptimizer>&, const OuterPiece&,
                         const float*, std::int64_t);
template void outer_step(const Team&, const std::optional<OuterOptimizer>&, const OuterPiece&,
                         const BFloat16*, std::int64_t);
template void convert_rows(float*, std::int64_t, const float*, std::int64_t, std::int64_t,
                           std::int64_t);
template void convert_rows(float*, std::int64_t, const BFloat16*, std::int64_t, std::int64_t,
                           std::int64_t);
template void convert_rows(BFloat16*, std::int64_t, const float*, std::int64_t, std::int64_t,
                           std::int64_t);
template std::unique_ptr<Kernel> make_relu<float>(const SharedSession&, const KernelRequest&);
template std::unique_ptr<Kernel> make_relu<BFloat16>(const SharedSession&, const KernelRequest&);
template std::unique_ptr<Kernel> make_swiglu<float>(const SharedSession&, const KernelRequest&);
template std::unique_ptr<Kernel> make_swiglu<BFloat16>(const SharedSession&, const KernelRequest&);
template std::unique_ptr<Kernel> make_accumulate<float>(const SharedSession&, const KernelRequest&);
template std::unique_ptr<Kernel> make_accumulate<BFloat16>(const SharedSession&,
                                                           const KernelRequest&);
template std::unique_ptr<Kernel> make_copy<float>(const SharedSession&, const KernelRequest&);
template std::unique_ptr<Kernel> make_copy<BFloat16>(const SharedSession&, const KernelRequest&);
template std::unique_ptr<Kernel> make_add<float>(const SharedSession&, const KernelRequest&,
                                                 const Add&);
template std::unique_ptr<Kernel> make_add<BFloat16>(const SharedSession&, const KernelRequest&,
                                                    const Add&);

}  // namespace rehearse::exec::onednn
