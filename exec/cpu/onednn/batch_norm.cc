// Batch norm on oneDNN, whose statistics are ours: mean and biased variance of the micro-batch.
#include "exec/cpu/onednn/call.h"
#include "exec/cpu/onednn/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

using Forward = dnnl::batch_normalization_forward;
using Backward = dnnl::batch_normalization_backward;
const auto kFlags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
constexpr float kEpsilon = 1e-5F;

class BatchNormForward : public Kernel {
 public:
  BatchNormForward(SharedSession session, const Forward::primitive_desc& description)
      : session_(std::move(session)),
        norm_(session_->engine, Forward(description), description,
              {DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_SCALE, DNNL_ARG_SHIFT, DNNL_ARG_MEAN,
               DNNL_ARG_VARIANCE, DNNL_ARG_SCRATCHPAD}) {
    session_->workspace.reserve(description.scratchpad_desc().get_size());
  }

  void run(const KernelArguments& arguments) override {
    session_->team.use();
    norm_.bind(DNNL_ARG_SRC, arguments.inputs[0]);
    norm_.bind(DNNL_ARG_DST, arguments.output);
    norm_.bind(DNNL_ARG_SCALE, arguments.parameters[0]);
    norm_.bind(DNNL_ARG_SHIFT, arguments.parameters[1]);
    norm_.bind(DNNL_ARG_MEAN, arguments.auxiliaries[0]);
    norm_.bind(DNNL_ARG_VARIANCE, arguments.auxiliaries[1]);
    norm_.bind(DNNL_ARG_SCRATCHPAD, session_->workspace.data());
    norm_.run(*session_);
  }

 private:
  SharedSession session_;
  Call norm_;
};

class BatchNormBackward : public Kernel {
 public:
  BatchNormBackward(SharedSession session, const Backward::primitive_desc& description,
                    std::int64_t channels)
      : session_(std::move(session)),
        channels_(channels),
        norm_(session_->engine, Backward(description), description,
              {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC, DNNL_ARG_SCALE, DNNL_ARG_SHIFT,
               DNNL_ARG_MEAN, DNNL_ARG_VARIANCE, DNNL_ARG_DIFF_SCALE, DNNL_ARG_DIFF_SHIFT,
               DNNL_ARG_SCRATCHPAD}) {
    WorkspaceLayout layout;
    layout.add(description.scratchpad_desc().get_size());
    scale_ = layout.add(static_cast<std::size_t>(channels) * sizeof(float));
    shift_ = layout.add(static_cast<std::size_t>(channels) * sizeof(float));
    session_->workspace.reserve(layout.size());
  }

  void run(const KernelArguments& arguments) override {
    session_->team.use();
    const bool adds = arguments.adds_to_parameter_gradients;
    std::byte* work = session_->workspace.data();
    const auto& gradients = arguments.parameter_gradients;
    norm_.bind(DNNL_ARG_SRC, arguments.inputs[0]);
    norm_.bind(DNNL_ARG_DIFF_DST, arguments.output_gradient);
    norm_.bind(DNNL_ARG_DIFF_SRC, arguments.input_gradients[0]);
    norm_.bind(DNNL_ARG_SCALE, arguments.parameters[0]);
    norm_.bind(DNNL_ARG_SHIFT, arguments.parameters[1]);
    norm_.bind(DNNL_ARG_MEAN, arguments.auxiliaries[0]);
    norm_.bind(DNNL_ARG_VARIANCE, arguments.auxiliaries[1]);
    norm_.bind(DNNL_ARG_DIFF_SCALE, adds ? work + scale_ : gradients[0]);
    norm_.bind(DNNL_ARG_DIFF_SHIFT, adds ? work + shift_ : gradients[1]);
    norm_.bind(DNNL_ARG_SCRATCHPAD, work);
    norm_.run(*session_);
    if (!adds) return;
    add(work + scale_, gradients[0]);
    add(work + shift_, gradients[1]);
  }

 private:
  void add(const std::byte* from, void* into) const {
    const auto* term = reinterpret_cast<const float*>(from);
    auto* sum = static_cast<float*>(into);
    for (std::int64_t i = 0; i < channels_; ++i)
      sum[i] += term[i];
  }

  SharedSession session_;
  std::int64_t channels_;
  Call norm_;
  std::size_t scale_ = 0, shift_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_batch_norm(const SharedSession& session, const KernelRequest& request,
                                        const BatchNorm& norm) {
  const std::int64_t positions = request.inputs[0].elements() / norm.channels;
  const dnnl::memory::desc data({request.samples, norm.channels, positions, 1},
                                dnnl::memory::data_type::f32, dnnl::memory::format_tag::nhwc);
  const Forward::primitive_desc forward({dnnl::prop_kind::forward_training, data, kEpsilon, kFlags},
                                        attributes(), session->engine);
  if (request.kind == KernelKind::forward) {
    return std::make_unique<BatchNormForward>(session, forward);
  }
  REHEARSE_CHECK(request.kind == KernelKind::backward, "batch_norm has no {}",
                 to_string(request.kind));
  const Backward::primitive_desc backward({dnnl::prop_kind::backward, data, data, kEpsilon, kFlags},
                                          attributes(), session->engine, forward);
  return std::make_unique<BatchNormBackward>(session, backward, norm.channels);
}

}  // namespace rehearse::exec::onednn
