// A device as far away as an accelerator is, made of host memory: for tests of whoever runs
// kernels.
//
// Its memory cannot be touched but by what it was told to do; that it does later, when somebody
// asks how far it is, in the order of each queue and in any order among queues. Who looks at its
// memory crashes, who does not wait gets wrong numbers.
//
// Its clock shows what it says its tasks take, whatever the host takes for them and whenever it
// does them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "exec/backend.h"
#include "model/base/random.h"

namespace rehearse::testing {

class FarDevice : public exec::KernelDevice {
 public:
  // seed: of the order among queues, and of how long it all takes.
  explicit FarDevice(std::uint64_t seed);
  ~FarDevice() override;

  bool shares_host_memory() const override { return false; }
  std::unique_ptr<exec::DeviceMemory> allocate(std::size_t bytes) override;
  std::unique_ptr<exec::DeviceMemory> allocate_staging(std::size_t bytes) override;
  bool owns(const void* address) const override;
  void copy(void* into, const void* from, std::size_t bytes) override;
  void fill(void* into, std::byte value, std::size_t bytes) override;
  void select(std::size_t queue) override;
  exec::Mark mark() override;
  bool is_passed(exec::Mark mark) override;
  void wait_for(exec::Mark mark) override;
  void finish() override;
  void wait() override;
  exec::Mark timed_mark() override;
  std::vector<Seconds> times_between(std::span<const exec::Mark> marks) override;
  bool records() const override { return true; }
  void begin_recording() override;
  exec::Recording end_recording() override;
  // After some times, drawn from the seed, what was recorded is no longer good.
  bool replay(exec::Recording recording) override;
  void forget(exec::Recording recording) override;

  std::size_t waits() const { return waits_; }
  std::size_t recorded() const { return recorded_; }
  std::size_t replayed() const { return replayed_; }

  static constexpr Seconds kTimeOfMark = Seconds::microseconds(3);
  // Of copies and fills; to the host and from it at this share of it.
  static constexpr BytesPerSecond kBandwidth = BytesPerSecond::gigabytes_per_second(1);
  static constexpr double kShareOfHost = 0.25;

  // Puts work into the selected queue, and says how long it would take.
  void enqueue(std::function<void()> task, Seconds takes = {}) {
    Tasks& into = recording_ ? *recording_ : queues_[selected_];
    into.push_back({[this, task = std::move(task), takes] {
                      task();
                      clock_ += takes;
                    },
                    {}});
  }
  // Does what the selected queue has, then this.
  void run_now(const std::function<void()>& task);
  // Does this at once, whatever stands in the queues: as another device of the machine would.
  void reach(const std::function<void()>& task);

 private:
  class Region;
  struct Place {
    std::size_t queue = 0;
    std::size_t done = 0;  // tasks of the queue that must be
  };
  struct Task {
    std::function<void()> run;
    Place after;  // which must have been reached
  };
  using Tasks = std::deque<Task>;
  struct Recorded {
    std::size_t queue;
    Tasks tasks;
    std::uint64_t replays_left;
  };
  void expect_no_recording() const;
  std::byte* take(std::size_t bytes);
  void give_back(std::byte* begin, std::size_t bytes);
  template <class Work>
  void touch(Work work);
  void run_front(std::size_t queue);

  std::byte* pages_ = nullptr;
  std::size_t used_ = 0;  // bytes of them
  std::vector<Tasks> queues_ = std::vector<Tasks>(1);
  std::optional<Tasks> recording_;
  std::map<std::uint64_t, Recorded> recordings_;
  std::size_t waits_ = 0, recorded_ = 0, replayed_ = 0;
  std::vector<std::size_t> done_ = std::vector<std::size_t>(1);  // tasks, by queue
  std::map<std::uint64_t, Place> marks_;
  std::uint64_t last_mark_ = 0;
  std::size_t selected_ = 0;
  Seconds clock_;
  std::map<std::uint64_t, Seconds> times_;  // of timed marks that were passed
  Random random_;
};

// What a kernel takes by the device's clock.
using FarTimes = std::function<Seconds(const StepWork&)>;
inline Seconds no_time(const StepWork&) {
  return {};
}
// The reference's kernels on a device that must outlive it.
std::unique_ptr<exec::Backend> make_far_backend(DataType type, FarDevice& device,
                                                FarTimes times = no_time);

}  // namespace rehearse::testing
