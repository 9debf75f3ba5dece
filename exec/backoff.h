// How a rank that finds nothing to do gives its core away.
#pragma once

#include <chrono>

namespace rehearse::exec {

// How long the n-th call in a row sleeps (n from 0): first not at all, the caller only yields,
// since a message that is nearly there should not cost a sleep; then 1 us, doubling up to 128 us,
// since with more ranks than cores whoever spins takes the time of the rank that it waits for.
std::chrono::microseconds nap_after(int calls);

class Backoff {
 public:
  void pause();
  void reset() { calls_ = 0; }

 private:
  int calls_ = 0;
};

}  // namespace rehearse::exec
