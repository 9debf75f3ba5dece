// Queues that run the device's kernels on the host: teams are threads that wait for one another, or
// one thread; products and convolutions are plain loops.
#pragma once

#include <barrier>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "exec/cuda/products.h"
#include "exec/kernel_device.h"
#include "model/base/bfloat16.h"
#include "model/base/check.h"

namespace rehearse::exec::cuda {

class HostTeam {
 public:
  // What its threads share.
  struct Shared {
    explicit Shared(int size) : barrier(size), numbers(static_cast<std::size_t>(size)) {}
    std::barrier<> barrier;
    std::vector<double> numbers;
  };
  HostTeam(int rank, Shared& shared) : rank_(rank), shared_(&shared) {}

  std::int64_t rank() const { return rank_; }
  std::int64_t size() const { return std::ssize(shared_->numbers); }
  template <class Number>
  Number sum(Number own) {
    return together(own, [](double a, double b) { return a + b; });
  }
  template <class Number>
  Number max(Number own) {
    return together(own, [](double a, double b) { return a > b ? a : b; });
  }
  // A thread that has returned is waited for no more.
  void leave() { shared_->barrier.arrive_and_drop(); }

 private:
  template <class Number, class Combine>
  Number together(Number own, Combine combine) {
    shared_->numbers[static_cast<std::size_t>(rank_)] = static_cast<double>(own);
    shared_->barrier.arrive_and_wait();
    double all = shared_->numbers.front();
    for (std::size_t k = 1; k < shared_->numbers.size(); ++k)
      all = combine(all, shared_->numbers[k]);
    shared_->barrier.arrive_and_wait();
    return static_cast<Number>(all);
  }

  int rank_;
  Shared* shared_;
};

class HostQueue {
 public:
  using Team = HostTeam;
  explicit HostQueue(int team, bool fuses = false) : team_(team), fuses_(fuses) {}

  // Backwards: no order is promised.
  template <class F>
  void each(std::int64_t n, F f) {
    run([=] {
      for (std::int64_t i = n - 1; i >= 0; --i)
        f(i);
    });
  }
  template <class F>
  void rows(std::int64_t n, F f) {
    run([=, this] { run_rows(n, f); });
  }

  void copy(void* into, const void* from, std::size_t bytes) {
    run([=] {
      if (bytes > 0) std::memmove(into, from, bytes);
    });
  }
  void fill(void* into, std::byte value, std::size_t bytes) {
    run([=] {
      if (bytes > 0) std::memset(into, std::to_integer<int>(value), bytes);
    });
  }

  // What was there before is gone.
  std::byte* scratch(std::size_t bytes, std::size_t slot = 0) {
    if (slot >= scratch_.size()) scratch_.resize(slot + 1);
    std::vector<std::byte>& it = scratch_[slot];
    if (bytes > it.size()) {
      REHEARSE_CHECK(!recording_, "{} bytes of scratch memory more than when it ran", bytes);
      it = std::vector<std::byte>(bytes);
      ++moves_;
    }
    run([memory = it.data(), size = it.size()] { std::memset(memory, 0xFF, size); });
    return it.data();
  }
  std::size_t scratch_bytes() const {
    return std::accumulate(scratch_.begin(), scratch_.end(), std::size_t{0},
                           [](std::size_t sum, const auto& slot) { return sum + slot.size(); });
  }

  void sort(const std::int32_t* keys, std::int32_t* sorted, std::int32_t* places, std::int64_t n);
  void product(const Product& product);
  bool has_product(const Product&) const { return true; }
  void convolve(const Convolution& convolution);
  bool has_attention(const FusedAttention&) const { return fuses_; }
  void attend(const FusedAttention& attention);

  using Tasks = std::vector<std::function<void()>>;
  void begin_recording() { recording_.emplace(); }
  Tasks end_recording() { return *std::exchange(recording_, std::nullopt); }
  // How often scratch memory has moved.
  std::uint64_t moves() const { return moves_; }

 private:
  template <class Task>
  void run(Task task) {
    if (!recording_) return task();
    recording_->push_back(task);
  }
  template <class F>
  void run_rows(std::int64_t n, F f) {
    std::vector<std::unique_ptr<HostTeam::Shared>> shared;
    for (std::int64_t row = 0; row < n; ++row)
      shared.push_back(std::make_unique<HostTeam::Shared>(team_));
    std::vector<std::jthread> threads;  // joined before what they share is gone
    for (int rank = 0; rank < team_; ++rank) {
      threads.emplace_back([&, rank] {
        for (std::int64_t row = 0; row < n; ++row) {
          HostTeam team(rank, *shared[static_cast<std::size_t>(row)]);
          f(row, team);
          team.leave();
        }
      });
    }
  }

  int team_;
  bool fuses_;  // attention
  std::vector<std::vector<std::byte>> scratch_;
  std::optional<Tasks> recording_;
  std::uint64_t moves_ = 0;
};

class HostQueues : public KernelDevice {
 public:
  explicit HostQueues(int team, bool fuses = false) : queue_(team, fuses) {}
  HostQueue& current() { return queue_; }
  std::size_t scratch_bytes() const { return queue_.scratch_bytes(); }

  bool shares_host_memory() const override { return true; }
  std::unique_ptr<DeviceMemory> allocate(std::size_t bytes) override {
    return host_device().allocate(bytes);
  }
  std::unique_ptr<DeviceMemory> allocate_staging(std::size_t bytes) override {
    return host_device().allocate_staging(bytes);
  }
  bool owns(const void*) const override { return false; }
  void copy(void* into, const void* from, std::size_t bytes) override {
    queue_.copy(into, from, bytes);
  }
  void fill(void* into, std::byte value, std::size_t bytes) override {
    queue_.fill(into, value, bytes);
  }
  void select(std::size_t) override {}
  Mark mark() override { return {}; }
  bool is_passed(Mark) override { return true; }
  void wait_for(Mark) override {}
  Mark timed_mark() override { return host_device().timed_mark(); }
  std::vector<Seconds> times_between(std::span<const Mark> marks) override {
    return host_device().times_between(marks);
  }
  void finish() override {}
  void wait() override {}
  bool records() const override { return true; }
  void begin_recording() override { queue_.begin_recording(); }
  Recording end_recording() override {
    recordings_.emplace_back(queue_.end_recording(), queue_.moves());
    return {recordings_.size() - 1};
  }
  bool replay(Recording recording) override {
    const auto& [tasks, moves] = recordings_.at(recording.id);
    if (moves != queue_.moves()) return false;
    for (const auto& task : tasks)
      task();
    return true;
  }
  void forget(Recording) override {}

 private:
  HostQueue queue_;
  std::vector<std::pair<HostQueue::Tasks, std::uint64_t>> recordings_;
};

}  // namespace rehearse::exec::cuda
