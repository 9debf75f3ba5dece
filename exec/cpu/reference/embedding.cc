// Token and patch embeddings, class tokens, learned positions, rotary positions.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "exec/cpu/reference/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec::reference {
namespace {

// Rotates every pair of queries and keys by direction times its angle (model/net/layer.h); all else
// is copied.
template <class Real>
void rotate(const Rotary& rotary, const Call<Real>& call, const Real* from, Real* to,
            double direction) {
  const std::int64_t size = rotary.head_size, half = rotary.rotated / 2;
  const std::int64_t heads = rotary.heads + rotary.kv_heads;
  const std::int64_t width = (heads + rotary.kv_heads) * size;
  const std::int64_t positions = call.request.inputs[0].dims[0];
  if (from != to) std::copy_n(from, call.samples() * positions * width, to);
  const auto turn = [&](std::int64_t at, double cosine, double sine) {
    const double a = double{from[at]}, b = double{from[at + half]};
    to[at] = static_cast<Real>(a * cosine - b * sine);
    to[at + half] = static_cast<Real>(b * cosine + a * sine);
  };
  for (std::int64_t pair = 0; pair < positions * half; ++pair) {
    const std::int64_t position = pair / half, i = pair % half;
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(rotary.rotated);
    const double angle =
        direction * static_cast<double>(position) * std::pow(rotary.base, exponent);
    const double cosine = std::cos(angle), sine = std::sin(angle);
    for (std::int64_t n = 0; n < call.samples(); ++n) {
      const std::int64_t row = (n * positions + position) * width;
      for (std::int64_t h = 0; h < heads; ++h)
        turn(row + h * size + i, cosine, sine);
    }
  }
}

}  // namespace

namespace {

// Number of a token in the part of the table; others' are outside of [0, vocabulary). The parts
// together have the vocabulary and what it is padded by.
std::int64_t own_token(const Embedding& embedding, std::int32_t token) {
  const std::int64_t all = embedding.vocabulary * embedding.part.ways;
  REHEARSE_CHECK(token >= 0 && token < all, "token {} of a vocabulary of {}", token, all);
  return token - embedding.part.number * embedding.vocabulary;
}

}  // namespace

template <class Real>
void Kernels<Embedding, Real>::forward(const Embedding& embedding, const Call<Real>& call) {
  const std::int64_t width = embedding.width;
  for (std::int64_t row = 0; row < call.elements() / width; ++row) {
    const std::int64_t token = own_token(embedding, call.indices(0)[row]);
    const bool is_own = token >= 0 && token < embedding.vocabulary;
    const Real* from = call.parameter(0) + token * width;
    Real* into = call.output() + row * width;
    for (std::int64_t i = 0; i < width; ++i)
      into[i] = is_own ? from[i] : Real{};
  }
}

// Tokens occur several times: their rows are added up in order, and then to the gradient.
template <class Real>
void Kernels<Embedding, Real>::backward_weight(const Embedding& embedding, const Call<Real>& call) {
  const std::int64_t width = embedding.width;
  auto* gradient = static_cast<Real*>(call.arguments.parameter_gradients[0]);
  if (!call.arguments.adds_to_parameter_gradients) {
    std::fill_n(gradient, embedding.vocabulary * width, Real{});
  }
  const std::int32_t* tokens = call.indices(0);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(call.elements() / width));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  std::stable_sort(rows.begin(), rows.end(),
                   [&](std::int64_t a, std::int64_t b) { return tokens[a] < tokens[b]; });
  std::vector<double> sums(static_cast<std::size_t>(width));
  for (auto row = rows.begin(); row != rows.end();) {
    const std::int32_t first = tokens[*row];
    const std::int64_t token = own_token(embedding, first);
    if (token < 0 || token >= embedding.vocabulary) {
      ++row;
      continue;
    }
    std::fill(sums.begin(), sums.end(), 0.0);
    for (; row != rows.end() && tokens[*row] == first; ++row) {
      const Real* dy = call.output_gradient() + *row * width;
      std::transform(sums.begin(), sums.end(), dy, sums.begin(),
                     [](double sum, Real term) { return sum + double{term}; });
    }
    for (std::int64_t i = 0; i < width; ++i)
      call.give_gradient(0, token * width + i, sums[static_cast<std::size_t>(i)]);
  }
}

namespace {

// Where an element of the rows is in the positions: of a part, whose rows are some of the samples'.
template <class Real>
struct Positions {
  Positions(const PositionEmbedding& embedding, const Call<Real>& call)
      : first(embedding.part.number * call.elements()),
        period(embedding.part.ways * call.request.output.elements()) {}
  std::int64_t operator()(std::int64_t i) const { return (first + i) % period; }

  std::int64_t first, period;
};

}  // namespace

template <class Real>
void Kernels<PositionEmbedding, Real>::forward(const PositionEmbedding& embedding,
                                               const Call<Real>& call) {
  const Positions<Real> at(embedding, call);
  for (std::int64_t i = 0; i < call.elements(); ++i)
    call.output()[i] = static_cast<Real>(call.input(0)[i] + call.parameter(0)[at(i)]);
}

