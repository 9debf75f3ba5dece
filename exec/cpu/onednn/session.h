// What all kernels of one oneDNN backend share: threads, an engine, a stream and one work
// space.
#pragma once

#include <cstddef>
#include <memory>

#include <dnnl.hpp>

#include "exec/backend.h"
#include "exec/cpu/onednn/team.h"
#include "model/base/units.h"

namespace rehearse::exec::onednn {

// One buffer for everything a kernel needs only while it runs: the library's scratchpad, weights in
// the library's layout, gradients before they are added. Kernels run one at a time, so they share
// it.
class Workspace {
 public:
  // Makes it at least this large; what is inside is lost.
  void reserve(std::size_t bytes);
  std::byte* data() const { return data_.get(); }
  Bytes size() const { return Bytes::bytes(static_cast<std::int64_t>(size_)); }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

struct Session {
  // How the library cuts its work depends on its threads, and how it cuts depends what the sums
  // are: for exact reductions it gets one, and matrix products are cut by us.
  explicit Session(const BackendOptions& options)
      : is_exact(options.reduction == Reduction::exact),
        team(options.threads, is_exact ? 1 : options.threads) {}

  const bool is_exact;
  Team team;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  Workspace workspace;
};

}  // namespace rehearse::exec::onednn
