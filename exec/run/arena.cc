#include "exec/run/arena.h"

#include <algorithm>

#include "model/net/pack.h"

namespace rehearse::exec {
namespace {

// All bits set is a NaN in every IEEE format.
constexpr std::byte kPoison{0xFF};

}  // namespace

Arena::Arena(const RankProgram& program, KernelDevice& device, bool poison)
    : program_(program), device_(device), poison_(poison), layout_(lay_out(program)) {
  touch(0);
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    if (is_persistent(program.buffers[b].kind)) allocate(BufferId(b));
  }
}

Arena::Arena(const RankProgram& program, bool poison, Arena&& before)
    : program_(program),
      device_(before.device_),
      poison_(poison),
      layout_(lay_out(program)),
      memory_(std::move(before.memory_)),
      extent_(before.extent_),
      live_(before.live_),
      live_peak_(before.live_peak_) {
  touch(memory_->size());
}

// Pages from there on are touched here, not in the first step, whose time it would distort.
void Arena::touch(std::size_t begin) {
  const auto alignment = static_cast<std::size_t>(kAlignment.bytes());
  const auto size = static_cast<std::size_t>(align_up(layout_.arena, kAlignment).bytes());
  const std::size_t all = std::max(size, alignment);
  if (memory_) {
    memory_->grow(all);
  } else {
    memory_ = device_.allocate(all);
  }
  if (begin < size) {
    device_.fill(memory_->data() + begin, poison_ ? kPoison : std::byte{}, size - begin);
    device_.wait();
  }
}

std::span<std::byte> Arena::at(BufferId buffer) const {
  return {memory_->data() + layout_.offsets[buffer.index()].bytes(),
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
  device_.fill(range.data(), kPoison, range.size());
}

}  // namespace rehearse::exec
