// Softmax cross-entropy, also of a part of the classes, row by row; the formulas stand in
// reference/loss.cc.
#include <algorithm>
#include <cmath>
#include <vector>

#include "exec/cpu/onednn/kernels.h"
#include "exec/cpu/onednn/vectors.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

template <class Real>
REHEARSE_VECTORS float largest_of(const Real* x, std::int64_t n) {
  float largest{x[0]};
#pragma omp simd reduction(max : largest)
  for (std::int64_t i = 0; i < n; ++i) {
    const float value{x[i]};
    largest = value > largest ? value : largest;
  }
  return largest;
}

// Sum of exp(x - shift): of short pieces in float, of those in double.
template <class Real>
REHEARSE_VECTORS double sum_of_exponentials(const Real* x, float shift, std::int64_t n) {
  constexpr std::int64_t kPiece = 512;
  double sum = 0;
  for (std::int64_t first = 0; first < n; first += kPiece) {
    const std::int64_t count = std::min(kPiece, n - first);
    const Real* piece = x + first;
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (std::int64_t i = 0; i < count; ++i)
      part += exponential(piece[i] - shift);
    sum += static_cast<double>(part);
  }
  return sum;
}

template <class Real>
REHEARSE_VECTORS void scaled_softmax(const Real* x, float log_sum_exp, float scale, std::int64_t n,
                                     Real* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = static_cast<Real>(scale * exponential(x[i] - log_sum_exp));
}

template <class Real>
class Loss : public Kernel {
 public:
  Loss(SharedSession session, const KernelRequest& request, const CrossEntropy& loss)
      : session_(std::move(session)),
        is_forward_(request.kind == KernelKind::forward),
        rows_(request.samples * request.inputs[0].elements() / loss.classes),
        loss_(loss),
        first_(loss.part.number * loss.classes) {}

  void run(const KernelArguments& a) override {
    session_->team.share(rows_, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<double> summed(static_cast<std::size_t>(loss_.part.ways + 1));
      for (std::int64_t row = begin; row < end; ++row)
        is_forward_ ? forward(a, row) : backward(a, row, sum_of(a, row, summed));
    });
  }

 private:
  const Real* logits(const KernelArguments& a, std::int64_t row) const {
    return static_cast<const Real*>(a.inputs[0]) + row * loss_.classes;
  }
  // In the part's classes; another part's is outside of them.
  std::int64_t label(const KernelArguments& a, std::int64_t row) const {
    const std::int32_t label = static_cast<const std::int32_t*>(a.inputs[1])[row];
    const std::int64_t all = loss_.part.is_whole() ? loss_.classes : loss_.all;
    REHEARSE_CHECK(label >= 0 && label < all, "label {} of {} classes", label, all);
    return label - first_;
  }
  float* terms(const KernelArguments& a, std::int64_t row) const {
    return static_cast<float*>(a.output) + row * (loss_.part.ways + 1);
  }
  double log_sum_exp(const Real* x, std::int64_t n) const {
    if (n == 0) return CrossEntropy::kOfNone;
    const float shift = largest_of(x, n);
    return double{shift} + std::log(sum_of_exponentials(x, shift, n));
  }

  void forward(const KernelArguments& a, std::int64_t row) const {
    const Real* x = logits(a, row);
    const std::int64_t hit = label(a, row), classes = loss_.real_classes();
    const double sum = log_sum_exp(x, classes);
    const bool is_own = hit >= 0 && hit < classes;
    if (!loss_.part.is_whole()) {
      std::fill_n(terms(a, row), loss_.part.ways + 1, 0.0F);
      terms(a, row)[loss_.part.number] = static_cast<float>(sum);
      if (is_own) terms(a, row)[loss_.part.ways] = static_cast<float>(x[hit]);
      return;
    }
    static_cast<float*>(a.auxiliaries[0])[row] = static_cast<float>(sum);
    static_cast<float*>(a.output)[row] = static_cast<float>(sum - static_cast<double>(x[hit]));
  }

  // Of all of the row's logits. summed: of a part, room for a row's terms.
  float sum_of(const KernelArguments& a, std::int64_t row, std::vector<double>& summed) const {
    if (loss_.part.is_whole()) return static_cast<const float*>(a.auxiliaries[0])[row];
    std::copy_n(terms(a, row), summed.size(), summed.begin());
    return static_cast<float>(loss_of_terms(summed).log_sum_exp);
  }

  void backward(const KernelArguments& a, std::int64_t row, float sum) const {
    const auto* dy = static_cast<const float*>(a.output_gradient);
    const auto scale = dy == nullptr ? static_cast<float>(a.loss_scale) : dy[row];
    Real* dx = static_cast<Real*>(a.input_gradients[0]) + row * loss_.classes;
    const std::int64_t hit = label(a, row), classes = loss_.real_classes();
    const bool is_own = hit >= 0 && hit < classes;
    const float share = is_own ? exponential(logits(a, row)[hit] - sum) : 0;
    scaled_softmax(logits(a, row), sum, scale, classes, dx);
    std::fill(dx + classes, dx + loss_.classes, Real{});
    if (is_own) dx[hit] = static_cast<Real>(scale * share - scale);
  }

  SharedSession session_;
  bool is_forward_;
  std::int64_t rows_;
  CrossEntropy loss_;
  std::int64_t first_;  // class
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_cross_entropy(const SharedSession& session,
                                           const KernelRequest& request, const CrossEntropy& loss) {
  return std::make_unique<Loss<Real>>(session, request, loss);
}

template std::unique_ptr<Kernel> make_cross_entropy<float>(const SharedSession&,
                                                           const KernelRequest&,
                                                           const CrossEntropy&);
template std::unique_ptr<Kernel> make_cross_entropy<BFloat16>(const SharedSession&,
                                                              const KernelRequest&,
                                                              const CrossEntropy&);

}  // namespace rehearse::exec::onednn
