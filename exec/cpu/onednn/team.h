// The threads of one rank, shared with the library: loops over independent parts.
//
// They are those of the OpenMP runtime that libdnnl is linked with, whose threads wait actively for
// a while after each of the library's loops: threads of our own would have to compete with them.
// The runtime's interface is used as it is, since the compiler's own runtime may be another one's.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rehearse::exec::onednn {

class Team {
 public:
  // library: threads that the library may take.
  Team(int threads, int library) : threads_(threads), library_(library) {}

  int threads() const { return threads_; }
  // Before every call of the library from this thread: how many threads it may take.
  void use() const;

  // work(begin, end) on shares of [0, n), each but the last a multiple of `grain`. Which thread has
  // which part must not matter to the result.
  template <class Work>
  void share(std::int64_t n, std::int64_t grain, const Work& work) const {
    const std::int64_t grains = (n + grain - 1) / grain;
    const std::int64_t shares = std::min<std::int64_t>(threads_, grains);
    if (shares <= 1) return work(std::int64_t{0}, n);
    const std::int64_t size = (grains + shares - 1) / shares * grain;
    parallel(static_cast<int>(shares), [&](int thread) {
      const std::int64_t begin = std::min(n, thread * size);
      work(begin, std::min(n, begin + size));
    });
  }

  // work(thread) on so many threads, numbered from 0.
  template <class Work>
  static void parallel(int threads, const Work& work) {
    run(
        threads, [](void* data, int thread) { (*static_cast<const Work*>(data))(thread); },
        const_cast<Work*>(&work));
  }

 private:
  using Body = void (*)(void* data, int thread);
  static void run(int threads, Body body, void* data);

  int threads_, library_;
};

}  // namespace rehearse::exec::onednn
