#include "exec/cuda/queues.h"

#include <algorithm>
#include <stdexcept>

#include "exec/cuda/check.h"
#include "model/base/check.h"
#include "model/base/text.h"
#include "model/base/units.h"

namespace rehearse::exec::cuda {
namespace {

std::byte* take(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes);
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // or the next launch would be told of it
    throw std::runtime_error(fmt::format("this GPU has no memory for tensors of {}",
                                         human(Bytes::bytes(static_cast<std::int64_t>(bytes)))));
  }
  check(error, "cudaMalloc");
  return static_cast<std::byte*>(memory);
}

// One that nobody waits for now, or a new one.
cudaEvent_t event_of(std::vector<cudaEvent_t>& idle, unsigned flags) {
  cudaEvent_t event = nullptr;
  if (idle.empty()) {
    REHEARSE_CUDA(cudaEventCreateWithFlags(&event, flags));
    return event;
  }
  event = idle.back();
  idle.pop_back();
  return event;
}

// Of its compute capability.
int major_of(int gpu) {
  int major = 0;
  REHEARSE_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu));
  return major;
}

}  // namespace

// ---- queues -------------------------------------------------------------------------------------

CudaQueue::CudaQueue(MatrixProducts& products, Convolutions& convolutions, Attentions& attentions)
    : products_(products), convolutions_(convolutions), attentions_(attentions) {
  REHEARSE_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}

// Errors of a device that is being left are nobody's.
CudaQueue::~CudaQueue() {
  cudaStreamSynchronize(stream_);
  for (const Slot& slot : slots_)
    cudaFree(slot.memory);
  cudaStreamDestroy(stream_);
}

void CudaQueue::copy(void* into, const void* from, std::size_t bytes) {
  if (bytes > 0) REHEARSE_CUDA(cudaMemcpyAsync(into, from, bytes, cudaMemcpyDefault, stream_));
}

void CudaQueue::fill(void* into, std::byte value, std::size_t bytes) {
  if (bytes > 0) REHEARSE_CUDA(cudaMemsetAsync(into, std::to_integer<int>(value), bytes, stream_));
}

std::byte* CudaQueue::scratch(std::size_t bytes, std::size_t slot) {
  if (slot >= slots_.size()) slots_.resize(slot + 1);
  Slot& it = slots_[slot];
  if (bytes > it.size) {
    REHEARSE_CHECK(!is_capturing_, "{} bytes of scratch memory more than when it ran", bytes);
    if (it.memory != nullptr) ++moves_;
    REHEARSE_CUDA(cudaStreamSynchronize(stream_));
    REHEARSE_CUDA(cudaFree(it.memory));
    it = {take(bytes), bytes};
  }
  return it.memory;
}

