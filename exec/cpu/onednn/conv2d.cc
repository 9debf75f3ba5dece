#include "exec/cpu/onednn/product.h"
#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;
using Layout = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;

template <class Real>
Layout image(const Shape& shape, std::int64_t samples) {
  return {{samples, shape.dims[2], shape.dims[0], shape.dims[1]}, kTypeOf<Real>, Tag::nhwc};
}

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_conv2d(const SharedSession& session, const KernelRequest& request,
                                    const Conv2d& conv) {
  const Layout src = image<Real>(request.inputs[0], request.samples);
  const Layout dst = image<Real>(request.output, request.samples);
  const dnnl::memory::dims extents{conv.out_channels, conv.in_channels, conv.kernel, conv.kernel};
  const Layout weights{extents, kTypeOf<Real>, Tag::any}, dense{extents, kTypeOf<Real>, Tag::ohwi};
  const Layout gradient{extents, kTypeOf<float>, Tag::any};
  const dnnl::memory::dims strides{conv.stride, conv.stride}, padding{conv.padding, conv.padding};
  const Forward::desc forward(dnnl::prop_kind::forward_training, kDirect, src, weights, dst,
                              strides, padding, padding);
  const Forward::primitive_desc hint(forward, attributes(), session->engine);
  switch (request.kind) {
    case KernelKind::forward:
      return make_product(session, Forward(hint), hint, dense, {DNNL_ARG_SRC, DNNL_ARG_DST});
    case KernelKind::backward_input: {
      const BackwardData::primitive_desc backward(
          {kDirect, src, weights, dst, strides, padding, padding}, attributes(), session->engine,
          hint);
      return make_product(session, BackwardData(backward), backward, dense,
                          {DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC});
    }
    case KernelKind::backward_weight: {
      const BackwardWeights::primitive_desc backward(
          {kDirect, src, gradient, dst, strides, padding, padding}, attributes(), session->engine,
          hint);
      return make_weight_gradient(session, BackwardWeights(backward), backward, dense);
    }
    case KernelKind::backward:
    case KernelKind::accumulate:
    case KernelKind::copy:
      break;
  }
  REHEARSE_UNREACHABLE("conv2d has two backward kernels");
}

template std::unique_ptr<Kernel> make_conv2d<float>(const SharedSession&, const KernelRequest&,
                                                    const Conv2d&);
template std::unique_ptr<Kernel> make_conv2d<BFloat16>(const SharedSession&, const KernelRequest&,
                                                       const Conv2d&);

}  // namespace rehearse::exec::onednn
