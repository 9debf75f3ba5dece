// Conv2d and its two gradients, each as a sum gathered for one element of the result.
#include <optional>

#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {
namespace {

// A dense [n, h, w, c].
struct Extents {
  std::int64_t n, h, w, c;
  std::int64_t offset(std::int64_t i, std::int64_t y, std::int64_t x) const {
    return ((i * h + y) * w + x) * c;
  }
};

struct Geometry {
  Extents in, out, weights;
};

template <class Real>
Geometry geometry(const Conv2d& conv, const Call<Real>& call) {
  const auto& in = call.request.inputs[0].dims;
  const auto& out = call.request.output.dims;
  return {{call.samples(), in[0], in[1], in[2]},
          {call.samples(), out[0], out[1], out[2]},
          {conv.out_channels, conv.kernel, conv.kernel, conv.in_channels}};
}

// Calls visit(i, y, x) for every position.
template <class Visit>
void each_position(const Extents& extents, Visit visit) {
  for (std::int64_t i = 0; i < extents.n; ++i) {
    for (std::int64_t y = 0; y < extents.h; ++y) {
      for (std::int64_t x = 0; x < extents.w; ++x)
        visit(i, y, x);
    }
  }
}

// Calls visit(ky, kx) for every tap of the kernel.
template <class Visit>
void each_tap(const Conv2d& conv, Visit visit) {
  for (std::int64_t ky = 0; ky < conv.kernel; ++ky) {
    for (std::int64_t kx = 0; kx < conv.kernel; ++kx)
      visit(ky, kx);
  }
}

// The input coordinate that a tap reads for an output coordinate; none in the padding.
std::optional<std::int64_t> read_by(const Conv2d& conv, std::int64_t out, std::int64_t tap,
                                    std::int64_t size) {
  const std::int64_t in = out * conv.stride + tap - conv.padding;
  if (in < 0 || in >= size) return std::nullopt;
  return in;
}

// The output coordinate for which a tap reads an input coordinate.
std::optional<std::int64_t> reader_of(const Conv2d& conv, std::int64_t in, std::int64_t tap,
                                      std::int64_t size) {
  const std::int64_t scaled = in + conv.padding - tap;
  if (scaled < 0 || scaled % conv.stride != 0 || scaled / conv.stride >= size) return std::nullopt;
  return scaled / conv.stride;
}

}  // namespace

template <class Real>
void Kernels<Conv2d, Real>::forward(const Conv2d& conv, const Call<Real>& call) {
  const Geometry g = geometry(conv, call);
  const auto element = [&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t o) {
    double sum = 0;
    each_tap(conv, [&](std::int64_t ky, std::int64_t kx) {
      const auto iy = read_by(conv, y, ky, g.in.h), ix = read_by(conv, x, kx, g.in.w);
      if (!iy || !ix) return;
      sum += dot(call.input(0) + g.in.offset(n, *iy, *ix),
                 call.parameter(0) + g.weights.offset(o, ky, kx), g.in.c);
    });
    return static_cast<Real>(sum);
  };
  each_position(g.out, [&](std::int64_t n, std::int64_t y, std::int64_t x) {
    Real* out = call.output() + g.out.offset(n, y, x);
    for (std::int64_t o = 0; o < g.out.c; ++o)
      out[o] = element(n, y, x, o);
  });
}

template <class Real>
void Kernels<Conv2d, Real>::backward_input(const Conv2d& conv, const Call<Real>& call) {
  const Geometry g = geometry(conv, call);
  const auto element = [&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t i) {
    double sum = 0;
    each_tap(conv, [&](std::int64_t ky, std::int64_t kx) {
      const auto oy = reader_of(conv, y, ky, g.out.h), ox = reader_of(conv, x, kx, g.out.w);
      if (!oy || !ox) return;
      const Real* dy = call.output_gradient() + g.out.offset(n, *oy, *ox);
      for (std::int64_t o = 0; o < g.out.c; ++o) {
        sum += double{dy[o]} * double{call.parameter(0)[g.weights.offset(o, ky, kx) + i]};
      }
    });
    return static_cast<Real>(sum);
  };
  each_position(g.in, [&](std::int64_t n, std::int64_t y, std::int64_t x) {
    Real* dx = call.input_gradient(0) + g.in.offset(n, y, x);
    for (std::int64_t i = 0; i < g.in.c; ++i)
      dx[i] = element(n, y, x, i);
  });
}

template <class Real>
void Kernels<Conv2d, Real>::backward_weight(const Conv2d& conv, const Call<Real>& call) {
  const Geometry g = geometry(conv, call);
  const auto element = [&](std::int64_t o, std::int64_t ky, std::int64_t kx, std::int64_t i) {
    double sum = 0;
    each_position(g.out, [&](std::int64_t n, std::int64_t y, std::int64_t x) {
      const auto iy = read_by(conv, y, ky, g.in.h), ix = read_by(conv, x, kx, g.in.w);
      if (!iy || !ix) return;
      sum += double{call.output_gradient()[g.out.offset(n, y, x) + o]} *
             double{call.input(0)[g.in.offset(n, *iy, *ix) + i]};
    });
    return sum;
  };
  each_position(g.weights, [&](std::int64_t o, std::int64_t ky, std::int64_t kx) {
    for (std::int64_t i = 0; i < g.in.c; ++i) {
      call.give_gradient(0, g.weights.offset(o, ky, kx) + i, element(o, ky, kx, i));
    }
  });
}

template struct Kernels<Conv2d, float>;
template struct Kernels<Conv2d, double>;
template struct Kernels<Conv2d, BFloat16>;

}  // namespace rehearse::exec::reference
