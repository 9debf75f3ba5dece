// Scaled dot-product attention; the formulas stand in reference/attention.cc.
//
// Queries are taken in blocks: the scores of a block with all keys it sees are one matrix product
// of the library, their softmax is ours, and so on. A head of queries with the keys and values of
// its group is one thread's, the group's heads one after the other. Scores and sums are floats;
// in BFloat16 probabilities and gradients of scores are rounded to be multiplied.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "exec/cpu/onednn/call.h"
#include "exec/cpu/onednn/elementwise.h"
#include "exec/cpu/onednn/kernels.h"
#include "exec/cpu/onednn/matrix.h"
#include "exec/cpu/onednn/vectors.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

constexpr std::int64_t kQueries = 64;  // of a block

// Scores become probabilities; returns the logarithm of the denominator.
REHEARSE_VECTORS float soften(float* scores, std::int64_t n) {
  float largest = -std::numeric_limits<float>::infinity(), sum = 0;
#pragma omp simd reduction(max : largest)
  for (std::int64_t j = 0; j < n; ++j)
    largest = scores[j] > largest ? scores[j] : largest;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < n; ++j) {
    scores[j] = exponential(scores[j] - largest);
    sum += scores[j];
  }
  const float share = 1 / sum;
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j)
    scores[j] *= share;
  return largest + std::log(sum);
}

// Scores become probabilities again.
REHEARSE_VECTORS void soften_again(float* scores, float log_sum_exp, std::int64_t n) {
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j)
    scores[j] = exponential(scores[j] - log_sum_exp);
}

// ds = p (dp - sum p dp) scale, over dp.
REHEARSE_VECTORS void differentiate(const float* p, float* dp, float scale, std::int64_t n) {
  float r = 0;
#pragma omp simd reduction(+ : r)
  for (std::int64_t j = 0; j < n; ++j)
    r += p[j] * dp[j];
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j)
    dp[j] = p[j] * (dp[j] - r) * scale;
}

template <class Real>
class AttentionKernel : public Kernel {
 public:
  AttentionKernel(SharedSession session, const KernelRequest& request, const Attention& attention)
      : session_(std::move(session)),
        attention_(attention),
        is_forward_(request.kind == KernelKind::forward),
        samples_(request.samples),
        positions_(request.inputs[0].dims[0]),
        size_(attention.head_size),
        width_((attention.heads + 2 * attention.kv_heads) * size_),
        out_width_(attention.heads * size_),
        scale_(static_cast<float>(1 / std::sqrt(static_cast<double>(size_)))) {
    block_ = std::min(kQueries, positions_) * positions_;
    session_->workspace.reserve(static_cast<std::size_t>(session_->team.threads() * work_size()) *
                                sizeof(float));
  }

  void run(const KernelArguments& a) override {
    session_->team.use();
    // The library takes one thread where several call it.
    const std::int64_t groups = samples_ * attention_.kv_heads;
    const auto threads = static_cast<int>(std::min<std::int64_t>(session_->team.threads(), groups));
    Team::parallel(threads, [&](int thread) {
      auto* own = reinterpret_cast<float*>(session_->workspace.data()) + thread * work_size();
      for (std::int64_t group = thread; group < groups; group += threads)
        run_group(a, group / attention_.kv_heads, group % attention_.kv_heads, work_at(own));
    });
  }

 private:
  // The queries [first, first + count) of one head, and the keys they see.
  struct Block {
    std::int64_t first, count, keys;
    std::int64_t row;                     // of its first query, over all samples and heads
    std::int64_t query, key, value, out;  // offsets
  };

  // What a thread has: the scores of a block and their gradients, rooms to round them in (none is
  // needed in float), sums of a block's rows, and of the gradients of a group's keys and values.
  struct Work {
    float *scores, *gradients;
    Real *rounded, *rounded_gradients;
    float *rows, *keys, *values;
  };
  std::int64_t block_rows() const { return std::min(kQueries, positions_); }
  std::int64_t work_size() const { return 4 * block_ + (block_rows() + 2 * positions_) * size_; }
  Work work_at(float* own) const {
    float* rows = own + 4 * block_;
    float* keys = rows + block_rows() * size_;
    return {own,
            own + block_,
            reinterpret_cast<Real*>(own + 2 * block_),
            reinterpret_cast<Real*>(own + 3 * block_),
            rows,
            keys,
            keys + positions_ * size_};
  }

  void run_group(const KernelArguments& a, std::int64_t sample, std::int64_t group,
                 const Work& work) const {
    const std::int64_t heads = attention_.heads / attention_.kv_heads;
    const std::int64_t base = sample * positions_ * width_;
    const std::int64_t key = base + (attention_.heads + group) * size_;
    const std::int64_t value = key + attention_.kv_heads * size_;
    if (!is_forward_) std::fill_n(work.keys, 2 * positions_ * size_, 0.0F);
    for (std::int64_t h = group * heads; h < (group + 1) * heads; ++h) {
      for (std::int64_t first = 0; first < positions_; first += kQueries) {
        const std::int64_t count = std::min(kQueries, positions_ - first);
        const Block block{first,
                          count,
                          attention_.causal ? first + count : positions_,
                          (sample * attention_.heads + h) * positions_ + first,
                          base + h * size_ + first * width_,
                          key,
                          value,
                          (sample * positions_ + first) * out_width_ + h * size_};
        is_forward_ ? forward(a, block, work) : backward(a, block, work);
      }
    }
    if (is_forward_) return;
    auto* gradient = static_cast<Real*>(a.input_gradients[0]);
    convert_rows(gradient + key, width_, work.keys, size_, positions_, size_);
    convert_rows(gradient + value, width_, work.values, size_, positions_, size_);
  }