// Other threads may go on as they like: they have queues of their own.
void CudaQueue::begin_capture() {
  REHEARSE_CUDA(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  is_capturing_ = true;
}

cudaGraphExec_t CudaQueue::end_capture() {
  is_capturing_ = false;
  cudaGraph_t graph = nullptr;
  REHEARSE_CUDA(cudaStreamEndCapture(stream_, &graph));
  cudaGraphExec_t executable = nullptr;
  REHEARSE_CUDA(cudaGraphInstantiate(&executable, graph, 0));
  REHEARSE_CUDA(cudaGraphDestroy(graph));
  return executable;
}

std::size_t CudaQueue::scratch_bytes() const {
  std::size_t sum = 0;
  for (const Slot& slot : slots_)
    sum += slot.size;
  return sum;
}

void CudaQueue::convolve(const Convolution& convolution) {
  const std::size_t bytes = convolutions_.workspace_bytes(convolution);
  convolutions_.run(convolution, scratch(bytes, kConvolutionSlot), bytes, stream_);
}

bool CudaQueue::has_attention(const FusedAttention& attention) {
  return attentions_.is_possible(attention);
}

void CudaQueue::attend(const FusedAttention& attention) {
  const std::size_t bytes = attentions_.workspace_bytes(attention);
  attentions_.run(attention, scratch(bytes, kAttentionSlot), stream_);
}

// ---- memory -------------------------------------------------------------------------------------

class CudaQueues::Memory : public DeviceMemory {
 public:
  Memory(CudaQueues& queues, std::size_t size) : queues_(queues), data_(take(size)), size_(size) {
    queues_.pieces_[data_] = size_;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() override { give_back(); }

  std::byte* data() const override { return data_; }
  std::size_t size() const override { return size_; }
  void grow(std::size_t size) override {
    if (size <= size_) return;
    std::byte* const larger = take(size);
    copy_now(queues_, larger, data_, size_);
    give_back();
    data_ = larger;
    size_ = size;
    queues_.pieces_[data_] = size_;
  }

 private:
  void give_back() {
    queues_.pieces_.erase(data_);
    cudaFree(data_);  // waits for whoever uses it
  }

  CudaQueues& queues_;
  std::byte* data_;
  std::size_t size_;
};

class CudaQueues::PinnedMemory : public DeviceMemory {
 public:
  explicit PinnedMemory(std::size_t size) { take_pinned(size); }
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  ~PinnedMemory() override { cudaFreeHost(data_); }

  std::byte* data() const override { return data_; }
  std::size_t size() const override { return size_; }
  void grow(std::size_t size) override {
    if (size <= size_) return;
    std::byte* const before = data_;
    const std::size_t had = size_;
    take_pinned(size);
    std::copy_n(before, had, data_);
    REHEARSE_CUDA(cudaFreeHost(before));
  }

 private:
  void take_pinned(std::size_t size) {
    void* memory = nullptr;
    REHEARSE_CUDA(cudaMallocHost(&memory, std::max<std::size_t>(size, 1)));
    data_ = static_cast<std::byte*>(memory);
    size_ = size;
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// ---- the device ---------------------------------------------------------------------------------

CudaQueues::ChosenGpu::ChosenGpu(int gpu) {
  REHEARSE_CUDA(cudaSetDevice(gpu));
}

CudaQueues::CudaQueues(int gpu, Fp32Products of_fp32)
    : gpu_(gpu),
      products_(of_fp32),
      convolutions_(of_fp32),
      attentions_(DnnTarget(convolutions_.handle()), major_of(gpu)) {
  select(0);
}

CudaQueues::~CudaQueues() {
  for (const auto& [id, recorded] : recordings_)
    cudaGraphExecDestroy(recorded.graph);
  for (const auto* marks : {&marks_, &timed_marks_}) {
    for (const auto& [id, event] : *marks)
      cudaEventDestroy(event);
  }
  for (const auto* idle : {&idle_events_, &idle_timed_events_}) {
    for (const cudaEvent_t event : *idle)
      cudaEventDestroy(event);
  }
}

std::size_t CudaQueues::scratch_bytes() const {
  std::size_t sum = 0;
  for (const auto& queue : queues_)
    sum += queue->scratch_bytes();
  return sum;
}

std::unique_ptr<DeviceMemory> CudaQueues::allocate(std::size_t bytes) {
  return std::make_unique<Memory>(*this, std::max<std::size_t>(bytes, 1));
}

std::unique_ptr<DeviceMemory> CudaQueues::allocate_staging(std::size_t bytes) {
  return std::make_unique<PinnedMemory>(bytes);
}

bool CudaQueues::owns(const void* address) const {
  const auto* const at = static_cast<const std::byte*>(address);
  const auto next = pieces_.upper_bound(at);
  if (next == pieces_.begin()) return false;
  const auto& [begin, size] = *std::prev(next);
  return at < begin + size;
}

void CudaQueues::copy(void* into, const void* from, std::size_t bytes) {
  current().copy(into, from, bytes);
}

void CudaQueues::fill(void* into, std::byte value, std::size_t bytes) {
  current().fill(into, value, bytes);
}

void CudaQueues::select(std::size_t queue) {
  while (queue >= queues_.size())
    queues_.push_back(std::make_unique<CudaQueue>(products_, convolutions_, attentions_));
  selected_ = queue;
}

Mark CudaQueues::mark() {
  REHEARSE_CHECK(!current().is_capturing(), "a mark in a recording");
  const cudaEvent_t event = event_of(idle_events_, cudaEventDisableTiming);
  REHEARSE_CUDA(cudaEventRecord(event, current().stream()));
  marks_[++last_mark_] = event;
  return {last_mark_};
}

bool CudaQueues::is_passed(Mark mark) {
  const auto found = marks_.find(mark.id);
  REHEARSE_CHECK(found != marks_.end(), "no mark {}", mark.id);
  const cudaError_t state = cudaEventQuery(found->second);
  if (state == cudaErrorNotReady) {
    static_cast<void>(cudaGetLastError());
    return false;
  }
  check(state, "cudaEventQuery");
  idle_events_.push_back(found->second);
  marks_.erase(found);
  return true;
}

// The event may be recorded anew as soon as this has returned.
void CudaQueues::wait_for(Mark mark) {
  REHEARSE_CHECK(!current().is_capturing(), "a wait in a recording");
  REHEARSE_CUDA(cudaStreamWaitEvent(current().stream(), marks_.at(mark.id), 0));
}

Mark CudaQueues::timed_mark() {
  const cudaEvent_t event = event_of(idle_timed_events_, cudaEventDefault);
  REHEARSE_CUDA(cudaEventRecord(event, current().stream()));
  timed_marks_[++last_mark_] = event;
  return {last_mark_};
}

std::vector<Seconds> CudaQueues::times_between(std::span<const Mark> marks) {
  if (marks.empty()) return {};
  REHEARSE_CUDA(cudaEventSynchronize(timed_marks_.at(marks.back().id)));
  std::vector<Seconds> times;
  for (std::size_t m = 1; m < marks.size(); ++m) {
    float milliseconds = 0;
    REHEARSE_CUDA(cudaEventElapsedTime(&milliseconds, timed_marks_.at(marks[m - 1].id),
                                       timed_marks_.at(marks[m].id)));
    times.push_back(Seconds::seconds(static_cast<double>(milliseconds) * 1e-3));
  }
  for (const Mark mark : marks) {
    idle_timed_events_.push_back(timed_marks_.extract(mark.id).mapped());
  }
  return times;
}

void CudaQueues::finish() {
  REHEARSE_CUDA(cudaStreamSynchronize(current().stream()));
}

void CudaQueues::wait() {
  for (const auto& queue : queues_)
    REHEARSE_CUDA(cudaStreamSynchronize(queue->stream()));
}

void CudaQueues::begin_recording() {
  current().begin_capture();
}

Recording CudaQueues::end_recording() {
  recordings_[++last_recording_] = {current().end_capture(), selected_, current().moves()};
  return {last_recording_};
}

bool CudaQueues::replay(Recording recording) {
  const Recorded& it = recordings_.at(recording.id);
  REHEARSE_CHECK(it.queue == selected_, "recorded in queue {}, replayed in {}", it.queue,
                 selected_);
  if (it.moves != current().moves()) return false;
  REHEARSE_CUDA(cudaGraphLaunch(it.graph, current().stream()));
  return true;
}

// One that is under way ends by itself.
void CudaQueues::forget(Recording recording) {
  cudaGraphExecDestroy(recordings_.extract(recording.id).mapped().graph);
}

}  // namespace rehearse::exec::cuda
