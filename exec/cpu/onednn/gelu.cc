// GELU on oneDNN: its sigmoid form is the library's swish, x / (1 + exp(-alpha x)).
#include "exec/cpu/onednn/call.h"
#include "exec/cpu/onednn/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

using Forward = dnnl::eltwise_forward;
using Backward = dnnl::eltwise_backward;

struct Algorithm {
  dnnl::algorithm name;
  float alpha = 0;
};

Algorithm algorithm_of(GeluForm form) {
  switch (form) {
    case GeluForm::tanh:
      return {dnnl::algorithm::eltwise_gelu_tanh};
    case GeluForm::erf:
      return {dnnl::algorithm::eltwise_gelu_erf};
    case GeluForm::sigmoid:
      return {dnnl::algorithm::eltwise_swish, 1.702F};
  }
  REHEARSE_UNREACHABLE("form of GELU");
}

class GeluForward : public Kernel {
 public:
  GeluForward(SharedSession session, const Forward::primitive_desc& description)
      : session_(std::move(session)),
        gelu_(session_->engine, Forward(description), description, {DNNL_ARG_SRC, DNNL_ARG_DST}) {}

  void run(const KernelArguments& arguments) override {
    session_->team.use();
    gelu_.bind(DNNL_ARG_SRC, arguments.inputs[0]);
    gelu_.bind(DNNL_ARG_DST, arguments.output);
    gelu_.run(*session_);
  }

 private:
  SharedSession session_;
  Call gelu_;
};

class GeluBackward : public Kernel {
 public:
  GeluBackward(SharedSession session, const Backward::primitive_desc& description)
      : session_(std::move(session)),
        gelu_(session_->engine, Backward(description), description,
              {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC}) {}

  void run(const KernelArguments& arguments) override {
    session_->team.use();
    gelu_.bind(DNNL_ARG_SRC, arguments.inputs[0]);
    gelu_.bind(DNNL_ARG_DIFF_DST, arguments.output_gradient);
    gelu_.bind(DNNL_ARG_DIFF_SRC, arguments.input_gradients[0]);
    gelu_.run(*session_);
  }

 private:
  SharedSession session_;
  Call gelu_;
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_gelu(const SharedSession& session, const KernelRequest& request,
                                  const Gelu& gelu) {
  const auto [name, alpha] = algorithm_of(gelu.form);
  const dnnl::memory::desc data({request.samples * request.output.elements()}, kTypeOf<Real>,
                                dnnl::memory::format_tag::a);
  const Forward::primitive_desc forward({dnnl::prop_kind::forward_training, name, data, alpha, 0},
                                        session->engine);
  if (request.kind == KernelKind::forward) return std::make_unique<GeluForward>(session, forward);
  const Backward::primitive_desc backward({name, data, data, alpha, 0}, session->engine, forward);
  return std::make_unique<GeluBackward>(session, backward);
}

template std::unique_ptr<Kernel> make_gelu<float>(const SharedSession&, const KernelRequest&,
                                                  const Gelu&);
template std::unique_ptr<Kernel> make_gelu<BFloat16>(const SharedSession&, const KernelRequest&,
                                                     const Gelu&);

}  // namespace rehearse::exec::onednn
