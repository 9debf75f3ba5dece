#include "model/plan/layout.h"

#include <algorithm>
#include <optional>

#include "model/net/pack.h"
#include "model/plan/alive_together.h"

namespace rehearse {
namespace {

struct Lifetime {
  std::optional<OpId> begin, end;  // none: never used
};

std::vector<Lifetime> lifetimes_of(const RankProgram& program) {
  std::vector<Lifetime> lifetimes(program.buffers.size());
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    for (const Operand& operand : program.ops[op].operands) {
      Lifetime& lifetime = lifetimes[operand.buffer.index()];
      if (operand.allocates) lifetime.begin = OpId(op);
      if (operand.frees) lifetime.end = OpId(op);
    }
  }
  return lifetimes;
}

Bytes live_peak(const RankProgram& program) {
  Bytes live;
  for (const Buffer& buffer : program.buffers) {
    if (is_persistent(buffer.kind)) live += buffer.size;
  }
  Bytes peak = live;
  for (const Op& op : program.ops) {
    for (const Operand& operand : op.operands) {
      if (operand.allocates) live += program.buffers[operand.buffer.index()].size;
    }
    peak = std::max(peak, live);
    for (const Operand& operand : op.operands) {
      if (operand.frees) live -= program.buffers[operand.buffer.index()].size;
    }
  }
  return peak;
}

}  // namespace

Layout lay_out(const RankProgram& program) {
  Layout layout;
  layout.offsets.resize(program.buffers.size());
  Bytes state;
  const std::vector<Lifetime> lifetimes = lifetimes_of(program);
  std::vector<std::size_t> transients;  // that are used
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    if (!is_persistent(program.buffers[b].kind)) {
      if (lifetimes[b].begin) transients.push_back(b);
      continue;
    }
    layout.offsets[b] = state;
    state += align_up(program.buffers[b].size, kAlignment);
  }
  const HappensBefore before(program);
  std::vector<OpRange> ranges;
  std::vector<Bytes> sizes;
  for (const std::size_t b : transients) {
    ranges.push_back({*lifetimes[b].begin, *lifetimes[b].end});
    sizes.push_back(program.buffers[b].size);
  }
  AliveTogether alive(program, before, std::move(ranges));
  const Packing packing =
      pack(sizes, kAlignment, [&](std::size_t item, std::vector<std::size_t>& others) {
        alive.with(item, others);
        alive.add(item);
      });
  for (std::size_t t = 0; t < transients.size(); ++t)
    layout.offsets[transients[t]] = state + packing.offsets[t];
  layout.arena = state + packing.extent;
  layout.live = live_peak(program);
  return layout;
}

}  // namespace rehearse
