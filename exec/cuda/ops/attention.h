// Attention by one kernel of the queue's, where it has one and no probabilities are kept. Or else
// out of matrix products and rows of scores, one sample at a time, whose scores lie in scratch
// memory (formulas: exec/cpu/reference/attention.cc). Both keep the same.
//
// Scores and their gradients are fp32, rounded once they are probabilities and before they are
// multiplied. Heads of a sample are one batched product; with grouped keys and values those of one
// group are, whose sums over heads are taken in fp32.
#pragma once

#include <string_view>
#include <vector>

#include "exec/cuda/ops/losses.h"
#include "exec/cuda/ops/products.h"

namespace rehearse::exec::cuda {

template <class Real>
struct Op<Attention, Real> {
  using W = Wide<Real>;

  // One sample's operands and scratch.
  template <class Queue>
  class Sample {
   public:
    Sample(const Attention& a, const Call<Real>& call, std::int64_t number, Queue& queue)
        : queue_(queue),
          heads_(a.heads),
          group_(a.heads / a.kv_heads),
          d_(a.head_size),
          t_(call.request.inputs[0].dims[0]),
          width_((a.heads + 2 * a.kv_heads) * a.head_size),
          out_width_(a.heads * a.head_size),
          causal_(a.causal),
          fused_(a.fused),
          scale_(1 / std::sqrt(static_cast<double>(a.head_size))),
          packed_(call.input(0) + number * t_ * width_),
          kept_(call.auxiliary(0) + number * heads_ * t_ * (a.fused ? 1 : t_)) {
      const auto scores = static_cast<std::size_t>(heads_ * t_ * t_);
      const auto sums = static_cast<std::size_t>(group_ > 1 ? 2 * t_ * d_ : 0);
      std::byte* memory =
          queue.scratch(scores * (2 * sizeof(W) + 2 * sizeof(Real)) + sums * sizeof(W), 1);
      scores_ = reinterpret_cast<W*>(memory);
      gradients_ = scores_ + scores;
      sums_ = gradients_ + scores;
      probabilities_ = reinterpret_cast<Real*>(sums_ + sums);
      rounded_ = probabilities_ + scores;
    }

    void forward(Real* out) {
      score();
      normalize();
      for (const Batch& batch : batches()) {
        Product o = product(batch, t_, d_, t_);
        o.a = matrices(probabilities_, batch);
        o.b = {values(batch), width_, kv_next()};
        o.c = out + batch.first * d_, o.c_row = out_width_, o.c_next = d_;
        queue_.product(o);
      }
    }

    void backward(const Real* out, const Real* d_out, Real* d_packed) {
      recall();
      for (const Batch& batch : batches()) {
        Product dp = product(batch, t_, t_, d_);
        dp.a = {d_out + batch.first * d_, out_width_, d_};
        dp.b = {values(batch), width_, kv_next(), true};
        dp.c = gradients_ + batch.first * t_ * t_, dp.c_row = t_, dp.c_next = t_ * t_;
        dp.out = kElement<W>;
        queue_.product(dp);
      }
      differentiate(out, d_out);
      for (const Batch& batch : batches()) {
        Product dq = product(batch, t_, d_, t_);
        dq.a = matrices(rounded_, batch);
        dq.b = {keys(batch), width_, kv_next()};
        dq.c = d_packed + batch.first * d_, dq.c_row = width_, dq.c_next = d_;
        dq.alpha = scale_;
        queue_.product(dq);
        const Real* queries = packed_ + batch.first * d_;
        gather(batch, rounded_, {queries, width_, d_}, scale_, d_packed + key_offset(batch));
        gather(batch, probabilities_, {d_out + batch.first * d_, out_width_, d_}, 1,
               d_packed + value_offset(batch));
      }
    }

   private:
    // Heads of one batched product.
    struct Batch {
      std::int64_t first, count;
    };
    std::vector<Batch> batches() const {
      if (group_ == 1) return {{0, heads_}};
      std::vector<Batch> list;
      for (std::int64_t h = 0; h < heads_; h += group_)
        list.push_back({h, group_});
      return list;
    }
    std::int64_t kv_next() const { return group_ == 1 ? d_ : 0; }
    std::int64_t key_offset(const Batch& batch) const {
      return (heads_ + batch.first / group_) * d_;
    }
    std::int64_t value_offset(const Batch& batch) const {
      return key_offset(batch) + heads_ / group_ * d_;
    }
    const Real* keys(const Batch& batch) const { return packed_ + key_offset(batch); }
    const Real* values(const Batch& batch) const { return packed_ + value_offset(batch); }
    Product::Operand matrices(const Real* of_all, const Batch& batch) const {
      return {of_all + batch.first * t_ * t_, t_, t_ * t_};
    }
    static Product product(const Batch& batch, std::int64_t m, std::int64_t n, std::int64_t k) {
      Product product = product_of_reals<Real>(m, n, k);
      product.batch = batch.count;
      return product;
    }

