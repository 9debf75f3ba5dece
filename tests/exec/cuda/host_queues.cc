#include "tests/exec/cuda/host_queues.h"

#include <algorithm>
#include <cmath>

#include "model/base/check.h"

namespace rehearse::exec::cuda {
namespace {

double number_at(Element type, const void* memory, std::int64_t at) {
  switch (type) {
    case Element::bf16:
      return static_cast<double>(static_cast<const BFloat16*>(memory)[at]);
    case Element::fp32:
      return static_cast<double>(static_cast<const float*>(memory)[at]);
    case Element::fp64:
      return static_cast<const double*>(memory)[at];
  }
  REHEARSE_UNREACHABLE("element");
}

void set_number(Element type, void* memory, std::int64_t at, double value) {
  switch (type) {
    case Element::bf16:
      static_cast<BFloat16*>(memory)[at] = BFloat16(value);
      return;
    case Element::fp32:
      static_cast<float*>(memory)[at] = static_cast<float>(value);
      return;
    case Element::fp64:
      static_cast<double*>(memory)[at] = value;
      return;
  }
}

double element_of(const Product& p, const Product::Operand& operand, std::int64_t batch,
                  std::int64_t row, std::int64_t column) {
  if (operand.transposed) std::swap(row, column);
  return number_at(p.in, operand.at, batch * operand.next + row * operand.row + column);
}

template <class Term>
double sum_of(std::int64_t terms, Term term) {
  double sum = 0;
  for (std::int64_t i = 0; i < terms; ++i)
    sum += term(i);
  return sum;
}

template <class Numbers>
auto& at(Numbers& numbers, std::int64_t i) {
  return numbers[static_cast<std::size_t>(i)];
}

// Attention of one sample's heads, a query at a time and in double but for what is stored.
class HostAttention {
 public:
  HostAttention(const FusedAttention& a, std::int64_t sample)
      : a_(a),
        sample_(sample),
        group_(a.queries.heads / a.keys.heads),
        d_k_(static_cast<std::size_t>(a.keys.heads * a.positions * a.head_size)),
        d_v_(d_k_.size()) {}

  void forward(std::int64_t h, std::int64_t i) {
    const std::vector<double> s = scores(h, i);
    const double largest = *std::max_element(s.begin(), s.end());
    const double sum =
        sum_of(seen(i), [&](std::int64_t j) { return std::exp(at(s, j) - largest); });
    const double logarithm = largest + std::log(sum);
    set_number(wide(), a_.sums, row(h, i), logarithm);
    for (std::int64_t e = 0; e < a_.head_size; ++e) {
      const double o = sum_of(seen(i), [&](std::int64_t j) {
        return std::exp(at(s, j) - logarithm) * number(a_.v, a_.keys, h / group_, j, e);
      });
      set(a_.o, a_.out, h, i, e, o);
    }
  }

  // The query's gradient, and what it adds to those of its group's keys and values.
  void backward(std::int64_t h, std::int64_t i) {
    const std::vector<double> s = scores(h, i);
    const double logarithm = number_at(wide(), a_.sums, row(h, i));
    const double mean = sum_of(a_.head_size, [&](std::int64_t e) {
      return number(a_.d_o, a_.out, h, i, e) * number(a_.o, a_.out, h, i, e);
    });
    std::vector<double> d_s, p;
    for (std::int64_t j = 0; j < seen(i); ++j) {
      const double d_p = sum_of(a_.head_size, [&](std::int64_t e) {
        return number(a_.d_o, a_.out, h, i, e) * number(a_.v, a_.keys, h / group_, j, e);
      });
      p.push_back(std::exp(at(s, j) - logarithm));
      d_s.push_back(a_.scale * p.back() * (d_p - mean));
    }
    for (std::int64_t e = 0; e < a_.head_size; ++e) {
      set(a_.d_q, a_.queries, h, i, e, sum_of(seen(i), [&](std::int64_t j) {
            return at(d_s, j) * number(a_.k, a_.keys, h / group_, j, e);
          }));
      for (std::int64_t j = 0; j < seen(i); ++j) {
        at(d_k_, own(h / group_, j, e)) += at(d_s, j) * number(a_.q, a_.queries, h, i, e);
        at(d_v_, own(h / group_, j, e)) += at(p, j) * number(a_.d_o, a_.out, h, i, e);
      }
    }
  }

  // Rounded once: they are sums over queries, and over heads of a group.
  void store_sums() {
    for (std::int64_t h = 0; h < a_.keys.heads; ++h) {
      for (std::int64_t j = 0; j < a_.positions; ++j) {
        for (std::int64_t e = 0; e < a_.head_size; ++e) {
          set(a_.d_k, a_.keys, h, j, e, at(d_k_, own(h, j, e)));
          set(a_.d_v, a_.keys, h, j, e, at(d_v_, own(h, j, e)));
        }
      }
    }
  }

