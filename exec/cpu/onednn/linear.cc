#include "exec/cpu/onednn/product.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

using Forward = dnnl::inner_product_forward;
using BackwardData = dnnl::inner_product_backward_data;
using BackwardWeights = dnnl::inner_product_backward_weights;
using Layout = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
constexpr auto kFloat = dnnl::memory::data_type::f32;

}  // namespace

std::unique_ptr<Kernel> make_linear(const SharedSession& session, const KernelRequest& request,
                                    const Linear& linear) {
  const std::int64_t rows = request.samples * request.inputs[0].elements() / linear.in_features;
  const dnnl::memory::dims extents{linear.out_features, linear.in_features};
  const Layout src{{rows, linear.in_features}, kFloat, Tag::ab};
  const Layout dst{{rows, linear.out_features}, kFloat, Tag::ab};
  const Layout weights{extents, kFloat, Tag::any}, dense{extents, kFloat, Tag::ab};
  // A layout of no dimensions says that there is no bias.
  const Layout bias = linear.bias ? Layout{{linear.out_features}, kFloat, Tag::a} : Layout{};
  const Forward::primitive_desc hint({dnnl::prop_kind::forward_training, src, weights, bias, dst},
                                     attributes(), session->engine);
  switch (request.kind) {
    case KernelKind::forward:
      return make_product(session, Forward(hint), hint, dense,
                          {DNNL_ARG_SRC, DNNL_ARG_DST, linear.bias});
    case KernelKind::backward_input: {
      const BackwardData::primitive_desc backward({src, weights, dst}, attributes(),
                                                  session->engine, hint);
      return make_product(session, BackwardData(backward), backward, dense,
                          {DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC, false});
    }
    case KernelKind::backward_weight: {
      const BackwardWeights::primitive_desc backward({src, weights, bias, dst}, attributes(),
                                                     session->engine, hint);
      return make_weight_gradient(session, BackwardWeights(backward), backward, dense,
                                  linear.bias ? linear.out_features : 0);
    }
    case KernelKind::backward:
    case KernelKind::accumulate:
    case KernelKind::copy:
      break;
  }
  REHEARSE_UNREACHABLE("linear has two backward kernels");
}

}  // namespace rehearse::exec::onednn
