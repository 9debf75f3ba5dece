#include "exec/cpu/onednn/session.h"

#include <new>

// The OpenMP runtime that libdnnl is linked with. Declared here, since the header and flags of the
// compiler's own runtime may be another one's.
extern "C" void omp_set_num_threads(int threads);

namespace rehearse::exec::onednn {
namespace {

constexpr std::align_val_t kPage{4096};

}  // namespace

void Workspace::Free::operator()(std::byte* data) const {
  ::operator delete(data, kPage);
}

void Workspace::reserve(std::size_t bytes) {
  if (bytes <= size_) return;
  data_.reset();
  data_.reset(static_cast<std::byte*>(::operator new(bytes, kPage)));
  size_ = bytes;
}

void use_one_thread() {
  omp_set_num_threads(1);
}

}  // namespace rehearse::exec::onednn
