#include "exec/kernel_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/base/units.h"

namespace rehearse::exec {
namespace {

[[noreturn]] void fail_on(std::size_t size) {
  throw std::runtime_error(fmt::format("this machine has no memory for tensors of {}",
                                       human(Bytes::bytes(static_cast<std::int64_t>(size)))));
}

// Pages of its own, which can be added to without a copy; of little a part of the heap.
class HostMemory : public DeviceMemory {
 public:
  explicit HostMemory(std::size_t size) { grow(std::max<std::size_t>(size, 1)); }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  ~HostMemory() override { give_back(); }

  std::byte* data() const override { return data_; }
  std::size_t size() const override { return size_; }

  void grow(std::size_t size) override {
    if (size <= size_) return;
    if (has_pages()) {
      void* const moved = ::mremap(data_, size_, size, MREMAP_MAYMOVE);
      if (moved == MAP_FAILED) fail_on(size);
      data_ = static_cast<std::byte*>(moved);
    } else {
      std::byte* const larger = size < kLittle ? from_heap(size) : from_pages(size);
      if (data_ != nullptr) std::memcpy(larger, data_, size_);
      give_back();
      data_ = larger;
    }
    size_ = size;
  }

 private:
  static constexpr std::size_t kLittle = std::size_t{256} << 10, kAlignment = 256;

  bool has_pages() const { return size_ >= kLittle; }
  static std::byte* from_heap(std::size_t size) {
    void* const memory =
        std::aligned_alloc(kAlignment, (size + kAlignment - 1) / kAlignment * kAlignment);
    if (memory == nullptr) fail_on(size);
    return static_cast<std::byte*>(memory);
  }
  static std::byte* from_pages(std::size_t size) {
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail_on(size);
    return static_cast<std::byte*>(memory);
  }
  void give_back() {
    if (has_pages()) {
      ::munmap(data_, size_);
    } else {
      std::free(data_);
    }
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

class Host : public KernelDevice {
 public:
  bool shares_host_memory() const override { return true; }
  std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) override {
    return std::make_unique<HostMemory>(bytes);
  }
  std::unique_ptr<DeviceMemory> allocate_staging(std::size_t bytes) override {
    return std::make_unique<HostMemory>(bytes);
  }
  bool owns(const void*) const override { return false; }
  void copy(void* into, const void* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(into, from, bytes);
  }
  void fill(void* into, std::byte value, std::size_t bytes) override {
    if (bytes > 0) std::memset(into, std::to_integer<int>(value), bytes);
  }
  void select(std::size_t) override {}
  Mark mark() override { return {}; }
  bool is_passed(Mark) override { return true; }
  void wait_for(Mark) override {}
  // Its number is the time, in nanoseconds.
  Mark timed_mark() override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return {static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(now).count())};
  }
  std::vector<Seconds> times_between(std::span<const Mark> marks) override {
    std::vector<Seconds> times;
    for (std::size_t m = 1; m < marks.size(); ++m)
      times.push_back(Seconds::seconds(static_cast<double>(marks[m].id - marks[m - 1].id) * 1e-9));
    return times;
  }
  void finish() override {}
  void wait() override {}
};

}  // namespace

void KernelDevice::begin_recording() {
  REHEARSE_UNREACHABLE("a device that records nothing");
}
Recording KernelDevice::end_recording() {
  REHEARSE_UNREACHABLE("a device that records nothing");
}
bool KernelDevice::replay(Recording) {
  REHEARSE_UNREACHABLE("a device that records nothing");
}
void KernelDevice::forget(Recording) {
  REHEARSE_UNREACHABLE("a device that records nothing");
}

KernelDevice& host_device() {
  static Host host;
  return host;
}

void copy_in_turn(KernelDevice& device, void* into, const void* from, std::size_t bytes) {
  device.copy(into, from, bytes);
  device.finish();
}

void copy_now(KernelDevice& device, void* into, const void* from, std::size_t bytes) {
  device.wait();
  copy_in_turn(device, into, from, bytes);
}

std::vector<std::byte> read(KernelDevice& device, std::span<const std::byte> from) {
  if (device.shares_host_memory()) return {from.begin(), from.end()};
  std::vector<std::byte> bytes(from.size());
  copy_now(device, bytes.data(), from.data(), from.size());
  return bytes;
}

Mirror Mirror::of_device(KernelDevice& device, std::span<std::byte> piece) {
  Mirror mirror(device, piece.size());
  mirror.at_device_ = mirror.host_ = piece.data();
  if (device.shares_host_memory()) return mirror;
  mirror.own_ = device.allocate_staging(piece.size());
  mirror.host_ = mirror.own_->data();
  return mirror;
}

Mirror Mirror::of_host(KernelDevice& device, std::span<std::byte> piece) {
  Mirror mirror(device, piece.size());
  mirror.at_device_ = mirror.host_ = piece.data();
  if (device.shares_host_memory()) return mirror;
  mirror.own_ = device.allocate(piece.size());
  mirror.at_device_ = mirror.own_->data();
  return mirror;
}

void Mirror::upload() const {
  if (own_) device_->copy(at_device_, host_, size_);
}

void Mirror::download() const {
  if (own_) copy_now(*device_, host_, at_device_, size_);
}

}  // namespace rehearse::exec
