// Convolutions by cuDNN.
#pragma once

#include <cudnn.h>

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "exec/cuda/products.h"

namespace rehearse::exec::cuda {

// The library's choices are kept by shape, the fastest that give the same bits every time. Sums are
// fp32.
class Convolutions {
 public:
  explicit Convolutions(Fp32Products of_fp32);
  Convolutions(const Convolutions&) = delete;
  Convolutions& operator=(const Convolutions&) = delete;
  ~Convolutions();

  std::size_t workspace_bytes(const Convolution& convolution);
  void run(const Convolution& convolution, void* workspace, std::size_t bytes, cudaStream_t stream);

  cudnnHandle_t handle() const { return handle_; }

 private:
  class Prepared;
  Prepared& prepared(const Convolution& convolution);

  cudnnHandle_t handle_ = nullptr;
  Fp32Products of_fp32_;
  std::map<std::vector<std::int64_t>, std::unique_ptr<Prepared>> prepared_;
};

}  // namespace rehearse::exec::cuda
