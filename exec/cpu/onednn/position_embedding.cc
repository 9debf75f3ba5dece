// Learned positions: a sum of tensors, sample by sample. Of a part, whose rows are some of all
// samples' rows, the first and the last sample may have some of the positions only.
#include <algorithm>
#include <array>

#include "exec/cpu/onednn/elementwise.h"
#include "exec/cpu/onednn/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

template <class Real>
class Positions : public Kernel {
 public:
  Positions(SharedSession session, const KernelRequest& request, const PositionEmbedding& embedding)
      : session_(std::move(session)),
        kind_(request.kind),
        elements_(request.samples * request.output.elements()),
        period_(embedding.part.ways * request.output.elements()),
        first_(embedding.part.number * elements_ % period_),
        all_(embedding.length * embedding.width) {}

  void run(const KernelArguments& a) override {
    switch (kind_) {
      case KernelKind::forward:
        return forward(a);
      case KernelKind::backward_input:
        return pass_on(a);
      case KernelKind::backward_weight:
        return backward_weight(a);
      case KernelKind::backward:
      case KernelKind::accumulate:
      case KernelKind::copy:
        break;
    }
    REHEARSE_UNREACHABLE("positions have two backward kernels");
  }

 private:
  void forward(const KernelArguments& a) const {
    const auto* positions = static_cast<const Real*>(a.parameters[0]);
    for (std::int64_t i = 0; i < elements_;) {
      const std::int64_t at = (first_ + i) % period_;
      const std::int64_t count = std::min(period_ - at, elements_ - i);
      add(session_->team, static_cast<Real*>(a.output) + i,
          static_cast<const Real*>(a.inputs[0]) + i, positions + at, count);
      i += count;
    }
  }

  void pass_on(const KernelArguments& a) const {
    if (a.input_gradients[0] == a.output_gradient) return;
    copy(session_->team, static_cast<Real*>(a.input_gradients[0]),
         static_cast<const Real*>(a.output_gradient), elements_);
  }

  // Between where the rows begin and where they end as many samples have each position. Positions
  // beyond the sequence, and those that no row has, have a gradient of zero.
  void backward_weight(const KernelArguments& a) const {
    auto* gradient = static_cast<Real*>(a.parameter_gradients[0]);
    const auto* dy = static_cast<const Real*>(a.output_gradient);
    const std::int64_t end = (first_ + elements_) % period_;
    const std::array<std::int64_t, 4> bounds = {0, std::min(first_, end), std::max(first_, end),
                                                period_};
    for (std::size_t b = 0; b + 1 < bounds.size(); ++b) {
      const std::int64_t at = bounds[b], count = bounds[b + 1] - at;
      if (count == 0) continue;
      const std::int64_t i = (at - first_ + period_) % period_;
      const std::int64_t samples = i < elements_ ? (elements_ - i - 1) / period_ + 1 : 0;
      sum_rows_apart(session_->team, gradient + at, dy + i, samples, count, period_,
                     a.adds_to_parameter_gradients);
    }
    if (!a.adds_to_parameter_gradients)
      fill_zero(session_->team, gradient + period_, all_ - period_);
  }

  SharedSession session_;
  KernelKind kind_;
  std::int64_t elements_, period_, first_, all_;
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_position_embedding(const SharedSession& session,
                                                const KernelRequest& request,
                                                const PositionEmbedding& embedding) {
  return std::make_unique<Positions<Real>>(session, request, embedding);
}

template std::unique_ptr<Kernel> make_position_embedding<float>(const SharedSession&,
                                                                const KernelRequest&,
                                                                const PositionEmbedding&);
template std::unique_ptr<Kernel> make_position_embedding<BFloat16>(const SharedSession&,
                                                                   const KernelRequest&,
                                                                   const PositionEmbedding&);

}  // namespace rehearse::exec::onednn
