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

REHEARSE_VECTORS void add_range(float* sum, const float* left, const float* right, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    sum[i] = left[i] + right[i];
}

REHEARSE_VECTORS void divide_range(float* values, float by, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    values[i] /= by;
}

// Columns [begin, end) of the sum of rows of n, in the rows' order.
REHEARSE_VECTORS void sum_columns(const float* x, std::int64_t rows, std::int64_t n,
                                  std::int64_t begin, std::int64_t end, bool adds, float* sum) {
  for (std::int64_t first = begin; first < end; first += kColumns) {
    const std::int64_t count = std::min(kColumns, end - first);
    double columns[kColumns] = {};
    for (std::int64_t row = 0; row < rows; ++row) {
      const float* in = x + row * n + first;
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i)
        columns[i] += static_cast<double>(in[i]);
    }
    for (std::int64_t i = 0; i < count; ++i)
      sum[first + i] = static_cast<float>(columns[i] + (adds ? double{sum[first + i]} : 0.0));
  }
}

REHEARSE_VECTORS double squares_of_range(const float* values, std::int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i)
    sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return sum;
}

REHEARSE_VECTORS void step_vectors(const Update& update, float* w, const float* g, float* first,
                                   float* second, std::int64_t n) {
  step_range(update, w, g, first, second, n);
}

// Residual additions, ReLU, SwiGLU, sums and copies of tensors.
REHEARSE_VECTORS void add_scaled(float* y, const float* branch, const float* shortcut, float scale,
                                 std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = branch[i] * scale + shortcut[i];
}

REHEARSE_VECTORS void scale_range(float* to, const float* from, float scale, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = from[i] * scale;
}

REHEARSE_VECTORS void relu(float* y, const float* x, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = x[i] > 0 ? x[i] : 0.0F;
}

REHEARSE_VECTORS void relu_gradient(float* dx, const float* y, const float* dy, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float gradient = dy[i];  // read always: a conditional read is no vector's
    dx[i] = y[i] > 0 ? gradient : 0.0F;
  }
}

inline float sigmoid(float x) {
  return 1.0F / (1.0F + exponential(-x));
}

REHEARSE_VECTORS void swiglu(float* y, const float* gate, const float* up, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

REHEARSE_VECTORS void swiglu_gradient(float* d_gate, float* d_up, const float* gate,
                                      const float* up, const float* dy, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = gate[i], u = up[i], s = sigmoid(g), d = dy[i];
    d_gate[i] = d * u * s * (1.0F + g * (1.0F - s));
    d_up[i] = d * g * s;
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

const float* from(const void* data, std::int64_t begin) {
  return static_cast<const float*>(data) + begin;
}
float* to(void* data, std::int64_t begin) {
  return static_cast<float*>(data) + begin;
}

}  // namespace

void add(const Team& team, float* into, const float* from, std::int64_t n) {
  add(team, into, into, from, n);
}

void add(const Team& team, float* sum, const float* left, const float* right, std::int64_t n) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    add_range(sum + begin, left + begin, right + begin, end - begin);
  });
}

void copy(const Team& team, float* to, const float* from, std::int64_t n) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::memmove(to + begin, from + begin, static_cast<std::size_t>(end - begin) * sizeof(float));
  });
}

void fill_zero(const Team& team, float* values, std::int64_t n) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::memset(values + begin, 0, static_cast<std::size_t>(end - begin) * sizeof(float));
  });
}

void divide(const Team& team, float* values, std::int64_t n, float by) {
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    divide_range(values + begin, by, end - begin);
  });
}

void sum_rows(const Team& team, float* sum, const float* x, std::int64_t rows, std::int64_t n,
              bool adds) {
  team.share(n, kColumns, [&](std::int64_t begin, std::int64_t end) {
    sum_columns(x, rows, n, begin, end, adds, sum);
  });
}

double sum_of_squares(const Team& team, const float* values, std::int64_t n) {
  std::vector<double> sums(static_cast<std::size_t>((n + kGrain - 1) / kGrain));
  team.share(static_cast<std::int64_t>(sums.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t at = k * kGrain;
      sums[static_cast<std::size_t>(k)] = squares_of_range(values + at, std::min(kGrain, n - at));
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

void step(const Team& team, const Update& update, float* weights, const float* gradients,
          float* first, float* second, std::int64_t n) {
  const auto part = [](float* moment, std::int64_t begin) {
    return moment == nullptr ? nullptr : moment + begin;
  };
  team.share(n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    step_vectors(update, weights + begin, gradients + begin, part(first, begin),
                 part(second, begin), end - begin);
  });
}

std::unique_ptr<Kernel> make_relu(const SharedSession& session, const KernelRequest& request) {
  if (request.kind == KernelKind::forward) {
    return elementwise(session, request, [](const KernelArguments& a, std::int64_t at, auto n) {
      relu(to(a.output, at), from(a.inputs[0], at), n);
    });
  }
  return elementwise(session, request, [](const KernelArguments& a, std::int64_t at, auto n) {
    relu_gradient(to(a.input_gradients[0], at), from(a.output, at), from(a.output_gradient, at), n);
  });
}

std::unique_ptr<Kernel> make_swiglu(const SharedSession& session, const KernelRequest& request) {
  if (request.kind == KernelKind::forward) {
    return elementwise(session, request, [](const KernelArguments& a, std::int64_t at, auto n) {
      swiglu(to(a.output, at), from(a.inputs[0], at), from(a.inputs[1], at), n);
    });
  }
  // The reference leaves one of them out.
  if (!request.wants_input_gradient[0] || !request.wants_input_gradient[1]) return nullptr;
  return elementwise(session, request, [](const KernelArguments& a, std::int64_t at, auto n) {
    swiglu_gradient(to(a.input_gradients[0], at), to(a.input_gradients[1], at),
                    from(a.inputs[0], at), from(a.inputs[1], at), from(a.output_gradient, at), n);
  });
}

std::unique_ptr<Kernel> make_add(const SharedSession& session, const KernelRequest& request,
                                 const Add& layer) {
  const auto scale = static_cast<float>(layer.branch_scale);
  if (request.kind == KernelKind::forward) {
    return elementwise(
        session, request, [scale](const KernelArguments& a, std::int64_t at, auto n) {
          add_scaled(to(a.output, at), from(a.inputs[0], at), from(a.inputs[1], at), scale, n);
        });
  }
  return elementwise(session, request, [scale](const KernelArguments& a, std::int64_t at, auto n) {
    const float factors[] = {scale, 1.0F};
    for (std::size_t input = 0; input < 2; ++input) {
      if (a.input_gradients[input] == nullptr) continue;
      scale_range(to(a.input_gradients[input], at), from(a.output_gradient, at), factors[input], n);
    }
  });
}

std::unique_ptr<Kernel> make_accumulate(const SharedSession& session,
                                        const KernelRequest& request) {
  const auto loop = [](const KernelArguments& a, std::int64_t at, std::int64_t n) {
    add_range(to(a.sum, at), from(a.left, at), from(a.right, at), n);
  };
  return std::make_unique<Elementwise<decltype(loop)>>(session, request.elements, loop);
}

std::unique_ptr<Kernel> make_copy(const SharedSession& session, const KernelRequest& request) {
  const auto loop = [](const KernelArguments& a, std::int64_t at, std::int64_t n) {
    std::memmove(to(a.sum, at), from(a.left, at), static_cast<std::size_t>(n) * sizeof(float));
  };
  return std::make_unique<Elementwise<decltype(loop)>>(session, request.elements, loop);
}

}  // namespace rehearse::exec::onednn
