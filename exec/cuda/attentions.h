// Attention in one kernel by cuDNN.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "exec/cuda/dnn_plan.h"
#include "exec/cuda/products.h"

namespace rehearse::exec::cuda {

// In bf16, on GPUs whose kernels for it give the same bits every time. The library's choices are
// kept by shape: it is asked, and compiles its kernel, once for each.
class Attentions {
 public:
  // major: of the target's compute capability.
  Attentions(DnnTarget target, int major);
  Attentions(const Attentions&) = delete;
  Attentions& operator=(const Attentions&) = delete;
  ~Attentions();

  // Whether the library has it.
  bool is_possible(const FusedAttention& attention);
  std::size_t workspace_bytes(const FusedAttention& attention);
  void run(const FusedAttention& attention, std::byte* workspace, cudaStream_t stream);

 private:
  class Prepared;
  std::unique_ptr<Prepared> prepare(const FusedAttention& attention) const;
  const Prepared* prepared(const FusedAttention& attention);

  DnnTarget target_;
  int major_;
  std::map<std::vector<std::int64_t>, std::unique_ptr<Prepared>> prepared_;  // null: there is none
};

}  // namespace rehearse::exec::cuda
