#include "tests/exec/far_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "model/base/check.h"
#include "model/plan/op_work.h"

namespace rehearse::testing {

using namespace exec;

// A part of the device's pages. What is given back is not used again.
class FarDevice::Region : public DeviceMemory {
 public:
  Region(FarDevice& device, std::size_t size)
      : device_(device), data_(device.take(size)), size_(size) {}
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region() override { device_.give_back(data_, size_); }

  std::byte* data() const override { return data_; }
  std::size_t size() const override { return size_; }
  void grow(std::size_t size) override {
    if (size <= size_) return;
    std::byte* const larger = device_.take(size);
    device_.run_now([&] { std::memcpy(larger, data_, size_); });
    device_.give_back(data_, size_);
    data_ = larger;
    size_ = size;
  }

 private:
  FarDevice& device_;
  std::byte* data_;
  std::size_t size_;
};

namespace {

constexpr std::size_t kPage = 4096, kPages = std::size_t{1} << 32;  // of addresses, not of memory

}  // namespace

FarDevice::FarDevice(std::uint64_t seed) : random_(seed, 0) {
  void* const pages =
      ::mmap(nullptr, kPages, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REHEARSE_CHECK(pages != MAP_FAILED, "no {} bytes of addresses", kPages);
  pages_ = static_cast<std::byte*>(pages);
}

FarDevice::~FarDevice() {
  ::munmap(pages_, kPages);
}

std::byte* FarDevice::take(std::size_t bytes) {
  std::byte* const begin = pages_ + used_;
  used_ += (bytes + kPage) / kPage * kPage;
  REHEARSE_CHECK(used_ <= kPages, "{} bytes are more than this device has", used_);
  // Whatever was there.
  run_now([&] { std::memset(begin, 0xAB, bytes); });
  return begin;
}

void FarDevice::give_back(std::byte* begin, std::size_t bytes) {
  wait();
  ::madvise(begin, (bytes + kPage) / kPage * kPage, MADV_DONTNEED);
}

std::unique_ptr<DeviceMemory> FarDevice::allocate(std::size_t bytes) {
  return std::make_unique<Region>(*this, bytes);
}

std::unique_ptr<DeviceMemory> FarDevice::allocate_staging(std::size_t bytes) {
  return host_device().allocate(bytes);
}

bool FarDevice::owns(const void* address) const {
  return pages_ <= address && address < pages_ + used_;
}

void FarDevice::copy(void* into, const void* from, std::size_t bytes) {
  const double share = owns(into) && owns(from) ? 1 : kShareOfHost;
  const auto task = [=] {
    if (bytes > 0) std::memcpy(into, from, bytes);
  };
  enqueue(task, Bytes::bytes(static_cast<std::int64_t>(bytes)) / (kBandwidth * share));
}

void FarDevice::fill(void* into, std::byte value, std::size_t bytes) {
  const auto task = [=] {
    if (bytes > 0) std::memset(into, std::to_integer<int>(value), bytes);
  };
  enqueue(task, Bytes::bytes(static_cast<std::int64_t>(bytes)) / kBandwidth);
}

void FarDevice::select(std::size_t queue) {
  expect_no_recording();
  if (queue >= queues_.size()) {
    queues_.resize(queue + 1);
    done_.resize(queue + 1);
  }
  selected_ = queue;
}

Mark FarDevice::mark() {
  expect_no_recording();
  marks_[++last_mark_] = {selected_, done_[selected_] + queues_[selected_].size()};
  return {last_mark_};
}

// Time passes while somebody asks: some tasks are done, of any queue.
bool FarDevice::is_passed(Mark mark) {
  expect_no_recording();
  const auto found = marks_.find(mark.id);
  REHEARSE_CHECK(found != marks_.end(), "no mark {}", mark.id);
  const std::uint64_t tasks = random_.below(64);
  const bool is_idle =
      std::all_of(queues_.begin(), queues_.end(), [](const auto& queue) { return queue.empty(); });
  if (tasks >= 32 && !is_idle) {
    touch([&] {
      for (std::uint64_t task = 0; task < tasks; ++task)
        run_front(random_.below(queues_.size()));
    });
  }
  if (done_[found->second.queue] < found->second.done) return false;
  marks_.erase(found);
  return true;
}

void FarDevice::wait_for(Mark mark) {
  expect_no_recording();
  ++waits_;
  queues_[selected_].push_back({[] {}, marks_.at(mark.id)});
}

Mark FarDevice::timed_mark() {
  const std::uint64_t id = ++last_mark_;
  enqueue([this, id] { times_[id] = clock_; }, kTimeOfMark);
  return {id};
}

std::vector<Seconds> FarDevice::times_between(std::span<const Mark> marks) {
  finish();
  std::vector<Seconds> times;
  for (std::size_t m = 1; m < marks.size(); ++m)
    times.push_back(times_.at(marks[m].id) - times_.at(marks[m - 1].id));
  for (const Mark mark : marks)
    times_.erase(mark.id);
  return times;
}

void FarDevice::expect_no_recording() const {
  REHEARSE_CHECK(!recording_, "something else was asked of a device that records");
}

void FarDevice::begin_recording() {
  expect_no_recording();
  recording_.emplace();
}

Recording FarDevice::end_recording() {
  ++recorded_;
  recordings_[recorded_] = {selected_, *std::exchange(recording_, std::nullopt),
                            1 + random_.below(6)};
  return {recorded_};
}

bool FarDevice::replay(Recording recording) {
  expect_no_recording();
  Recorded& it = recordings_.at(recording.id);
  REHEARSE_CHECK(it.queue == selected_, "recorded in queue {}, replayed in {}", it.queue,
                 selected_);
  if (it.replays_left == 0) return false;
  --it.replays_left;
  ++replayed_;
  Tasks& queue = queues_[selected_];
  queue.insert(queue.end(), it.tasks.begin(), it.tasks.end());
  return true;
}

void FarDevice::forget(Recording recording) {
  recordings_.erase(recording.id);
}

void FarDevice::finish() {
  run_now([] {});
}

void FarDevice::wait() {
  const auto has_work = [](const auto& queue) { return !queue.empty(); };
  if (std::none_of(queues_.begin(), queues_.end(), has_work)) return;
  touch([&] {
    while (std::any_of(queues_.begin(), queues_.end(), has_work))
      run_front(random_.below(queues_.size()));
  });
}

void FarDevice::run_now(const std::function<void()>& task) {
  touch([&] {
    while (!queues_[selected_].empty())
      run_front(selected_);
    task();
  });
}

template <class Work>
void FarDevice::touch(Work work) {
  expect_no_recording();
  REHEARSE_CHECK(::mprotect(pages_, used_, PROT_READ | PROT_WRITE) == 0, "unlocking");
  work();
  REHEARSE_CHECK(::mprotect(pages_, used_, PROT_NONE) == 0, "locking");
}

void FarDevice::reach(const std::function<void()>& task) {
  touch(task);
}

// One that waits for another queue has that go on in its place.
void FarDevice::run_front(std::size_t queue) {
  if (queues_[queue].empty()) return;
  const Place after = queues_[queue].front().after;
  if (done_[after.queue] < after.done) return run_front(after.queue);
  queues_[queue].front().run();
  queues_[queue].pop_front();
  ++done_[queue];
}

namespace {

// As model/net/lowering.h counts it.
StepWork work_of(const KernelRequest& request, const ElementSizes& sizes) {
  const auto flat = [&](KernelClass kernel, double flops, std::int64_t tensors) {
    return StepWork{kernel, Flops::flops(flops * static_cast<double>(request.elements)),
                    Bytes::bytes(tensors * request.elements * sizes.activation_bytes)};
  };
  if (request.kind == KernelKind::accumulate) return flat(KernelClass::elementwise, 1, 3);
  if (request.kind == KernelKind::copy) return flat(KernelClass::copy, 0, 2);
  const LayerFacts facts = describe(request.layer, request.inputs);
  Work work = facts.forward;
  if (request.kind == KernelKind::backward) work = facts.backward_input + facts.backward_weight;
  if (request.kind == KernelKind::backward_input) work = facts.backward_input;
  if (request.kind == KernelKind::backward_weight) work = facts.backward_weight;
  const std::int64_t elements = work.elements_per_sample * request.samples + work.elements_per_call;
  return {facts.kernel, work.per_sample * static_cast<double>(request.samples) + work.per_call,
          Bytes::bytes(elements * sizes.activation_bytes)};
}

class FarKernel : public Kernel {
 public:
  FarKernel(FarDevice& device, std::unique_ptr<Kernel> kernel, Seconds takes)
      : device_(device), kernel_(std::move(kernel)), takes_(takes) {}
  void run(const KernelArguments& arguments) override {
    device_.enqueue([this, arguments] { kernel_->run(arguments); }, takes_);
  }

 private:
  FarDevice& device_;
  std::unique_ptr<Kernel> kernel_;
  Seconds takes_;
};

// Of any two steps; what lies between them is not to be relied on.
class FarPair : public KernelPair {
 public:
  FarPair(FarDevice& device, std::unique_ptr<Kernel> first, std::unique_ptr<Kernel> second,
          Seconds take, std::size_t between_bytes)
      : device_(device),
        first_(std::move(first)),
        second_(std::move(second)),
        take_(take),
        between_bytes_(between_bytes) {}
  void run(const KernelArguments& first, const KernelArguments& second) override {
    const auto task = [this, first, second] {
      first_->run(first);
      second_->run(second);
      const auto gradient = [](const KernelArguments& arguments) {
        return arguments.input_gradients.empty() ? nullptr : arguments.input_gradients.front();
      };
      void* const between = gradient(first);
      if (between != nullptr && between != gradient(second))
        std::memset(between, 0xFF, between_bytes_);
    };
    device_.enqueue(task, take_);
  }

 private:
  FarDevice& device_;
  std::unique_ptr<Kernel> first_, second_;
  Seconds take_;
  std::size_t between_bytes_;
};

class FarBackend : public Backend {
  template <class Work>
  void later(Work work, Seconds takes = {}) {
    device_.enqueue([this, work] { work(*near_); }, takes);
  }
  template <class Work>
  auto now(Work work) {
    decltype(work(*near_)) result{};
    device_.run_now([&] { result = work(*near_); });
    return result;
  }

 public:
  FarBackend(DataType type, FarDevice& device, FarTimes times)
      : near_(make_reference_backend(type)), device_(device), times_(std::move(times)) {}

  std::string_view name() const override { return "far"; }
  DataType type() const override { return near_->type(); }
  ElementSizes sizes() const override { return near_->sizes(); }
  KernelDevice& device() override { return device_; }
  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override {
    return std::make_unique<FarKernel>(device_, near_->prepare(request),
                                       times_(work_of(request, sizes())));
  }

  std::unique_ptr<KernelPair> prepare_pair(const KernelRequest& first,
                                           const KernelRequest& second) override {
    const std::int64_t between = first.inputs.front().elements() * first.samples;
    return std::make_unique<FarPair>(
        device_, near_->prepare(first), near_->prepare(second),
        times_(work_of(first, sizes())) + times_(work_of(second, sizes())),
        static_cast<std::size_t>(between * sizes().activation_bytes));
  }

  void add(void* into, const void* from, std::int64_t n) override {
    KernelRequest request{};
    request.kind = KernelKind::accumulate;
    request.elements = n;
    later([=](Backend& near) { near.add(into, from, n); }, times_(work_of(request, sizes())));
  }
  void add_statistics(void* into, const void* from, std::int64_t n) override {
    later([=](Backend& near) { near.add_statistics(into, from, n); });
  }
  void divide(void* values, std::int64_t n, std::int64_t by) override {
    later([=](Backend& near) { near.divide(values, n, by); });
  }
  bool all_finite(const void* values, std::int64_t n) override {
    return now([&](Backend& near) { return near.all_finite(values, n); });
  }
  double sum_of_squares(const void* values, std::int64_t n) override {
    return now([&](Backend& near) { return near.sum_of_squares(values, n); });
  }
  void step(const Update& update, void* parameters, const void* gradients,
            const OptimizerState& state, std::int64_t n) override {
    Training training;
    training.optimizer = update.optimizer;
    training.dtype = type();
    later([=](Backend& near) { near.step(update, parameters, gradients, state, n); },
          times_(optimizer_work(training, n)));
  }
  void outer_gradient(const OuterPiece& piece, void* gradients, std::int64_t n) override {
    later([=](Backend& near) { near.outer_gradient(piece, gradients, n); });
  }
  void outer_step(const std::optional<OuterOptimizer>& outer, const OuterPiece& piece,
                  const void* averages, std::int64_t n) override {
    later([=](Backend& near) { near.outer_step(outer, piece, averages, n); });
  }
  void scale_channels(void* y, const void* x, const std::vector<double>& factors,
                      const std::vector<double>& offsets, std::int64_t rows) override {
    later([=](Backend& near) { near.scale_channels(y, x, factors, offsets, rows); });
  }
  void store(void* into, const std::vector<double>& values) override {
    later([=](Backend& near) { near.store(into, values); });
  }
  std::vector<double> load(const void* from, std::int64_t n) override {
    return now([&](Backend& near) { return near.load(from, n); });
  }
  void store_statistics(void* into, const std::vector<double>& values) override {
    later([=](Backend& near) { near.store_statistics(into, values); });
  }
  std::vector<double> load_statistics(const void* from, std::int64_t n) override {
    return now([&](Backend& near) { return near.load_statistics(from, n); });
  }
  Bytes workspace() const override { return {}; }

 private:
  std::unique_ptr<Backend> near_;
  FarDevice& device_;
  FarTimes times_;
};

}  // namespace

std::unique_ptr<Backend> make_far_backend(DataType type, FarDevice& device, FarTimes times) {
  return std::make_unique<FarBackend>(type, device, std::move(times));
}

}  // namespace rehearse::testing