    // Sums over queries of what each has for a key: of one head, or of all of a group.
    void gather(const Batch& batch, const Real* weights, const Product::Operand& rows, double alpha,
                Real* into) {
      Product sum = product(batch, t_, d_, t_);
      sum.a = matrices(weights, batch), sum.a.transposed = true;
      sum.b = rows;
      sum.alpha = alpha;
      if (group_ == 1) {
        sum.c = into, sum.c_row = width_, sum.c_next = d_;
        queue_.product(sum);
        return;
      }
      sum.batch = 1;
      sum.c = sums_, sum.c_row = d_;
      sum.out = kElement<W>;
      for (std::int64_t h = 0; h < batch.count; ++h) {
        sum.beta = h > 0 ? 1 : 0;
        queue_.product(sum);
        sum.a.at = static_cast<const Real*>(sum.a.at) + t_ * t_;
        sum.b.at = static_cast<const Real*>(sum.b.at) + d_;
      }
      round_into(into, queue_, sums_, t_, d_, width_);
    }

    void score() {
      for (const Batch& batch : batches()) {
        Product s = product(batch, t_, t_, d_);
        s.a = {packed_ + batch.first * d_, width_, d_};
        s.b = {keys(batch), width_, kv_next(), true};
        s.c = scores_ + batch.first * t_ * t_, s.c_row = t_, s.c_next = t_ * t_;
        s.alpha = scale_;
        s.out = kElement<W>;
        queue_.product(s);
      }
    }
    void normalize() {
      softmax_rows(queue_, scores_, probabilities_, kept_, heads_ * t_, t_, causal_, fused_);
    }
    // Probabilities as forward had them.
    void recall() {
      if (fused_) score();
      recall_rows(queue_, fused_ ? scores_ : kept_, fused_ ? kept_ : nullptr, scores_,
                  probabilities_, heads_ * t_, t_, causal_);
    }
    void differentiate(const Real* out, const Real* d_out) {
      differentiate_rows(queue_, scores_, gradients_, rounded_, fused_ ? out : nullptr, d_out,
                         heads_, t_, d_, causal_);
    }

    Queue& queue_;
    const std::int64_t heads_, group_, d_, t_, width_, out_width_;
    const bool causal_, fused_;
    const double scale_;
    const Real* packed_;
    W* const kept_;
    W *scores_, *gradients_, *sums_;  // fp32: probabilities before they are rounded, too
    Real *probabilities_, *rounded_;  // rounded: gradients of scores
  };

  template <class Queue>
  static void round_into(Real* into, Queue& queue, const W* sums, std::int64_t rows, std::int64_t d,
                         std::int64_t width) {
    queue.each(rows * d, [=] REHEARSE_KERNEL(std::int64_t i) {
      into[i / d * width + i % d] = static_cast<Real>(sums[i]);
    });
  }

  // Row r is query r % t of a head. kept: log sum exp where attention is fused, or else the
  // probabilities themselves.
  template <class Queue>
  static void softmax_rows(Queue& queue, const W* scores, Real* probabilities, W* kept,
                           std::int64_t rows, std::int64_t t, bool causal, bool fused) {
    queue.rows(rows, [=] REHEARSE_KERNEL(std::int64_t row, typename Queue::Team & team) {
      const std::int64_t seen = causal ? row % t + 1 : t;
      const W* s = scores + row * t;
      const W sum = log_sum_exp<W>(s, seen, team);
      if (fused && team.rank() == 0) kept[row] = sum;
      for (std::int64_t j = team.rank(); j < t; j += team.size()) {
        const W p = j < seen ? std::exp(s[j] - sum) : W(0);
        probabilities[row * t + j] = static_cast<Real>(p);
        if (!fused) kept[row * t + j] = p;
      }
    });
  }

  // from: scores, of which `sums` has the logarithms; or without those probabilities.
  template <class Queue>
  static void recall_rows(Queue& queue, const W* from, const W* sums, W* exact, Real* rounded,
                          std::int64_t rows, std::int64_t t, bool causal) {
    queue.each(rows * t, [=] REHEARSE_KERNEL(std::int64_t i) {
      const std::int64_t row = i / t;
      const bool seen = !causal || i % t <= row % t;
      const W p = !seen ? W(0) : sums == nullptr ? from[i] : std::exp(from[i] - sums[row]);
      exact[i] = p;
      rounded[i] = static_cast<Real>(p);
    });
  }