  Rows<Real> packed(const KernelArguments& a, std::int64_t offset) const {
    return {static_cast<const Real*>(a.inputs[0]) + offset, width_};
  }
  std::int64_t seen(const Block& block, std::int64_t row) const {
    return attention_.causal ? block.first + row + 1 : positions_;
  }

  void score(const KernelArguments& a, const Block& block, float* scores) const {
    product('N', 'T', block.count, block.keys, size_, scale_, packed(a, block.query),
            packed(a, block.key), 0, scores, block.keys);
  }

  // A block's scores as a factor of a product.
  Rows<Real> factor(const Block& block, const float* scores, Real* room) const {
    if constexpr (std::is_same_v<Real, float>) {
      return {scores, block.keys};
    } else {
      convert_rows(room, block.keys, scores, block.keys, block.count, block.keys);
      return {room, block.keys};
    }
  }

  void forward(const KernelArguments& a, const Block& block, const Work& work) const {
    float* scores = work.scores;
    auto* kept = static_cast<float*>(a.auxiliaries[0]);
    score(a, block, scores);
    for (std::int64_t row = 0; row < block.count; ++row) {
      float* own = scores + row * block.keys;
      const std::int64_t n = seen(block, row);
      const float log_sum_exp = soften(own, n);
      std::fill(own + n, own + block.keys, 0.0F);
      if (attention_.fused) {
        kept[block.row + row] = log_sum_exp;
      } else {
        float* all = kept + (block.row + row) * positions_;
        std::copy_n(own, n, all);
        std::fill(all + n, all + positions_, 0.0F);
      }
    }
    product('N', 'N', block.count, size_, block.keys, 1, factor(block, scores, work.rounded),
            packed(a, block.value), 0, work.rows, size_);
    convert_rows(static_cast<Real*>(a.output) + block.out, out_width_, work.rows, size_,
                 block.count, size_);
  }

  // The probabilities as forward left them behind.
  void remember(const KernelArguments& a, const Block& block, float* p) const {
    const auto* kept = static_cast<const float*>(a.auxiliaries[0]);
    if (attention_.fused) score(a, block, p);
    for (std::int64_t row = 0; row < block.count; ++row) {
      float* own = p + row * block.keys;
      const std::int64_t n = seen(block, row);
      if (attention_.fused) {
        soften_again(own, kept[block.row + row], n);
      } else {
        std::copy_n(kept + (block.row + row) * positions_, n, own);
      }
      std::fill(own + n, own + block.keys, 0.0F);
    }
  }

  void backward(const KernelArguments& a, const Block& block, const Work& work) const {
    float *p = work.scores, *ds = work.gradients;
    const Rows<Real> d_out{static_cast<const Real*>(a.output_gradient) + block.out, out_width_};
    remember(a, block, p);
    product('T', 'N', block.keys, size_, block.count, 1, factor(block, p, work.rounded), d_out, 1,
            work.values, size_);
    product('N', 'T', block.count, block.keys, size_, 1, d_out, packed(a, block.value), 0, ds,
            block.keys);
    for (std::int64_t row = 0; row < block.count; ++row) {
      const std::int64_t at = row * block.keys, n = seen(block, row);
      differentiate(p + at, ds + at, scale_, n);
      std::fill(ds + at + n, ds + at + block.keys, 0.0F);
    }
    const Rows<Real> d_scores = factor(block, ds, work.rounded_gradients);
    product('N', 'N', block.count, size_, block.keys, 1, d_scores, packed(a, block.key), 0,
            work.rows, size_);
    product('T', 'N', block.keys, size_, block.count, 1, d_scores, packed(a, block.query), 1,
            work.keys, size_);
    convert_rows(static_cast<Real*>(a.input_gradients[0]) + block.query, width_, work.rows, size_,
                 block.count, size_);
  }

  SharedSession session_;
  Attention attention_;
  bool is_forward_;
  std::int64_t samples_, positions_, size_, width_, out_width_, block_ = 0;
  float scale_;
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_attention(const SharedSession& session, const KernelRequest& request,
                                       const Attention& attention) {
  return std::make_unique<AttentionKernel<Real>>(session, request, attention);
}

template std::unique_ptr<Kernel> make_attention<float>(const SharedSession&, const KernelRequest&,
                                                       const Attention&);
template std::unique_ptr<Kernel> make_attention<BFloat16>(const SharedSession&,
                                                          const KernelRequest&, const Attention&);

}  // namespace rehearse::exec::onednn