template <class Real>
void Kernels<PositionEmbedding, Real>::backward_input(const PositionEmbedding&,
                                                      const Call<Real>& call) {
  if (call.input_gradient(0) == call.output_gradient()) return;
  std::copy_n(call.output_gradient(), call.elements(), call.input_gradient(0));
}

// Positions beyond the sequence, and those that the rows do not have, have a gradient of zero.
template <class Real>
void Kernels<PositionEmbedding, Real>::backward_weight(const PositionEmbedding& embedding,
                                                       const Call<Real>& call) {
  const Positions<Real> at(embedding, call);
  std::vector<double> sums(static_cast<std::size_t>(embedding.length * embedding.width));
  for (std::int64_t i = 0; i < call.elements(); ++i)
    sums[static_cast<std::size_t>(at(i))] += double{call.output_gradient()[i]};
  for (std::size_t i = 0; i < sums.size(); ++i)
    call.give_gradient(0, static_cast<std::int64_t>(i), sums[i]);
}

namespace {

// Calls copy(row of a patch's pixels in the image, the same in the patch) for each of them.
template <class Real, class Copy>
void each_pixel_row(const Patches& patches, const Call<Real>& call, Copy copy) {
  const Shape& in = call.request.inputs[0];
  const std::int64_t size = patches.size, channels = in.dims[2];
  const std::int64_t across = in.dims[1] / size, pixels = size * channels;
  for (std::int64_t row = 0; row < call.samples() * in.dims[0]; ++row) {
    const std::int64_t y = row % in.dims[0], sample = row / in.dims[0];
    for (std::int64_t x = 0; x < across; ++x) {
      const std::int64_t patch = y / size * across + x;
      copy(row * in.dims[1] * channels + x * pixels,
           sample * in.elements() + (patch * size + y % size) * pixels, pixels);
    }
  }
}

}  // namespace

template <class Real>
void Kernels<Patches, Real>::forward(const Patches& patches, const Call<Real>& call) {
  each_pixel_row(patches, call, [&](std::int64_t image, std::int64_t patch, std::int64_t n) {
    std::copy_n(call.input(0) + image, n, call.output() + patch);
  });
}

template <class Real>
void Kernels<Patches, Real>::backward(const Patches& patches, const Call<Real>& call) {
  each_pixel_row(patches, call, [&](std::int64_t image, std::int64_t patch, std::int64_t n) {
    std::copy_n(call.output_gradient() + patch, n, call.input_gradient(0) + image);
  });
}

template <class Real>
void Kernels<ClassToken, Real>::forward(const ClassToken& token, const Call<Real>& call) {
  const std::int64_t rest = call.request.inputs[0].elements();
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    Real* out = call.output() + n * (rest + token.width);
    std::copy_n(call.parameter(0), token.width, out);
    std::copy_n(call.input(0) + n * rest, rest, out + token.width);
  }
}

template <class Real>
void Kernels<ClassToken, Real>::backward(const ClassToken& token, const Call<Real>& call) {
  const std::int64_t rest = call.request.inputs[0].elements(), all = rest + token.width;
  for (std::int64_t i = 0; call.trains() && i < token.width; ++i) {
    double sum = 0;
    for (std::int64_t n = 0; n < call.samples(); ++n)
      sum += double{call.output_gradient()[n * all + i]};
    call.give_gradient(0, i, sum);
  }
  if (call.input_gradient(0) == nullptr) return;
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    std::copy_n(call.output_gradient() + n * all + token.width, rest,
                call.input_gradient(0) + n * rest);
  }
}

template <class Real>
void Kernels<FirstRow, Real>::forward(const FirstRow&, const Call<Real>& call) {
  const std::int64_t width = call.request.output.elements();
  const std::int64_t all = call.request.inputs[0].elements();
  for (std::int64_t n = 0; n < call.samples(); ++n)
    std::copy_n(call.input(0) + n * all, width, call.output() + n * width);
}

template <class Real>
void Kernels<FirstRow, Real>::backward(const FirstRow&, const Call<Real>& call) {
  const std::int64_t width = call.request.output.elements();
  const std::int64_t all = call.request.inputs[0].elements();
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    Real* dx = call.input_gradient(0) + n * all;
    std::copy_n(call.output_gradient() + n * width, width, dx);
    std::fill_n(dx + width, all - width, Real{});
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

template struct Kernels<Patches, float>;
template struct Kernels<Patches, double>;
template struct Kernels<Patches, BFloat16>;
template struct Kernels<ClassToken, float>;
template struct Kernels<ClassToken, double>;
template struct Kernels<ClassToken, BFloat16>;
template struct Kernels<FirstRow, float>;
template struct Kernels<FirstRow, double>;
template struct Kernels<FirstRow, BFloat16>;
template struct Kernels<Embedding, float>;
template struct Kernels<Embedding, double>;
template struct Kernels<Embedding, BFloat16>;
template struct Kernels<PositionEmbedding, float>;
template struct Kernels<PositionEmbedding, double>;
template struct Kernels<PositionEmbedding, BFloat16>;
template struct Kernels<Rotary, float>;
template struct Kernels<Rotary, double>;
template struct Kernels<Rotary, BFloat16>;

}  // namespace rehearse::exec::reference
