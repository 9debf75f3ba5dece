// The oneDNN backend: what is worth it from the library, what is bound by memory or exponentials as
// loops over vectors, shared among the rank's threads; the rest from the reference.
#include <optional>

#include "exec/cpu/onednn/elementwise.h"
#include "exec/cpu/onednn/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

using onednn::SharedSession;

// Chooses by the kind of layer; null where the reference serves.
template <class Real>
struct Chooser {
  const SharedSession& session;
  const KernelRequest& request;

  std::unique_ptr<Kernel> operator()(const Conv2d& conv) const {
    return onednn::make_conv2d<Real>(session, request, conv);
  }
  std::unique_ptr<Kernel> operator()(const Linear& linear) const {
    return onednn::make_linear<Real>(session, request, linear);
  }
  std::unique_ptr<Kernel> operator()(const BatchNorm& norm) const {
    // The library's backward pass always writes the input's gradient.
    const bool serves = request.kind == KernelKind::forward || request.wants_input_gradient[0];
    return serves ? onednn::make_batch_norm<Real>(session, request, norm) : nullptr;
  }
  std::unique_ptr<Kernel> operator()(const Gelu& gelu) const {
    return onednn::make_gelu<Real>(session, request, gelu);
  }
  std::unique_ptr<Kernel> operator()(const LayerNorm& norm) const {
    return onednn::make_row_norm<Real>(session, request, norm.width, true);
  }
  std::unique_ptr<Kernel> operator()(const RmsNorm& norm) const {
    return onednn::make_row_norm<Real>(session, request, norm.width, false);
  }
  std::unique_ptr<Kernel> operator()(const Attention& attention) const {
    return onednn::make_attention<Real>(session, request, attention);
  }
  std::unique_ptr<Kernel> operator()(const CrossEntropy& loss) const {
    return onednn::make_cross_entropy<Real>(session, request, loss);
  }
  std::unique_ptr<Kernel> operator()(const PositionEmbedding& embedding) const {
    return onednn::make_position_embedding<Real>(session, request, embedding);
  }
  std::unique_ptr<Kernel> operator()(const Relu&) const {
    return onednn::make_relu<Real>(session, request);
  }
  std::unique_ptr<Kernel> operator()(const SwiGlu&) const {
    return onednn::make_swiglu<Real>(session, request);
  }
  std::unique_ptr<Kernel> operator()(const Add& add) const {
    return onednn::make_add<Real>(session, request, add);
  }
  std::unique_ptr<Kernel> operator()(const Sum& sum) const {
    return onednn::make_sum<Real>(session, request, sum);
  }
  std::unique_ptr<Kernel> operator()(const Bias& bias) const {
    return onednn::make_bias<Real>(session, request, bias);
  }
  std::unique_ptr<Kernel> operator()(const GlobalAveragePool&) const {
    return onednn::make_global_average<Real>(session, request);
  }
  std::unique_ptr<Kernel> operator()(const Dropout& dropout) const {
    return onednn::make_dropout<Real>(session, request, dropout);
  }
  template <class Other>
  std::unique_ptr<Kernel> operator()(const Other&) const {
    return nullptr;
  }
};

template <class Real>
class OnednnBackend : public Backend {
 public:
  OnednnBackend(const BackendOptions& options, DataType type)
      : session_(std::make_shared<onednn::Session>(options)),
        reference_(make_reference_backend(type)) {}

  std::string_view name() const override { return "onednn"; }
  DataType type() const override { return reference_->type(); }
  ElementSizes sizes() const override { return reference_->sizes(); }

  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override {
    session_->team.use();
    auto kernel = prepare_fast(request);
    return kernel ? std::move(kernel) : reference_->prepare(request);
  }

  void add(void* into, const void* from, std::int64_t n) override {
    onednn::add(session_->team, reals(into), reals(from), n);
  }
  void add_statistics(void* into, const void* from, std::int64_t n) override {
    reference_->add_statistics(into, from, n);
  }
  void divide(void* values, std::int64_t n, std::int64_t by) override {
    onednn::divide(session_->team, reals(values), n, static_cast<float>(by));
  }
  bool all_finite(const void* values, std::int64_t n) override {
    return reference_->all_finite(values, n);
  }
  double sum_of_squares(const void* values, std::int64_t n) override {
    return onednn::sum_of_squares(session_->team, reals(values), n);
  }
  void step(const Update& update, void* parameters, const void* gradients,
            const OptimizerState& state, std::int64_t n) override {
    onednn::step(session_->team, update, reals(parameters), reals(gradients), state, n);
  }
  void outer_gradient(const OuterPiece& piece, void* gradients, std::int64_t n) override {
    onednn::outer_gradient(session_->team, piece, reals(gradients), n);
  }
  void outer_step(const std::optional<OuterOptimizer>& outer, const OuterPiece& piece,
                  const void* averages, std::int64_t n) override {
    onednn::outer_step(session_->team, outer, piece, reals(averages), n);
  }
  void scale_channels(void* y, const void* x, const std::vector<double>& factors,
                      const std::vector<double>& offsets, std::int64_t rows) override {
    reference_->scale_channels(y, x, factors, offsets, rows);
  }
  void store(void* into, const std::vector<double>& values) override {
    reference_->store(into, values);
  }
  std::vector<double> load(const void* from, std::int64_t n) override {
    return reference_->load(from, n);
  }
  void store_statistics(void* into, const std::vector<double>& values) override {
    reference_->store_statistics(into, values);
  }
  std::vector<double> load_statistics(const void* from, std::int64_t n) override {
    return reference_->load_statistics(from, n);
  }

  Bytes workspace() const override { return session_->workspace.size(); }

 private:
  static Real* reals(void* data) { return static_cast<Real*>(data); }
  static const Real* reals(const void* data) { return static_cast<const Real*>(data); }

  // The one place where the library's exceptions end.
  std::unique_ptr<Kernel> prepare_fast(const KernelRequest& request) const {
    if (request.kind == KernelKind::accumulate)
      return onednn::make_accumulate<Real>(session_, request);
    if (request.kind == KernelKind::copy) return onednn::make_copy<Real>(session_, request);
    try {
      return std::visit(Chooser<Real>{session_, request}, request.layer);
    } catch (const dnnl::error& error) {
      REHEARSE_CHECK(error.status == dnnl_unimplemented, "oneDNN on {} of {}: {}",
                     to_string(request.kind), kind_name(request.layer), error.what());
      return nullptr;
    }
  }

  SharedSession session_;
  std::unique_ptr<Backend> reference_;
};

// Where it has no instructions for it the library has few kernels, and slow ones.
bool multiplies_bf16() {
  const auto has = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (has & needed) == needed;
}

}  // namespace

const std::vector<DataType>& onednn_types() {
  static const std::vector<DataType> types =
      multiplies_bf16() ? std::vector{DataType::bf16, DataType::fp32} : std::vector{DataType::fp32};
  return types;
}

std::unique_ptr<Backend> make_onednn_backend(const BackendOptions& options, DataType type) {
  if (type == DataType::bf16) return std::make_unique<OnednnBackend<BFloat16>>(options, type);
  REHEARSE_CHECK(type == DataType::fp32, "oneDNN has fp32 and bf16, not {}", to_string(type));
  return std::make_unique<OnednnBackend<float>>(options, type);
}

}  // namespace rehearse::exec
