#include "exec/cpu/onednn/product.h"

#include <vector>

namespace rehearse::exec::onednn {
namespace {

Call reorder(const Session& session, const dnnl::memory::desc& from, const dnnl::memory::desc& to,
             bool adds) {
  dnnl::primitive_attr attr = attributes();
  if (adds) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attr.set_post_ops(sum);
  }
  const dnnl::reorder::primitive_desc description(session.engine, from, session.engine, to, attr);
  return {session.engine, dnnl::reorder(description), description, {DNNL_ARG_FROM, DNNL_ARG_TO}};
}

class Product : public Kernel {
 public:
  Product(SharedSession session, const dnnl::primitive& primitive,
          const dnnl::primitive_desc_base& description, const dnnl::memory::desc& dense_weights,
          ProductOperands operands)
      : session_(std::move(session)),
        operands_(operands),
        product_(session_->engine, primitive, description, arguments(operands)) {
    const auto weights = description.query_md(dnnl::query::exec_arg_md, DNNL_ARG_WEIGHTS);
    WorkspaceLayout layout;
    layout.add(description.scratchpad_desc().get_size());
    if (weights != dense_weights) {
      reorder_ = reorder(*session_, dense_weights, weights, false);
      weights_ = layout.add(weights.get_size());
    }
    session_->workspace.reserve(layout.size());
  }

  void run(const KernelArguments& arguments) override {
    session_->team.use();
    const bool forward = operands_.from == DNNL_ARG_SRC;
    std::byte* work = session_->workspace.data();
    product_.bind(DNNL_ARG_SCRATCHPAD, work);
    product_.bind(DNNL_ARG_WEIGHTS, weights(arguments.parameters[0], work));
    product_.bind(operands_.from, forward ? arguments.inputs[0] : arguments.output_gradient);
    product_.bind(operands_.to, forward ? arguments.output : arguments.input_gradients[0]);
    product_.run(*session_);
  }

 private:
  static std::vector<int> arguments(ProductOperands operands) {
    return {operands.from, DNNL_ARG_WEIGHTS, operands.to, DNNL_ARG_SCRATCHPAD};
  }

  const void* weights(const void* dense, std::byte* work) {
    if (!reorder_) return dense;
    reorder_->bind(DNNL_ARG_FROM, dense);
    reorder_->bind(DNNL_ARG_TO, work + weights_);
    reorder_->run(*session_);
    return work + weights_;
  }

  SharedSession session_;
  ProductOperands operands_;
  Call product_;
  std::optional<Call> reorder_;
  std::size_t weights_ = 0;
};

class WeightGradient : public Kernel {
 public:
  WeightGradient(SharedSession session, const dnnl::primitive& primitive,
                 const dnnl::primitive_desc_base& description,
                 const dnnl::memory::desc& dense_weights)
      : session_(std::move(session)),
        product_(session_->engine, primitive, description,
                 {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_SCRATCHPAD}) {
    const auto gradient = description.query_md(dnnl::query::exec_arg_md, DNNL_ARG_DIFF_WEIGHTS);
    add_ = reorder(*session_, gradient, dense_weights, true);
    if (gradient != dense_weights) overwrite_ = reorder(*session_, gradient, dense_weights, false);
    WorkspaceLayout layout;
    layout.add(description.scratchpad_desc().get_size());
    gradient_ = layout.add(gradient.get_size());
    session_->workspace.reserve(layout.size());
  }

  void run(const KernelArguments& arguments) override {
    session_->team.use();
    const bool adds = arguments.adds_to_parameter_gradients;
    std::byte* work = session_->workspace.data();
    void* dense = arguments.parameter_gradients[0];
    std::optional<Call>& into_dense = adds ? add_ : overwrite_;
    void* gradient = into_dense ? work + gradient_ : dense;
    product_.bind(DNNL_ARG_SCRATCHPAD, work);
    product_.bind(DNNL_ARG_SRC, arguments.inputs[0]);
    product_.bind(DNNL_ARG_DIFF_DST, arguments.output_gradient);
    product_.bind(DNNL_ARG_DIFF_WEIGHTS, gradient);
    product_.run(*session_);
    if (into_dense) {
      into_dense->bind(DNNL_ARG_FROM, gradient);
      into_dense->bind(DNNL_ARG_TO, dense);
      into_dense->run(*session_);
    }
  }

 private:
  SharedSession session_;
  Call product_;
  std::optional<Call> add_, overwrite_;  // from the work space into our layout
  std::size_t gradient_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_product(const SharedSession& session, const dnnl::primitive& primitive,
                                     const dnnl::primitive_desc_base& description,
                                     const dnnl::memory::desc& dense_weights,
                                     ProductOperands operands) {
  return std::make_unique<Product>(session, primitive, description, dense_weights, operands);
}

std::unique_ptr<Kernel> make_weight_gradient(const SharedSession& session,
                                             const dnnl::primitive& primitive,
                                             const dnnl::primitive_desc_base& description,
                                             const dnnl::memory::desc& dense_weights) {
  return std::make_unique<WeightGradient>(session, primitive, description, dense_weights);
}

}  // namespace rehearse::exec::onednn
