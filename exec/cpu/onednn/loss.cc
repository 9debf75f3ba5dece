// Softmax cross-entropy, row by row; the formulas stand in reference/loss.cc.
#include <algorithm>
#include <cmath>

#include "exec/cpu/onednn/kernels.h"
#include "exec/cpu/onednn/vectors.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

REHEARSE_VECTORS float largest_of(const float* x, std::int64_t n) {
  float largest = x[0];
#pragma omp simd reduction(max : largest)
  for (std::int64_t i = 0; i < n; ++i)
    largest = x[i] > largest ? x[i] : largest;
  return largest;
}

// Sum of exp(x - shift): of short pieces in float, of those in double.
REHEARSE_VECTORS double sum_of_exponentials(const float* x, float shift, std::int64_t n) {
  constexpr std::int64_t kPiece = 512;
  double sum = 0;
  for (std::int64_t first = 0; first < n; first += kPiece) {
    const std::int64_t count = std::min(kPiece, n - first);
    const float* piece = x + first;
    float part = 0;
#pragma omp simd reduction(+ : part)
    for (std::int64_t i = 0; i < count; ++i)
      part += exponential(piece[i] - shift);
    sum += static_cast<double>(part);
  }
  return sum;
}

REHEARSE_VECTORS void scaled_softmax(const float* x, float log_sum_exp, float scale, std::int64_t n,
                                     float* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = scale * exponential(x[i] - log_sum_exp);
}

class Loss : public Kernel {
 public:
  Loss(SharedSession session, const KernelRequest& request, std::int64_t classes)
      : session_(std::move(session)),
        is_forward_(request.kind == KernelKind::forward),
        rows_(request.samples * request.inputs[0].elements() / classes),
        classes_(classes) {}

  void run(const KernelArguments& a) override {
    session_->team.share(rows_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        is_forward_ ? forward(a, row) : backward(a, row);
    });
  }

 private:
  const float* logits(const KernelArguments& a, std::int64_t row) const {
    return static_cast<const float*>(a.inputs[0]) + row * classes_;
  }
  static std::int64_t label(const KernelArguments& a, std::int64_t row) {
    return static_cast<const std::int32_t*>(a.inputs[1])[row];
  }

  void forward(const KernelArguments& a, std::int64_t row) const {
    const float* x = logits(a, row);
    const std::int64_t hit = label(a, row);
    REHEARSE_CHECK(hit >= 0 && hit < classes_, "label {} of {} classes", hit, classes_);
    const float shift = largest_of(x, classes_);
    const double sum = double{shift} + std::log(sum_of_exponentials(x, shift, classes_));
    static_cast<float*>(a.auxiliaries[0])[row] = static_cast<float>(sum);
    static_cast<float*>(a.output)[row] = static_cast<float>(sum - double{x[hit]});
  }

  void backward(const KernelArguments& a, std::int64_t row) const {
    const auto* dy = static_cast<const float*>(a.output_gradient);
    const auto scale = dy == nullptr ? static_cast<float>(a.loss_scale) : dy[row];
    const float sum = static_cast<const float*>(a.auxiliaries[0])[row];
    float* dx = static_cast<float*>(a.input_gradients[0]) + row * classes_;
    scaled_softmax(logits(a, row), sum, scale, classes_, dx);
    dx[label(a, row)] -= scale;
  }

  SharedSession session_;
  bool is_forward_;
  std::int64_t rows_, classes_;
};

}  // namespace

std::unique_ptr<Kernel> make_cross_entropy(const SharedSession& session,
                                           const KernelRequest& request, const CrossEntropy& loss) {
  return std::make_unique<Loss>(session, request, loss.classes);
}

}  // namespace rehearse::exec::onednn
