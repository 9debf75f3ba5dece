// The kernels that oneDNN serves. Each throws dnnl::error where the library has no implementation.
#pragma once

#include <memory>

#include "exec/backend.h"
#include "exec/cpu/onednn/session.h"

namespace rehearse::exec::onednn {

using SharedSession = std::shared_ptr<Session>;

std::unique_ptr<Kernel> make_conv2d(const SharedSession& session, const KernelRequest& request,
                                    const Conv2d& conv);
std::unique_ptr<Kernel> make_linear(const SharedSession& session, const KernelRequest& request,
                                    const Linear& linear);
std::unique_ptr<Kernel> make_batch_norm(const SharedSession& session, const KernelRequest& request,
                                        const BatchNorm& norm);
std::unique_ptr<Kernel> make_gelu(const SharedSession& session, const KernelRequest& request);

}  // namespace rehearse::exec::onednn
