// The oneDNN backend: products, batch norm and GELU from the library, the rest from the reference,
// whose memory-bound loops are as fast (bench/kernels_bench.cc).
#include <optional>

#include "exec/cpu/onednn/kernels.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

using onednn::SharedSession;

// Chooses by the kind of layer; null where the reference serves.
struct Chooser {
  const SharedSession& session;
  const KernelRequest& request;

  std::unique_ptr<Kernel> operator()(const Conv2d& conv) const {
    return onednn::make_conv2d(session, request, conv);
  }
  std::unique_ptr<Kernel> operator()(const Linear& linear) const {
    return onednn::make_linear(session, request, linear);
  }
  std::unique_ptr<Kernel> operator()(const BatchNorm& norm) const {
    // The library's backward pass always writes the input's gradient.
    const bool serves = request.kind == KernelKind::forward || request.wants_input_gradient[0];
    return serves ? onednn::make_batch_norm(session, request, norm) : nullptr;
  }
  std::unique_ptr<Kernel> operator()(const Gelu&) const {
    return onednn::make_gelu(session, request);
  }
  template <class Other>
  std::unique_ptr<Kernel> operator()(const Other&) const {
    return nullptr;
  }
};

class OnednnBackend : public Backend {
 public:
  std::string_view name() const override { return "onednn"; }
  ElementSizes sizes() const override { return reference_->sizes(); }

  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override {
    onednn::use_one_thread();
    auto kernel = prepare_in_library(request);
    return kernel ? std::move(kernel) : reference_->prepare(request);
  }

  void add(void* into, const void* from, std::int64_t n) override {
    reference_->add(into, from, n);
  }
  void divide(void* values, std::int64_t n, std::int64_t by) override {
    reference_->divide(values, n, by);
  }
  void fill_zero(void* values, std::int64_t n) override { reference_->fill_zero(values, n); }
  bool all_finite(const void* values, std::int64_t n) override {
    return reference_->all_finite(values, n);
  }
  void step(const Update& update, void* parameters, const void* gradients, const Moments& moments,
            std::int64_t n) override {
    reference_->step(update, parameters, gradients, moments, n);
  }
  void store(void* into, const std::vector<double>& values) override {
    reference_->store(into, values);
  }
  std::vector<double> load(const void* from, std::int64_t n) override {
    return reference_->load(from, n);
  }

  Bytes workspace() const override { return session_->workspace.size(); }

 private:
  // The one place where the library's exceptions end.
  std::unique_ptr<Kernel> prepare_in_library(const KernelRequest& request) const {
    if (request.kind == KernelKind::accumulate || request.kind == KernelKind::copy) return nullptr;
    try {
      return std::visit(Chooser{session_, request}, request.layer);
    } catch (const dnnl::error& error) {
      REHEARSE_CHECK(error.status == dnnl_unimplemented, "oneDNN on {} of {}: {}",
                     to_string(request.kind), kind_name(request.layer), error.what());
      return nullptr;
    }
  }

  SharedSession session_ = std::make_shared<onednn::Session>();
  std::unique_ptr<Backend> reference_ = make_reference_backend(DataType::fp32);
};

}  // namespace

std::unique_ptr<Backend> make_onednn_backend() {
  onednn::use_one_thread();
  return std::make_unique<OnednnBackend>();
}

}  // namespace rehearse::exec
