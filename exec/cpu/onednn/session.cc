#include "exec/cpu/onednn/session.h"

#include <new>

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

}  // namespace rehearse::exec::onednn