  // ds = p (dp - r) with r = do . o, or the sum of p dp where o is not kept.
  template <class Queue>
  static void differentiate_rows(Queue& queue, const W* p, const W* dp, Real* ds, const Real* out,
                                 const Real* d_out, std::int64_t heads, std::int64_t t,
                                 std::int64_t d, bool causal) {
    queue.rows(heads * t, [=] REHEARSE_KERNEL(std::int64_t row, typename Queue::Team & team) {
      const std::int64_t seen = causal ? row % t + 1 : t;
      const std::int64_t at = row % t * heads * d + row / t * d;
      W r = 0;
      if (out != nullptr) {
        for (std::int64_t k = team.rank(); k < d; k += team.size())
          r += static_cast<W>(d_out[at + k]) * static_cast<W>(out[at + k]);
      } else {
        for (std::int64_t j = team.rank(); j < seen; j += team.size())
          r += p[row * t + j] * dp[row * t + j];
      }
      r = team.sum(r);
      for (std::int64_t j = team.rank(); j < t; j += team.size()) {
        const std::int64_t i = row * t + j;
        ds[i] = j < seen ? static_cast<Real>(p[i] * (dp[i] - r)) : Real{};
      }
    });
  }

  // What the queue's kernel would be asked for, but for its operands.
  static FusedAttention fused(const Attention& a, const KernelRequest& request) {
    FusedAttention it;
    it.pass =
        request.kind == KernelKind::forward ? AttentionPass::forward : AttentionPass::backward;
    it.samples = request.samples;
    it.positions = request.inputs[0].dims[0];
    it.head_size = a.head_size;
    it.causal = a.causal;
    it.scale = 1 / std::sqrt(static_cast<double>(a.head_size));
    it.element = kElement<Real>;
    const auto heads = [&](std::int64_t count, std::int64_t width) {
      return FusedAttention::Layout{count, it.positions * width, a.head_size, width};
    };
    const std::int64_t packed = (a.heads + 2 * a.kv_heads) * a.head_size;
    it.queries = heads(a.heads, packed);
    it.keys = heads(a.kv_heads, packed);
    it.out = heads(a.heads, a.heads * a.head_size);
    return it;
  }
  static FusedAttention fused(const Attention& a, const Call<Real>& call) {
    const std::int64_t keys = a.heads * a.head_size, values = keys + a.kv_heads * a.head_size;
    FusedAttention it = fused(a, call.request);
    it.q = call.input(0), it.k = call.input(0) + keys, it.v = call.input(0) + values;
    it.o = call.output(), it.sums = call.auxiliary(0);
    if (it.pass == AttentionPass::forward) return it;
    Real* const gradient = call.input_gradient(0);
    it.d_o = call.output_gradient();
    it.d_q = gradient, it.d_k = gradient + keys, it.d_v = gradient + values;
    return it;
  }
  template <class Queue>
  static bool is_fused(const Attention& a, const KernelRequest& request, Queue& queue) {
    return a.fused && queue.has_attention(fused(a, request));
  }
  template <class Queue>
  static std::string_view implementation(const Attention& a, const KernelRequest& request,
                                         Queue& queue) {
    return is_fused(a, request, queue) ? "fused" : "products";
  }

  template <class Queue>
  static void forward(const Attention& attention, const Call<Real>& call, Queue& queue) {
    if (is_fused(attention, call.request, queue)) return queue.attend(fused(attention, call));
    const std::int64_t each = call.request.output.elements();
    for (std::int64_t n = 0; n < call.samples(); ++n)
      Sample<Queue>(attention, call, n, queue).forward(call.output() + n * each);
  }
  template <class Queue>
  static void backward(const Attention& attention, const Call<Real>& call, Queue& queue) {
    if (is_fused(attention, call.request, queue)) return queue.attend(fused(attention, call));
    const std::int64_t each = call.request.output.elements();
    const std::int64_t packed = call.request.inputs[0].elements();
    for (std::int64_t n = 0; n < call.samples(); ++n) {
      const Real* out = attention.fused ? call.output() + n * each : nullptr;
      Sample<Queue>(attention, call, n, queue)
          .backward(out, call.output_gradient() + n * each, call.input_gradient(0) + n * packed);
    }
  }
};

}  // namespace rehearse::exec::cuda
