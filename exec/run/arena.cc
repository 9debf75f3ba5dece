#include "exec/run/arena.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "model/base/text.h"
#include "model/net/pack.h"

namespace rehearse::exec {
namespace {

// All bits set is a NaN in every IEEE format.
constexpr int kPoison = 0xFF;

}  // namespace

void Arena::Release::operator()(std::byte* memory) const {
  std::free(memory);
}

Arena::Arena(const RankProgram& program, bool poison)
    : program_(program), poison_(poison), layout_(lay_out(program)) {
  const auto alignment = static_cast<std::size_t>(kAlignment.bytes());
  const auto size = static_cast<std::size_t>(align_up(layout_.arena, kAlignment).bytes());
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, std::max(size, alignment))));
  if (memory_ == nullptr) {
    throw std::runtime_error(
        fmt::format("this machine has no memory for a tensor arena of {}", human(layout_.arena)));
  }
  // Touched once here, not in the first step, whose time it would distort.
  std::memset(memory_.get(), poison ? kPoison : 0, size);
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    if (is_persistent(program.buffers[b].kind)) allocate(BufferId(b));
  }
}

std::span<std::byte> Arena::at(BufferId buffer) const {
  return {memory_.get() + layout_.offsets[buffer.index()].bytes(),
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
