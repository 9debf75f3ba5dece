#include "exec/cpu/onednn/team.h"

extern "C" {
void omp_set_num_threads(int threads);
int omp_get_thread_num();
// What compilers turn "omp parallel" into.
void GOMP_parallel(void (*function)(void*), void* data, unsigned threads, unsigned flags);
}

namespace rehearse::exec::onednn {

void Team::use() const {
  omp_set_num_threads(library_);
}

void Team::run(int threads, Body body, void* data) {
  struct Job {
    Body body;
    void* data;
  };
  Job job{body, data};
  GOMP_parallel(
      [](void* both) {
        const Job& own = *static_cast<const Job*>(both);
        own.body(own.data, omp_get_thread_num());
      },
      &job, static_cast<unsigned>(threads), 0);
}

}  // namespace rehearse::exec::onednn
