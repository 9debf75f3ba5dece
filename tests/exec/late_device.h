// A device whose memory is all there is, and whose queue runs behind: for transports that are held
// to the contract of all transports, whose messages lie in the memory of the host.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "exec/kernel_device.h"
#include "model/base/check.h"
#include "model/base/random.h"

namespace rehearse::testing {

class LateDevice : public exec::KernelDevice {
 public:
  // seed: of how long it all takes.
  explicit LateDevice(std::uint64_t seed) : random_(seed, 2) {}

  bool shares_host_memory() const override { return false; }
  std::unique_ptr<exec::DeviceMemory> allocate(std::size_t bytes) override {
    return exec::host_device().allocate(bytes);
  }
  std::unique_ptr<exec::DeviceMemory> allocate_staging(std::size_t bytes) override {
    return exec::host_device().allocate_staging(bytes);
  }
  bool owns(const void* address) const override { return address != nullptr; }
  void copy(void* into, const void* from, std::size_t bytes) override {
    queue_.push_back([=] { exec::host_device().copy(into, from, bytes); });
  }
  void fill(void* into, std::byte value, std::size_t bytes) override {
    queue_.push_back([=] { exec::host_device().fill(into, value, bytes); });
  }
  void select(std::size_t) override {}
  // Something to do before it, be it nothing.
  exec::Mark mark() override {
    queue_.push_back([] {});
    return {done_ + queue_.size()};
  }
  // Time passes while somebody asks.
  bool is_passed(exec::Mark mark) override {
    if (random_.below(2) == 0) run_front();
    return mark.id <= done_;
  }
  // There is one queue.
  void wait_for(exec::Mark) override {}
  // No transport asks how long something took.
  exec::Mark timed_mark() override { REHEARSE_UNREACHABLE("timed mark"); }
  std::vector<Seconds> times_between(std::span<const exec::Mark>) override {
    REHEARSE_UNREACHABLE("timed mark");
  }
  void finish() override {
    while (!queue_.empty())
      run_front();
  }
  void wait() override { finish(); }

 private:
  void run_front() {
    if (queue_.empty()) return;
    queue_.front()();
    queue_.pop_front();
    ++done_;
  }

  Random random_;
  std::deque<std::function<void()>> queue_;
  std::uint64_t done_ = 0;
};

}  // namespace rehearse::testing
