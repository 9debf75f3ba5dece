// Token embeddings, learned positions, rotary positions.
#include <algorithm>
#include <cmath>

#include "exec/cpu/reference/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec::reference {
namespace {

constexpr double kRotaryBase = 10000;

// Rotates every pair of queries and keys by direction times its angle; values are copied.
//
// Position p turns the pair (i, i + head_size / 2) of each head by p base^(-2i / head_size) (Su et
// al., arXiv 2104.09864, equation 34; the halves are paired as in LLaMA's published weights).
template <class Real>
void rotate(const Rotary& rotary, const Call<Real>& call, const Real* from, Real* to,
            double direction) {
  const std::int64_t size = rotary.head_size, half = size / 2;
  const std::int64_t rotated = rotary.heads + rotary.kv_heads;
  const std::int64_t width = (rotated + rotary.kv_heads) * size;
  const std::int64_t positions = call.request.inputs[0].dims[0];
  const auto turn = [&](const Real* x, Real* y, double angle) {
    const double a = double{x[0]}, b = double{x[half]};
    y[0] = static_cast<Real>(a * std::cos(angle) - b * std::sin(angle));
    y[half] = static_cast<Real>(b * std::cos(angle) + a * std::sin(angle));
  };
  for (std::int64_t row = 0; row < call.samples() * positions; ++row) {
    const Real* x = from + row * width;
    Real* y = to + row * width;
    const auto position = static_cast<double>(row % positions);
    for (std::int64_t pair = 0; pair < rotated * half; ++pair) {
      const std::int64_t i = pair % half, at = pair / half * size + i;
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(size);
      turn(x + at, y + at, direction * position * std::pow(kRotaryBase, exponent));
    }
    if (x != y) std::copy(x + rotated * size, x + width, y + rotated * size);
  }
}

}  // namespace

template <class Real>
void Kernels<Embedding, Real>::forward(const Embedding& embedding, const Call<Real>& call) {
  const std::int64_t width = embedding.width;
  for (std::int64_t row = 0; row < call.elements() / width; ++row) {
    const std::int64_t token = call.indices(0)[row];
    REHEARSE_CHECK(token >= 0 && token < embedding.vocabulary, "token {} of a vocabulary of {}",
                   token, embedding.vocabulary);
    const Real* from = call.parameter(0) + token * width;
    std::copy(from, from + width, call.output() + row * width);
  }
}

// Rows are added in their order: tokens occur several times.
template <class Real>
void Kernels<Embedding, Real>::backward_weight(const Embedding& embedding, const Call<Real>& call) {
  const std::int64_t width = embedding.width;
  auto* gradient = static_cast<Real*>(call.arguments.parameter_gradients[0]);
  if (!call.arguments.adds_to_parameter_gradients) {
    std::fill_n(gradient, embedding.vocabulary * width, Real{0});
  }
  for (std::int64_t row = 0; row < call.elements() / width; ++row) {
    Real* into = gradient + call.indices(0)[row] * width;
    const Real* dy = call.output_gradient() + row * width;
    for (std::int64_t i = 0; i < width; ++i) into[i] += dy[i];
  }
}

template <class Real>
void Kernels<PositionEmbedding, Real>::forward(const PositionEmbedding&, const Call<Real>& call) {
  const std::int64_t period = call.request.output.elements();
  for (std::int64_t i = 0; i < call.elements(); ++i) {
    call.output()[i] = call.input(0)[i] + call.parameter(0)[i % period];
  }
}

template <class Real>
void Kernels<PositionEmbedding, Real>::backward_input(const PositionEmbedding&,
                                                      const Call<Real>& call) {
  if (call.input_gradient(0) == call.output_gradient()) return;
  std::copy_n(call.output_gradient(), call.elements(), call.input_gradient(0));
}

// Positions beyond the sequence have a gradient of zero.
template <class Real>
void Kernels<PositionEmbedding, Real>::backward_weight(const PositionEmbedding& embedding,
                                                       const Call<Real>& call) {
  const std::int64_t period = call.request.output.elements();
  for (std::int64_t i = 0; i < embedding.length * embedding.width; ++i) {
    double sum = 0;
    for (std::int64_t n = 0; i < period && n < call.samples(); ++n) {
      sum += double{call.output_gradient()[n * period + i]};
    }
    call.give_gradient(0, i, sum);
  }
}

template <class Real>
void Kernels<Rotary, Real>::forward(const Rotary& rotary, const Call<Real>& call) {
  rotate(rotary, call, call.input(0), call.output(), 1);
}

// A rotation's transpose is the rotation back.
template <class Real>
void Kernels<Rotary, Real>::backward(const Rotary& rotary, const Call<Real>& call) {
  rotate(rotary, call, call.output_gradient(), call.input_gradient(0), -1);
}

template struct Kernels<Embedding, float>;
template struct Kernels<Embedding, double>;
template struct Kernels<PositionEmbedding, float>;
template struct Kernels<PositionEmbedding, double>;
template struct Kernels<Rotary, float>;
template struct Kernels<Rotary, double>;

}  // namespace rehearse::exec::reference
