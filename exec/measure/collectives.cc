#include <algorithm>

#include "exec/measure/memory.h"
#include "exec/measure/phases.h"
#include "exec/measure/timing.h"
#include "model/collective/steps.h"

namespace rehearse::exec {
namespace {

constexpr std::int64_t kTag = 1;
constexpr Bytes kSizes[] = {Bytes::kib(4), Bytes::kib(32), Bytes::kib(256), Bytes::mib(1),
                            Bytes::mib(4)};

// As of messages: all ranks must know the number.
std::int64_t rounds_of(Bytes size) {
  return std::clamp<std::int64_t>(Bytes::mib(16).bytes() / size.bytes(), 12, 60);
}

// Both are asked in turn: either may need it to go on.
void wait_for_both(Transport& transport, Request in, Request out) {
  bool is_in = false, is_out = false;
  transport.reset_idle();
  for (;;) {
    is_in = is_in || transport.test(in);
    is_out = is_out || transport.test(out);
    if (is_in && is_out) return;
    transport.idle();
  }
}

// One rank's share of all-reduces of n elements.
class AllReduce {
 public:
  AllReduce(Transport& transport, Backend& backend, std::int64_t n)
      : transport_(transport),
        backend_(backend),
        element_(backend.sizes().activation_bytes),
        own_(backend.device(), Bytes::bytes(n * element_)),
        arrived_(backend.device(), Bytes::bytes(n * element_)) {
    CollectiveShape shape;
    shape.members = transport.size();
    steps_ = steps_of(shape, transport.rank().index(), n);
  }

  void run() {
    for (const CollectiveStep& step : steps_) {
      Slab& into = step.reduce ? arrived_ : own_;
      const Request in = transport_.receive(RankId(step.from), kTag, part(into, step.receive));
      const Request out = transport_.send(RankId(step.to), kTag, part(own_, step.send));
      wait_for_both(transport_, in, out);
      if (!step.reduce) continue;
      backend_.add(part(own_, step.receive).data(), part(arrived_, step.receive).data(),
                   step.receive.size());
    }
  }

 private:
  std::span<std::byte> part(const Slab& slab, ElementRange range) const {
    return slab.bytes().subspan(static_cast<std::size_t>(range.begin * element_),
                                static_cast<std::size_t>(range.size() * element_));
  }

  Transport& transport_;
  Backend& backend_;
  std::int64_t element_;
  Slab own_, arrived_;
  std::vector<CollectiveStep> steps_;
};

}  // namespace

std::vector<CollectiveSample> measure_collectives(Transport& transport, Backend& backend) {
  std::vector<CollectiveSample> samples;
  if (transport.size() == 1) return samples;
  const std::int64_t element = backend.sizes().activation_bytes;
  for (const Bytes size : kSizes) {
    AllReduce all_reduce(transport, backend, size.bytes() / element);
    all_reduce.run();  // warms up
    transport.barrier();
    // One after another, as nobody starts one before the last one of all has ended here; ranks
    // that leave the barrier late are waited for in the first.
    std::vector<Seconds> times;
    for (std::int64_t r = 0; r < rounds_of(size); ++r) {
      const Stopwatch watch;
      all_reduce.run();
      times.push_back(watch.elapsed());
    }
    if (transport.rank().index() != 0) continue;
    samples.push_back({static_cast<std::int64_t>(transport.size()), size, element,
                       quiet_median(times), some_of(times)});
  }
  transport.barrier();
  return samples;
}

}  // namespace rehearse::exec
