// Learned positions: a sum of tensors, sample by sample.
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
        samples_(request.samples),
        elements_(request.output.elements()),
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
    for (std::int64_t n = 0; n < samples_; ++n) {
      add(session_->team, static_cast<Real*>(a.output) + n * elements_,
          static_cast<const Real*>(a.inputs[0]) + n * elements_,
          static_cast<const Real*>(a.parameters[0]), elements_);
    }
  }

  void pass_on(const KernelArguments& a) const {
    if (a.input_gradients[0] == a.output_gradient) return;
    copy(session_->team, static_cast<Real*>(a.input_gradients[0]),
         static_cast<const Real*>(a.output_gradient), samples_ * elements_);
  }

  // Positions beyond the sequence have a gradient of zero.
  void backward_weight(const KernelArguments& a) const {
    auto* gradient = static_cast<Real*>(a.parameter_gradients[0]);
    sum_rows(session_->team, gradient, static_cast<const Real*>(a.output_gradient), samples_,
             elements_, a.adds_to_parameter_gradients);
    if (!a.adds_to_parameter_gradients)
      fill_zero(session_->team, gradient + elements_, all_ - elements_);
  }

  SharedSession session_;
  KernelKind kind_;
  std::int64_t samples_, elements_, all_;
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
