// A GPU as a KernelDevice: a stream to a queue, an event to a mark.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "exec/cuda/attentions.h"
#include "exec/cuda/convolutions.h"
#include "exec/cuda/matrix_products.h"
#include "exec/cuda/products.h"
#include "exec/kernel_device.h"

namespace rehearse::exec::cuda {

// The host's side of a team of threads (team.cuh).
class BlockTeam;

// What ops queue into (ops/op.h). each() and rows() launch kernels: they are defined in launch.cuh,
// for nvcc.
class CudaQueue {
 public:
  using Team = BlockTeam;
  CudaQueue(MatrixProducts& products, Convolutions& convolutions, Attentions& attentions);
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;
  ~CudaQueue();

  template <class F>
  void each(std::int64_t n, F f);
  template <class F>
  void rows(std::int64_t n, F f);

  void copy(void* into, const void* from, std::size_t bytes);
  void fill(void* into, std::byte value, std::size_t bytes);
  // Slots keep their memory; to grow one waits for the queue.
  std::byte* scratch(std::size_t bytes, std::size_t slot = 0);
  std::size_t scratch_bytes() const;
  // Ascending, equal keys in the order of their places.
  void sort(const std::int32_t* keys, std::int32_t* sorted, std::int32_t* places, std::int64_t n);
  void product(const Product& product);
  bool has_product(const Product& product);
  void convolve(const Convolution& convolution);
  bool has_attention(const FusedAttention& attention);
  void attend(const FusedAttention& attention);

  cudaStream_t stream() const { return stream_; }
  // What is put into it between these becomes a graph.
  void begin_capture();
  cudaGraphExec_t end_capture();
  bool is_capturing() const { return is_capturing_; }
  // How often memory that it had handed out was given back.
  std::uint64_t moves() const { return moves_; }

 private:
  // Slots beside those of ops; attention's is that of its op, which takes one or the other.
  static constexpr std::size_t kAttentionSlot = 1, kProductSlot = 2, kConvolutionSlot = 3;
  struct Slot {
    std::byte* memory = nullptr;
    std::size_t size = 0;
  };
  MatrixProducts& products_;
  Convolutions& convolutions_;
  Attentions& attentions_;
  cudaStream_t stream_ = nullptr;
  std::vector<Slot> slots_;
  bool is_capturing_ = false;
  std::uint64_t moves_ = 0;
};

class CudaQueues : public KernelDevice {
 public:
  // On this GPU of the machine, for one thread. Throws where it cannot be used.
  explicit CudaQueues(int gpu, Fp32Products of_fp32 = Fp32Products::exact);
  ~CudaQueues() override;

  CudaQueue& current() { return *queues_[selected_]; }
  // Of all queues and of the libraries' work spaces.
  std::size_t scratch_bytes() const;

  bool shares_host_memory() const override { return false; }
  std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) override;
  std::unique_ptr<DeviceMemory> allocate_staging(std::size_t bytes) override;
  bool owns(const void* address) const override;
  void copy(void* into, const void* from, std::size_t bytes) override;
  void fill(void* into, std::byte value, std::size_t bytes) override;
  void select(std::size_t queue) override;
  Mark mark() override;
  bool is_passed(Mark mark) override;
  void wait_for(Mark mark) override;
  Mark timed_mark() override;
  std::vector<Seconds> times_between(std::span<const Mark> marks) override;
  void finish() override;
  void wait() override;
  bool records() const override { return true; }
  void begin_recording() override;
  Recording end_recording() override;
  bool replay(Recording recording) override;
  void forget(Recording recording) override;

 private:
  class Memory;
  class PinnedMemory;
  // First: the libraries take the device that is set when they begin.
  struct ChosenGpu {
    explicit ChosenGpu(int gpu);
  };

  // A graph, and the queue with its scratch memory as it was.
  struct Recorded {
    cudaGraphExec_t graph;
    std::size_t queue;
    std::uint64_t moves;
  };

  ChosenGpu gpu_;
  MatrixProducts products_;
  Convolutions convolutions_;
  Attentions attentions_;
  std::vector<std::unique_ptr<CudaQueue>> queues_;
  std::size_t selected_ = 0;
  std::map<const std::byte*, std::size_t> pieces_;  // of the device's memory: their sizes
  std::map<std::uint64_t, cudaEvent_t> marks_, timed_marks_;
  std::vector<cudaEvent_t> idle_events_, idle_timed_events_;
  std::uint64_t last_mark_ = 0;
  std::map<std::uint64_t, Recorded> recordings_;
  std::uint64_t last_recording_ = 0;
};

}  // namespace rehearse::exec::cuda
