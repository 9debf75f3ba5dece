#include "exec/kernel_device.h"

#include <sys/mman.h>

#include <cstring>
#include <stdexcept>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/base/units.h"

namespace rehearse::exec {
namespace {

// Pages, which can be added to without a copy.
class Pages : public DeviceMemory {
 public:
  explicit Pages(std::size_t size) { grow(size); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() override {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  std::byte* data() const override { return data_; }
  std::size_t size() const override { return size_; }

  void grow(std::size_t size) override {
    if (size <= size_) return;
    void* const memory = data_ == nullptr ? ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                          : ::mremap(data_, size_, size, MREMAP_MAYMOVE);
    if (memory == MAP_FAILED) {
      throw std::runtime_error(fmt::format("this machine has no memory for tensors of {}",
                                           human(Bytes::bytes(static_cast<std::int64_t>(size)))));
    }
    data_ = static_cast<std::byte*>(memory);
    size_ = size;
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

class Host : public KernelDevice {
 public:
  bool shares_host_memory() const override { return true; }
  std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) override {
    return std::make_unique<Pages>(bytes);
  }
  std::unique_ptr<DeviceMemory> allocate_staging(std::size_t bytes) override {
    return std::make_unique<Pages>(bytes);
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
  void wait() override {}
};

}  // namespace

KernelDevice& host_device() {
  static Host host;
  return host;
}

void copy_now(KernelDevice& device, void* into, const void* from, std::size_t bytes) {
  device.wait();
  device.copy(into, from, bytes);
  device.wait();
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
