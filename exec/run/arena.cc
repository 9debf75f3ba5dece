#include "exec/run/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "model/base/text.h"
#include "model/net/pack.h"

namespace rehearse::exec {
namespace {

// All bits set is a NaN in every IEEE format.
constexpr int kPoison = 0xFF;

}  // namespace

Arena::Memory::~Memory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

void Arena::Memory::grow(std::size_t size) {
  if (size <= size_) return;
  void* const memory = data_ == nullptr ? ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                        : ::mremap(data_, size_, size, MREMAP_MAYMOVE);
  if (memory == MAP_FAILED) {
    throw std::runtime_error(fmt::format("this machine has no memory for a tensor arena of {}",
                                         human(Bytes::bytes(static_cast<std::int64_t>(size)))));
  }
  data_ = static_cast<std::byte*>(memory);
  size_ = size;
}

Arena::Arena(const RankProgram& program, bool poison)
    : program_(program), poison_(poison), layout_(lay_out(program)) {
  touch(0);
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    if (is_persistent(program.buffers[b].kind)) allocate(BufferId(b));
  }
}

Arena::Arena(const RankProgram& program, bool poison, Arena&& before)
    : program_(program),
      poison_(poison),
      layout_(lay_out(program)),
      memory_(std::move(before.memory_)),
      extent_(before.extent_),
      live_(before.live_),
      live_peak_(before.live_peak_) {
  touch(memory_.size());
}

// Pages from there on are touched here, not in the first step, whose time it would distort.
void Arena::touch(std::size_t begin) {
  const auto alignment = static_cast<std::size_t>(kAlignment.bytes());
  const auto size = static_cast<std::size_t>(align_up(layout_.arena, kAlignment).bytes());
  memory_.grow(std::max(size, alignment));
  if (begin < size) std::memset(memory_.data() + begin, poison_ ? kPoison : 0, size - begin);
}

std::span<std::byte> Arena::at(BufferId buffer) const {
  return {memory_.data() + layout_.offsets[buffer.index()].bytes(),
          static_cast<std::size_t>(program_.buffers[buffer.index()].size.bytes())};
}

void Arena::allocate(BufferId buffer) {
  const Bytes size = program_.buffers[buffer.index()].size;
  extent_ = std::max(extent_, layout_.offsets[buffer.index()] + align_up(size, kAlignment));
  live_ += size;
  live_peak_ = std::max(live_peak_, live_);
}

void Arena::free(BufferId buffer) {
  live_ -= program_.buffers[buffer.index()].size;
  if (!poison_) return;
  const std::span<std::byte> range = at(buffer);
  std::memset(range.data(), kPoison, range.size());
}

}  // namespace rehearse::exec
