// Scaled dot-product attention over packed queries, keys and values; grouped keys and values.
//
// Per head and query i: p_ij = softmax_j(q_i k_j / sqrt(d)), o_i = sum_j p_ij v_j. Backward, with
// dp_ij = do_i v_j and r_i = sum_j p_ij dp_ij = do_i o_i (Dao et al., arXiv 2205.14135, section
// B.2):
//   dv_j += p_ij do_i,  ds_ij = p_ij (dp_ij - r_i) / sqrt(d),  dq_i += ds_ij k_j,  dk_j += ds_ij
//   q_i
// Fused keeps only the logarithm of each softmax's denominator and recomputes p_ij from it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {
namespace {

// Where one head of one sample finds its rows.
struct Head {
  std::int64_t positions, size, width, out_width;
  std::int64_t query, key, value, out;  // offsets of position 0
  std::int64_t statistics;              // number of this head over all samples
  bool causal;

  std::int64_t keys_of(std::int64_t i) const { return causal ? i + 1 : positions; }
};

Head head_at(const Attention& a, std::int64_t positions, std::int64_t sample, std::int64_t h) {
  const std::int64_t d = a.head_size, group = h / (a.heads / a.kv_heads);
  const std::int64_t width = (a.heads + 2 * a.kv_heads) * d, out_width = a.heads * d;
  const std::int64_t first = sample * positions * width;
  return {positions,
          d,
          width,
          out_width,
          first + h * d,
          first + (a.heads + group) * d,
          first + (a.heads + a.kv_heads + group) * d,
          sample * positions * out_width + h * d,
          sample * a.heads + h,
          a.causal};
}

template <class Real>
double score(const Head& head, const Real* packed, std::int64_t i, std::int64_t j) {
  return dot(packed + head.query + i * head.width, packed + head.key + j * head.width, head.size) /
         std::sqrt(static_cast<double>(head.size));
}

// log sum exp of a query's scores in one pass (Milakov and Gimelshein, arXiv 1805.02867).
template <class Real>
double log_sum_exp(const Head& head, const Real* packed, std::int64_t i) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::int64_t j = 0; j < head.keys_of(i); ++j) {
    const double s = score(head, packed, i, j);
    const double before = largest;
    largest = std::max(largest, s);
    sum = sum * std::exp(before - largest) + std::exp(s - largest);
  }
  return largest + std::log(sum);
}

// p_ij as forward left it behind.
template <class Real>
double probability(const Attention& a, const Head& head, const Call<Real>& call, std::int64_t i,
                   std::int64_t j) {
  const std::int64_t row = head.statistics * head.positions + i;
  if (!a.fused) return double{call.auxiliary(0)[row * head.positions + j]};
  return std::exp(score(head, call.input(0), i, j) - double{call.auxiliary(0)[row]});
}

template <class Real>
void forward_row(const Attention& a, const Head& head, const Call<Real>& call, std::int64_t i) {
  const Real* packed = call.input(0);
  const std::int64_t row = head.statistics * head.positions + i;
  const double denominator = log_sum_exp(head, packed, i);
  if (a.fused) call.auxiliary(0)[row] = static_cast<Wide<Real>>(denominator);
  std::vector<double> out(static_cast<std::size_t>(head.size));
  for (std::int64_t j = 0; j < head.positions; ++j) {
    const bool seen = j < head.keys_of(i);
    const double p = seen ? std::exp(score(head, packed, i, j) - denominator) : 0.0;
    if (!a.fused) call.auxiliary(0)[row * head.positions + j] = static_cast<Wide<Real>>(p);
    const Real* value = packed + head.value + j * head.width;
    for (std::int64_t k = 0; seen && k < head.size; ++k) {
      out[static_cast<std::size_t>(k)] += p * double{value[k]};
    }
  }
  store_rounded(out, call.output() + head.out + i * head.out_width);
}

// r_i: from the output where it was saved, else from the definition.
template <class Real>
double projection(const Attention& a, const Head& head, const Call<Real>& call, std::int64_t i) {
  const std::int64_t at = head.out + i * head.out_width;
  const Real* d_out = call.output_gradient() + at;
  if (a.fused) return dot(d_out, call.output() + at, head.size);
  double sum = 0;
  for (std::int64_t j = 0; j < head.keys_of(i); ++j) {
    const Real* value = call.input(0) + head.value + j * head.width;
    sum += probability(a, head, call, i, j) * dot(d_out, value, head.size);
  }
  return sum;
}

template <class Real>
void backward_row(const Attention& a, const Head& head, const Call<Real>& call, std::int64_t i,
                  double* gradient) {
  const Real* packed = call.input(0);
  const Real* d_out = call.output_gradient() + head.out + i * head.out_width;
  const std::int64_t query = head.query + i * head.width;
  const double r = projection(a, head, call, i);
  for (std::int64_t j = 0; j < head.keys_of(i); ++j) {
    const std::int64_t key = head.key + j * head.width, value = head.value + j * head.width;
    const double p = probability(a, head, call, i, j);
    const double dp = dot(d_out, packed + value, head.size);
    const double ds = p * (dp - r) / std::sqrt(static_cast<double>(head.size));
    for (std::int64_t k = 0; k < head.size; ++k) {
      gradient[value + k] += p * double{d_out[k]};
      gradient[query + k] += ds * double{packed[key + k]};
      gradient[key + k] += ds * double{packed[query + k]};
    }
  }
}

// Calls visit(head, i) for every sample, head and query.
template <class Real, class Visit>
void each_row(const Attention& a, const Call<Real>& call, Visit visit) {
  const std::int64_t positions = call.request.inputs[0].dims[0];
  for (std::int64_t h = 0; h < call.samples() * a.heads; ++h) {
    const Head head = head_at(a, positions, h / a.heads, h % a.heads);
    for (std::int64_t i = 0; i < positions; ++i)
      visit(head, i);
  }
}

}  // namespace

template <class Real>
void Kernels<Attention, Real>::forward(const Attention& attention, const Call<Real>& call) {
  each_row(attention, call,
           [&](const Head& head, std::int64_t i) { forward_row(attention, head, call, i); });
}

template <class Real>
void Kernels<Attention, Real>::backward(const Attention& attention, const Call<Real>& call) {
  const std::int64_t n = call.samples() * call.request.inputs[0].elements();
  std::vector<double> gradient(static_cast<std::size_t>(n));
  each_row(attention, call, [&](const Head& head, std::int64_t i) {
    backward_row(attention, head, call, i, gradient.data());
  });
  store_rounded(gradient, call.input_gradient(0));
}

template struct Kernels<Attention, float>;
template struct Kernels<Attention, double>;
template struct Kernels<Attention, BFloat16>;

}  // namespace rehearse::exec::reference
