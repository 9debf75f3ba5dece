#include "exec/backoff.h"

#include <algorithm>
#include <thread>

namespace rehearse::exec {
namespace {

constexpr int kYields = 16;
constexpr int kDoublings = 7;

}  // namespace

std::chrono::microseconds nap_after(int calls) {
  if (calls < kYields) return std::chrono::microseconds::zero();
  return std::chrono::microseconds{1 << std::min(calls - kYields, kDoublings)};
}

void Backoff::pause() {
  const std::chrono::microseconds nap = nap_after(calls_);
  if (calls_ < kYields + kDoublings) ++calls_;
  if (nap == nap.zero()) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(nap);
  }
}

}  // namespace rehearse::exec
