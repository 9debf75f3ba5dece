// The kernels of the oneDNN backend: convolutions, batch norm and GELU are the library's, and throw
// dnnl::error where it has no implementation; linear layers and attention are made of its matrix
// product, the rest are loops of our own. Null: the reference serves. Real: float or BFloat16.
#pragma once

#include <memory>

#include "exec/backend.h"
#include "exec/cpu/onednn/session.h"
#include "model/base/bfloat16.h"

namespace rehearse::exec::onednn {

using SharedSession = std::shared_ptr<Session>;

template <class Real>
std::unique_ptr<Kernel> make_conv2d(const SharedSession& session, const KernelRequest& request,
                                    const Conv2d& conv);
template <class Real>
std::unique_ptr<Kernel> make_linear(const SharedSession& session, const KernelRequest& request,
                                    const Linear& linear);
template <class Real>
std::unique_ptr<Kernel> make_batch_norm(const SharedSession& session, const KernelRequest& request,
                                        const BatchNorm& norm);
template <class Real>
std::unique_ptr<Kernel> make_gelu(const SharedSession& session, const KernelRequest& request,
                                  const Gelu& gelu);
// centred: layer norm, with a mean and a shift; or RMS norm.
template <class Real>
std::unique_ptr<Kernel> make_row_norm(const SharedSession& session, const KernelRequest& request,
                                      std::int64_t width, bool centred);
template <class Real>
std::unique_ptr<Kernel> make_attention(const SharedSession& session, const KernelRequest& request,
                                       const Attention& attention);
template <class Real>
std::unique_ptr<Kernel> make_cross_entropy(const SharedSession& session,
                                           const KernelRequest& request, const CrossEntropy& loss);
template <class Real>
std::unique_ptr<Kernel> make_position_embedding(const SharedSession& session,
                                                const KernelRequest& request,
                                                const PositionEmbedding& embedding);
template <class Real>
std::unique_ptr<Kernel> make_relu(const SharedSession& session, const KernelRequest& request);
template <class Real>
std::unique_ptr<Kernel> make_swiglu(const SharedSession& session, const KernelRequest& request);
template <class Real>
std::unique_ptr<Kernel> make_add(const SharedSession& session, const KernelRequest& request,
                                 const Add& layer);
template <class Real>
std::unique_ptr<Kernel> make_sum(const SharedSession& session, const KernelRequest& request,
                                 const Sum& layer);
template <class Real>
std::unique_ptr<Kernel> make_bias(const SharedSession& session, const KernelRequest& request,
                                  const Bias& layer);
template <class Real>
std::unique_ptr<Kernel> make_global_average(const SharedSession& session,
                                            const KernelRequest& request);
template <class Real>
std::unique_ptr<Kernel> make_dropout(const SharedSession& session, const KernelRequest& request,
                                     const Dropout& layer);
template <class Real>
std::unique_ptr<Kernel> make_accumulate(const SharedSession& session, const KernelRequest& request);
template <class Real>
std::unique_ptr<Kernel> make_copy(const SharedSession& session, const KernelRequest& request);

}  // namespace rehearse::exec::onednn
