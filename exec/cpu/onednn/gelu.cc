// GELU on oneDNN, in the same tanh form as the reference's.
#include "exec/cpu/onednn/call.h"
#include "exec/cpu/onednn/kernels.h"

namespace rehearse::exec::onednn {
namespace {

using Forward = dnnl::eltwise_forward;
using Backward = dnnl::eltwise_backward;
constexpr auto kTanh = dnnl::algorithm::eltwise_gelu_tanh;

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
std::unique_ptr<Kernel> make_gelu(const SharedSession& session, const KernelRequest& request) {
  const dnnl::memory::desc data({request.samples * request.output.elements()}, kTypeOf<Real>,
                                dnnl::memory::format_tag::a);
  const Forward::primitive_desc forward({dnnl::prop_kind::forward_training, kTanh, data, 0, 0},
                                        session->engine);
  if (request.kind == KernelKind::forward) return std::make_unique<GeluForward>(session, forward);
  const Backward::primitive_desc backward({kTanh, data, data, 0, 0}, session->engine, forward);
  return std::make_unique<GeluBackward>(session, backward);
}

template std::unique_ptr<Kernel> make_gelu<float>(const SharedSession&, const KernelRequest&);
template std::unique_ptr<Kernel> make_gelu<BFloat16>(const SharedSession&, const KernelRequest&);

}  // namespace rehearse::exec::onednn
