// The mean over an image's positions and its gradient; the formulas stand in reference/pooling.cc.
// Channels lie side by side: the reference, which sums one after another, reads every cache line
// as often as it has channels.
#include <algorithm>

#include "exec/cpu/onednn/kernels.h"
#include "exec/cpu/onednn/vectors.h"

namespace rehearse::exec::onednn {
namespace {

constexpr std::int64_t kColumns = 64;  // channels whose sums are kept at a time

template <class Real>
REHEARSE_VECTORS void mean_of_rows(Real* y, const Real* x, std::int64_t rows, std::int64_t n) {
  const auto count = static_cast<double>(rows);
  for (std::int64_t first = 0; first < n; first += kColumns) {
    const std::int64_t columns = std::min(kColumns, n - first);
    double sums[kColumns] = {};
    for (std::int64_t row = 0; row < rows; ++row) {
      const Real* in = x + row * n + first;
#pragma omp simd
      for (std::int64_t i = 0; i < columns; ++i)
        sums[i] += static_cast<double>(in[i]);
    }
    for (std::int64_t i = 0; i < columns; ++i)
      y[first + i] = static_cast<Real>(sums[i] / count);
  }
}

template <class Real>
REHEARSE_VECTORS void share_among_rows(Real* dx, const Real* dy, std::int64_t rows,
                                       std::int64_t n) {
  const auto count = static_cast<float>(rows);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    dx[i] = static_cast<Real>(dy[i] / count);
  for (std::int64_t row = 1; row < rows; ++row)
    std::copy_n(dx, n, dx + row * n);
}

template <class Real>
class GlobalAverage : public Kernel {
 public:
  GlobalAverage(SharedSession session, const KernelRequest& request)
      : session_(std::move(session)),
        is_forward_(request.kind == KernelKind::forward),
        samples_(request.samples),
        channels_(request.output.elements()),
        positions_(request.inputs[0].elements() / channels_) {}

  void run(const KernelArguments& a) override {
    session_->team.share(samples_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t sample = begin; sample < end; ++sample)
        is_forward_ ? forward(a, sample) : backward(a, sample);
    });
  }

 private:
  void forward(const KernelArguments& a, std::int64_t sample) const {
    mean_of_rows(static_cast<Real*>(a.output) + sample * channels_,
                 static_cast<const Real*>(a.inputs[0]) + sample * positions_ * channels_,
                 positions_, channels_);
  }
  void backward(const KernelArguments& a, std::int64_t sample) const {
    share_among_rows(static_cast<Real*>(a.input_gradients[0]) + sample * positions_ * channels_,
                     static_cast<const Real*>(a.output_gradient) + sample * channels_, positions_,
                     channels_);
  }

  SharedSession session_;
  bool is_forward_;
  std::int64_t samples_, channels_, positions_;
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_global_average(const SharedSession& session,
                                            const KernelRequest& request) {
  return std::make_unique<GlobalAverage<Real>>(session, request);
}

template std::unique_ptr<Kernel> make_global_average<float>(const SharedSession&,
                                                            const KernelRequest&);
template std::unique_ptr<Kernel> make_global_average<BFloat16>(const SharedSession&,
                                                               const KernelRequest&);

}  // namespace rehearse::exec::onednn
