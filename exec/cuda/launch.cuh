// Kernels that run the functors of ops: a thread to an element, a block to a row.
#pragma once

#include <cub/block/block_reduce.cuh>

#include "exec/cuda/check.h"
#include "exec/cuda/queues.h"

namespace rehearse::exec::cuda {

inline constexpr int kBlock = 256;  // threads

// The threads of a block, which work on one row.
class BlockTeam {
 public:
  __device__ std::int64_t rank() const { return threadIdx.x; }
  __device__ std::int64_t size() const { return kBlock; }

  // All threads get the sum, or the largest, whatever it is of.
  template <class Number>
  __device__ Number sum(Number own) {
    return together(own, [](Number a, Number b) { return a + b; });
  }
  template <class Number>
  __device__ Number max(Number own) {
    return together(own, [](Number a, Number b) { return a > b ? a : b; });
  }

 private:
  // In a fixed order, so that every run has the same bits.
  template <class Number, class Combine>
  __device__ Number together(Number own, Combine combine) {
    using Reduce = cub::BlockReduce<Number, kBlock>;
    __shared__ typename Reduce::TempStorage storage;
    __shared__ Number all;
    const Number result = Reduce(storage).Reduce(own, combine);
    if (threadIdx.x == 0) all = result;
    __syncthreads();
    const Number shared = all;
    __syncthreads();
    return shared;
  }
};

template <class F>
__global__ void run_each(std::int64_t n, F f) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += step)
    f(i);
}

template <class F>
__global__ void run_rows(std::int64_t n, F f) {
  for (std::int64_t row = blockIdx.x; row < n; row += gridDim.x) {
    BlockTeam team;
    f(row, team);
    __syncthreads();
  }
}

// Blocks that a launch has at most: what is left is done in turns.
inline constexpr std::int64_t kMostBlocks = 1 << 20;

inline unsigned blocks_for(std::int64_t n) {
  return static_cast<unsigned>(n < kMostBlocks ? n : kMostBlocks);
}

template <class F>
void CudaQueue::each(std::int64_t n, F f) {
  if (n == 0) return;
  run_each<<<blocks_for((n + kBlock - 1) / kBlock), kBlock, 0, stream_>>>(n, f);
  check(cudaGetLastError(), "a kernel's launch");
}

template <class F>
void CudaQueue::rows(std::int64_t n, F f) {
  if (n == 0) return;
  run_rows<<<blocks_for(n), kBlock, 0, stream_>>>(n, f);
  check(cudaGetLastError(), "a kernel's launch");
}

}  // namespace rehearse::exec::cuda