 private:
  using Layout = FusedAttention::Layout;
  Element wide() const { return a_.element == Element::fp64 ? Element::fp64 : Element::fp32; }
  std::int64_t seen(std::int64_t i) const { return a_.causal ? i + 1 : a_.positions; }
  std::int64_t row(std::int64_t h, std::int64_t i) const {
    return (sample_ * a_.queries.heads + h) * a_.positions + i;
  }
  std::int64_t own(std::int64_t h, std::int64_t j, std::int64_t e) const {
    return (h * a_.positions + j) * a_.head_size + e;
  }
  std::int64_t place(const Layout& l, std::int64_t h, std::int64_t i, std::int64_t e) const {
    return sample_ * l.sample + h * l.head + i * l.position + e;
  }
  double number(const void* from, const Layout& l, std::int64_t h, std::int64_t i,
                std::int64_t e) const {
    return number_at(a_.element, from, place(l, h, i, e));
  }
  void set(void* into, const Layout& l, std::int64_t h, std::int64_t i, std::int64_t e,
           double value) const {
    set_number(a_.element, into, place(l, h, i, e), value);
  }
  std::vector<double> scores(std::int64_t h, std::int64_t i) const {
    std::vector<double> list;
    for (std::int64_t j = 0; j < seen(i); ++j) {
      list.push_back(a_.scale * sum_of(a_.head_size, [&](std::int64_t e) {
                       return number(a_.q, a_.queries, h, i, e) *
                              number(a_.k, a_.keys, h / group_, j, e);
                     }));
    }
    return list;
  }

  const FusedAttention& a_;
  std::int64_t sample_, group_;
  std::vector<double> d_k_, d_v_;
};

}  // namespace

void HostQueue::sort(const std::int32_t* keys, std::int32_t* sorted, std::int32_t* places,
                     std::int64_t n) {
  std::iota(places, places + n, 0);
  std::stable_sort(places, places + n,
                   [&](std::int32_t a, std::int32_t b) { return keys[a] < keys[b]; });
  std::transform(places, places + n, sorted, [&](std::int32_t place) { return keys[place]; });
}

void HostQueue::product(const Product& p) {
  for (std::int64_t batch = 0; batch < p.batch; ++batch) {
    for (std::int64_t i = 0; i < p.m; ++i) {
      for (std::int64_t j = 0; j < p.n; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k < p.k; ++k)
          sum += element_of(p, p.a, batch, i, k) * element_of(p, p.b, batch, k, j);
        const std::int64_t at = batch * p.c_next + i * p.c_row + j;
        // What is overwritten may be a NaN.
        const double before = p.beta == 0 ? 0 : p.beta * number_at(p.out, p.c, at);
        const double bias = p.bias == nullptr ? 0 : number_at(p.in, p.bias, j);
        set_number(p.out, p.c, at, p.alpha * sum + before + bias);
      }
    }
  }
}

void HostQueue::convolve(const Convolution& c) {
  const Conv2d& shape = c.shape;
  const bool of_weights = c.pass == ConvolutionPass::backward_weight;
  const std::int64_t inputs = c.samples * c.height * c.width * shape.in_channels;
  const std::int64_t outputs = c.samples * c.out_height * c.out_width * shape.out_channels;
  const std::int64_t weights = shape.out_channels * shape.kernel * shape.kernel * shape.in_channels;
  std::vector<double> result(static_cast<std::size_t>(of_weights ? weights
                                                      : c.pass == ConvolutionPass::forward
                                                          ? outputs
                                                          : inputs));
  const auto number = [&](const void* memory, std::int64_t at) {
    return number_at(c.element, memory, at);
  };
  // Of every output and tap: places of y, of x and of w.
  for (std::int64_t y = 0; y < outputs; ++y) {
    const std::int64_t o = y % shape.out_channels, column = y / shape.out_channels % c.out_width;
    const std::int64_t row = y / shape.out_channels / c.out_width % c.out_height;
    const std::int64_t n = y / shape.out_channels / c.out_width / c.out_height;
    for (std::int64_t tap = 0; tap < shape.kernel * shape.kernel; ++tap) {
      const std::int64_t from_row = row * shape.stride - shape.padding + tap / shape.kernel;
      const std::int64_t from_column = column * shape.stride - shape.padding + tap % shape.kernel;
      if (from_row < 0 || from_row >= c.height || from_column < 0 || from_column >= c.width)
        continue;
      for (std::int64_t i = 0; i < shape.in_channels; ++i) {
        const std::int64_t x =
            ((n * c.height + from_row) * c.width + from_column) * shape.in_channels + i;
        const std::int64_t w = (o * shape.kernel * shape.kernel + tap) * shape.in_channels + i;
        switch (c.pass) {
          case ConvolutionPass::forward:
            result[static_cast<std::size_t>(y)] += number(c.first, x) * number(c.second, w);
            break;
          case ConvolutionPass::backward_input:
            result[static_cast<std::size_t>(x)] += number(c.first, y) * number(c.second, w);
            break;
          case ConvolutionPass::backward_weight:
            result[static_cast<std::size_t>(w)] += number(c.first, x) * number(c.second, y);
            break;
        }
      }
    }
  }
  for (std::int64_t at = 0; at < std::ssize(result); ++at) {
    const double before = c.adds ? number(c.result, at) : 0;
    set_number(c.element, c.result, at, before + result[static_cast<std::size_t>(at)]);
  }
}

void HostQueue::attend(const FusedAttention& a) {
  for (std::int64_t sample = 0; sample < a.samples; ++sample) {
    HostAttention it(a, sample);
    const bool is_forward = a.pass == AttentionPass::forward;
    for (std::int64_t h = 0; h < a.queries.heads; ++h) {
      for (std::int64_t i = 0; i < a.positions; ++i)
        is_forward ? it.forward(h, i) : it.backward(h, i);
    }
    if (!is_forward) it.store_sums();
  }
}

}  // namespace rehearse::exec::cuda
