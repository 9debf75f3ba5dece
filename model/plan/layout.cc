#include "model/plan/layout.h"

#include <algorithm>
#include <optional>

#include "model/net/pack.h"
#include "model/plan/happens_before.h"

namespace rehearse {
namespace {

struct Lifetime {
  std::optional<OpId> begin, end;  // none: persistent, or never used
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
  const HappensBefore before(program);
  const std::vector<Lifetime> lifetimes = lifetimes_of(program);
  std::vector<Bytes> sizes;
  for (const Buffer& buffer : program.buffers)
    sizes.push_back(buffer.size);
  const auto conflict = [&](std::size_t i, std::size_t j) {
    if (is_persistent(program.buffers[i].kind) || is_persistent(program.buffers[j].kind))
      return true;
    if (!lifetimes[i].begin || !lifetimes[j].begin) return false;
    return !before(*lifetimes[i].end, *lifetimes[j].begin) &&
           !before(*lifetimes[j].end, *lifetimes[i].begin);
  };
  Packing packing = pack(sizes, kAlignment, conflict);
  return {std::move(packing.offsets), packing.extent, live_peak(program)};
}

}  // namespace rehearse
