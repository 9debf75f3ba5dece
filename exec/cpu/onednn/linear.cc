// y = x W^T + b and its gradients, on the library's matrix product for dense layouts: nothing is
// reordered. Weight gradients are added to in fp32.
#include "exec/cpu/onednn/elementwise.h"
#include "exec/cpu/onednn/kernels.h"
#include "exec/cpu/onednn/matrix.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

template <class Real>
class Product : public Kernel {
 public:
  Product(SharedSession session, const KernelRequest& request, const Linear& linear)
      : session_(std::move(session)),
        kind_(request.kind),
        rows_(request.samples * request.inputs[0].elements() / linear.in_features),
        in_(linear.in_features),
        out_(linear.out_features),
        bias_(linear.bias) {
    const bool is_weight = kind_ == KernelKind::backward_weight;
    reserve_product<Real>(*session_, is_weight ? out_ : rows_,
                          kind_ == KernelKind::forward ? out_ : in_);
  }

  void run(const KernelArguments& a) override {
    session_->team.use();
    switch (kind_) {
      case KernelKind::forward:
        return forward(a);
      case KernelKind::backward_input:
        return shared_product<Real>(*session_, 'N', 'N', rows_, in_, out_,
                                    {reals(a.output_gradient), out_}, {reals(a.parameters[0]), in_},
                                    false, static_cast<Real*>(a.input_gradients[0]));
      case KernelKind::backward_weight:
        return backward_weight(a);
      case KernelKind::backward:
      case KernelKind::accumulate:
      case KernelKind::copy:
        break;
    }
    REHEARSE_UNREACHABLE("linear has two backward kernels");
  }

 private:
  static const Real* reals(const void* data) { return static_cast<const Real*>(data); }

  void forward(const KernelArguments& a) const {
    auto* y = static_cast<Real*>(a.output);
    shared_product<Real>(*session_, 'N', 'T', rows_, out_, in_, {reals(a.inputs[0]), in_},
                         {reals(a.parameters[0]), in_}, false, y);
    if (bias_) add_to_rows(session_->team, y, y, reals(a.parameters[1]), rows_, out_);
  }

  void backward_weight(const KernelArguments& a) const {
    const bool adds = a.adds_to_parameter_gradients;
    const Real* dy = reals(a.output_gradient);
    shared_product<Real>(*session_, 'T', 'N', out_, in_, rows_, {dy, out_},
                         {reals(a.inputs[0]), in_}, adds,
                         static_cast<Real*>(a.parameter_gradients[0]));
    if (!bias_) return;
    sum_rows(session_->team, static_cast<Real*>(a.parameter_gradients[1]), dy, rows_, out_, adds);
  }

  SharedSession session_;
  KernelKind kind_;
  std::int64_t rows_, in_, out_;
  bool bias_;
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_linear(const SharedSession& session, const KernelRequest& request,
                                    const Linear& linear) {
  return std::make_unique<Product<Real>>(session, request, linear);
}

template std::unique_ptr<Kernel> make_linear<float>(const SharedSession&, const KernelRequest&,
                                                    const Linear&);
template std::unique_ptr<Kernel> make_linear<BFloat16>(const SharedSession&, const KernelRequest&,
                                                       const Linear&);

}  // namespace rehearse::exec::onednn
