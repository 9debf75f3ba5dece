// Batch norm on oneDNN, whose statistics are ours: mean and biased variance of the micro-batch.
#include <type_traits>

#include "exec/cpu/onednn/call.h"
#include "exec/cpu/onednn/elementwise.h"
#include "exec/cpu/onednn/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

using Forward = dnnl::batch_normalization_forward;
using Backward = dnnl::batch_normalization_backward;
const auto kFlags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
constexpr float kEpsilon = 1e-5F;

// Scale or shift as the library takes it: itself, or as floats in the work space.
template <class Real>
const void* as_floats(const void* parameter, std::int64_t channels, std::byte* room) {
  if constexpr (std::is_same_v<Real, float>) {
    return parameter;
  } else {
    convert_rows(reinterpret_cast<float*>(room), channels, static_cast<const Real*>(parameter),
                 channels, 1, channels);
    return room;
  }
}

// The work space of both passes: the library's, and floats for two parameters or their gradients.
struct Rooms {
  Rooms(const dnnl::primitive_desc_base& description, std::int64_t channels) {
    const auto bytes = static_cast<std::size_t>(channels) * sizeof(float);
    layout.add(description.scratchpad_desc().get_size());
    for (std::size_t* room : {&scale, &shift, &d_scale, &d_shift})
      *room = layout.add(bytes);
  }
  WorkspaceLayout layout;
  std::size_t scale = 0, shift = 0, d_scale = 0, d_shift = 0;
};

template <class Real>
class BatchNormForward : public Kernel {
 public:
  BatchNormForward(SharedSession session, const Forward::primitive_desc& description,
                   std::int64_t channels)
      : session_(std::move(session)),
        channels_(channels),
        rooms_(description, channels),
        norm_(session_->engine, Forward(description), description,
              {DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_SCALE, DNNL_ARG_SHIFT, DNNL_ARG_MEAN,
               DNNL_ARG_VARIANCE, DNNL_ARG_SCRATCHPAD}) {
    session_->workspace.reserve(rooms_.layout.size());
  }

  void run(const KernelArguments& arguments) override {
    session_->team.use();
    std::byte* work = session_->workspace.data();
    const auto& parameters = arguments.parameters;
    norm_.bind(DNNL_ARG_SRC, arguments.inputs[0]);
    norm_.bind(DNNL_ARG_DST, arguments.output);
    norm_.bind(DNNL_ARG_SCALE, as_floats<Real>(parameters[0], channels_, work + rooms_.scale));
    norm_.bind(DNNL_ARG_SHIFT, as_floats<Real>(parameters[1], channels_, work + rooms_.shift));
    norm_.bind(DNNL_ARG_MEAN, arguments.auxiliaries[0]);
    norm_.bind(DNNL_ARG_VARIANCE, arguments.auxiliaries[1]);
    norm_.bind(DNNL_ARG_SCRATCHPAD, work);
    norm_.run(*session_);
  }

 private:
  SharedSession session_;
  std::int64_t channels_;
  Rooms rooms_;
  Call norm_;
};

template <class Real>
class BatchNormBackward : public Kernel {
 public:
  BatchNormBackward(SharedSession session, const Backward::primitive_desc& description,
                    std::int64_t channels)
      : session_(std::move(session)),
        channels_(channels),
        rooms_(description, channels),
        norm_(session_->engine, Backward(description), description,
              {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC, DNNL_ARG_SCALE, DNNL_ARG_SHIFT,
               DNNL_ARG_MEAN, DNNL_ARG_VARIANCE, DNNL_ARG_DIFF_SCALE, DNNL_ARG_DIFF_SHIFT,
               DNNL_ARG_SCRATCHPAD}) {
    session_->workspace.reserve(rooms_.layout.size());
  }

  void run(const KernelArguments& arguments) override {
    session_->team.use();
    const bool adds = arguments.adds_to_parameter_gradients;
    const bool trains = arguments.parameter_gradients[0] != nullptr;
    const bool apart = adds || !trains || !std::is_same_v<Real, float>;
    std::byte* work = session_->workspace.data();
    const auto& parameters = arguments.parameters;
    const auto& gradients = arguments.parameter_gradients;
    norm_.bind(DNNL_ARG_SRC, arguments.inputs[0]);
    norm_.bind(DNNL_ARG_DIFF_DST, arguments.output_gradient);
    norm_.bind(DNNL_ARG_DIFF_SRC, arguments.input_gradients[0]);
    norm_.bind(DNNL_ARG_SCALE, as_floats<Real>(parameters[0], channels_, work + rooms_.scale));
    norm_.bind(DNNL_ARG_SHIFT, as_floats<Real>(parameters[1], channels_, work + rooms_.shift));
    norm_.bind(DNNL_ARG_MEAN, arguments.auxiliaries[0]);
    norm_.bind(DNNL_ARG_VARIANCE, arguments.auxiliaries[1]);
    norm_.bind(DNNL_ARG_DIFF_SCALE, apart ? work + rooms_.d_scale : gradients[0]);
    norm_.bind(DNNL_ARG_DIFF_SHIFT, apart ? work + rooms_.d_shift : gradients[1]);
    norm_.bind(DNNL_ARG_SCRATCHPAD, work);
    norm_.run(*session_);
    if (!apart || !trains) return;
    give(work + rooms_.d_scale, gradients[0], adds);
    give(work + rooms_.d_shift, gradients[1], adds);
  }

 private:
  void give(const std::byte* from, void* into, bool adds) const {
    const auto* term = reinterpret_cast<const float*>(from);
    auto* sum = static_cast<Real*>(into);
    for (std::int64_t i = 0; i < channels_; ++i)
      sum[i] = static_cast<Real>((adds ? float{sum[i]} : 0.0F) + term[i]);
  }

  SharedSession session_;
  std::int64_t channels_;
  Rooms rooms_;
  Call norm_;
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_batch_norm(const SharedSession& session, const KernelRequest& request,
                                        const BatchNorm& norm) {
  const std::int64_t positions = request.inputs[0].elements() / norm.channels;
  const dnnl::memory::desc data({request.samples, norm.channels, positions, 1}, kTypeOf<Real>,
                                dnnl::memory::format_tag::nhwc);
  const Forward::primitive_desc forward({dnnl::prop_kind::forward_training, data, kEpsilon, kFlags},
                                        attributes(), session->engine);
  if (request.kind == KernelKind::forward) {
    return std::make_unique<BatchNormForward<Real>>(session, forward, norm.channels);
  }
  REHEARSE_CHECK(request.kind == KernelKind::backward, "batch_norm has no {}",
                 to_string(request.kind));
  const Backward::primitive_desc backward({dnnl::prop_kind::backward, data, data, kEpsilon, kFlags},
                                          attributes(), session->engine, forward);
  return std::make_unique<BatchNormBackward<Real>>(session, backward, norm.channels);
}

template std::unique_ptr<Kernel> make_batch_norm<float>(const SharedSession&, const KernelRequest&,
                                                        const BatchNorm&);
template std::unique_ptr<Kernel> make_batch_norm<BFloat16>(const SharedSession&,
                                                           const KernelRequest&, const BatchNorm&);

}  // namespace rehearse::exec::onednn
