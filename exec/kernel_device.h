// Where kernels run: the memory that they work on and the queues that they stand in.
//
// What a backend or a device is told to do goes into the queue that was selected last and is done
// in its order, perhaps after the call has returned; calls that return numbers wait for them.
// Queues do not wait for one another: who needs in one queue what another brings waits for its mark
// first, or has the queue wait. On the host everything is done when its call returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/base/units.h"

namespace rehearse::exec {

// A piece of memory, of the device or of the host for copies from and to it.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  virtual std::byte* data() const = 0;
  virtual std::size_t size() const = 0;
  // To so many bytes at least. Contents stay, addresses may change; nobody may be using it. Throws
  // std::runtime_error where the machine does not give them.
  virtual void grow(std::size_t size) = 0;
};

// A place in a queue: behind everything that stood there when it was asked for.
struct Mark {
  std::uint64_t id = 0;
};

// What was queued once and may be queued again, as a whole.
struct Recording {
  std::uint64_t id = 0;
};

class KernelDevice {
 public:
  virtual ~KernelDevice() = default;

  // Whether the host may read and write this memory as its own.
  virtual bool shares_host_memory() const = 0;
  // Of undefined contents.
  virtual std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) = 0;
  // The host's, such that copies from and to the device are fast and leave the host free meanwhile.
  virtual std::unique_ptr<DeviceMemory> allocate_staging(std::size_t bytes) = 0;
  // Whether the address lies in memory of this device that the host cannot touch.
  virtual bool owns(const void* address) const = 0;

  // Queued. One end or both may be the host's, which must stay as it is until the copy is done.
  virtual void copy(void* into, const void* from, std::size_t bytes) = 0;
  virtual void fill(void* into, std::byte value, std::size_t bytes) = 0;

  // Queues are numbered from 0 and there when they are first selected.
  virtual void select(std::size_t queue) = 0;
  virtual Mark mark() = 0;
  // A mark that was passed is forgotten.
  virtual bool is_passed(Mark mark) = 0;
  // What is put into the selected queue from now on is done when the mark was passed: the device
  // sees to that, nobody waits for it here. Of marks that are not forgotten.
  virtual void wait_for(Mark mark) = 0;
  // A mark that keeps when its queue came to it, by the device's own clock: for times_between only.
  virtual Mark timed_mark() = 0;
  // From each of these to the next, where they stand in one queue in this order. Waits for the last
  // and forgets all.
  virtual std::vector<Seconds> times_between(std::span<const Mark> marks) = 0;
  // Until everything in the selected queue is done, and in all of them.
  virtual void finish() = 0;
  virtual void wait() = 0;

  // What the selected queue is told between these is kept, with its addresses and numbers, and not
  // done. Nothing else may be asked of the device meanwhile, nor may that be told which waits, or
  // needs memory of the device's own that it did not need before.
  virtual bool records() const { return false; }
  virtual void begin_recording();
  virtual Recording end_recording();
  // Puts all of it into the selected queue, the one that it was recorded in. False, and nothing is
  // done: memory of the device's own that it works on has moved since, it must be recorded anew.
  virtual bool replay(Recording recording);
  // Everything in the queue may still be done, but nobody replays it again.
  virtual void forget(Recording recording);
};

KernelDevice& host_device();

// A copy that is done when it returns, after everything in the selected queue ...
void copy_in_turn(KernelDevice& device, void* into, const void* from, std::size_t bytes);
// ... and copies after everything in all queues.
void copy_now(KernelDevice& device, void* into, const void* from, std::size_t bytes);
std::vector<std::byte> read(KernelDevice& device, std::span<const std::byte> from);

// A piece of memory on both sides, host and device; one and the same where they share memory.
class Mirror {
 public:
  // Beside a piece that is there already, on either side, and must stay there.
  static Mirror of_device(KernelDevice& device, std::span<std::byte> piece);
  static Mirror of_host(KernelDevice& device, std::span<std::byte> piece);

  std::byte* on_host() const { return host_; }
  std::byte* on_device() const { return at_device_; }
  std::span<std::byte> host_bytes() const { return {host_, size_}; }

  void upload() const;    // queued: host to device
  void download() const;  // device to host, done on return

 private:
  Mirror(KernelDevice& device, std::size_t size) : device_(&device), size_(size) {}

  KernelDevice* device_;
  std::size_t size_;
  std::byte *host_ = nullptr, *at_device_ = nullptr;
  std::unique_ptr<DeviceMemory> own_;  // the side that was not there
};

}  // namespace rehearse::exec
