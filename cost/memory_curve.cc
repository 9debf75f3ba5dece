#include "cost/memory_curve.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace rehearse {
namespace {

struct Lifetime {
  std::optional<std::size_t> begin, end;  // ops; none: it is never used
};

std::vector<Lifetime> lifetimes_of(const RankProgram& program) {
  std::vector<Lifetime> lifetimes(program.buffers.size());
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    for (const Operand& operand : program.ops[op].operands) {
      Lifetime& lifetime = lifetimes[operand.buffer.index()];
      if (operand.allocates) lifetime.begin = op;
      if (operand.frees) lifetime.end = op;
    }
  }
  return lifetimes;
}

std::optional<MicroBatchId> micro_batch_of(const Op& op) {
  const auto* compute = std::get_if<Compute>(&op.detail);
  return compute == nullptr ? std::nullopt : std::optional(compute->micro_batch);
}

std::vector<AliveBuffers> alive_at(const RankProgram& program, std::size_t op) {
  const std::vector<Lifetime> lifetimes = lifetimes_of(program);
  std::map<BufferKind, AliveBuffers> kinds;
  std::map<BufferKind, std::set<MicroBatchId>> micro_batches;
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    const Buffer& buffer = program.buffers[b];
    const Lifetime& life = lifetimes[b];
    const bool is_alive = is_persistent(buffer.kind) ||
                          (life.begin && *life.begin <= op && (!life.end || op <= *life.end));
    if (!is_alive) continue;
    AliveBuffers& alive = kinds[buffer.kind];
    alive.kind = buffer.kind;
    ++alive.buffers;
    alive.size += buffer.size;
    if (!life.begin) continue;
    if (const auto made_by = micro_batch_of(program.ops[*life.begin]))
      micro_batches[buffer.kind].insert(*made_by);
  }
  std::vector<AliveBuffers> list;
  for (auto& [kind, alive] : kinds) {
    alive.micro_batches = std::ssize(micro_batches[kind]);
    list.push_back(alive);
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return a.size > b.size; });
  return list;
}

}  // namespace

MemoryCurve memory_curve(const RankProgram& program) {
  MemoryCurve curve;
  for (const Buffer& buffer : program.buffers) {
    if (is_persistent(buffer.kind)) curve.state += buffer.size;
  }
  Bytes live = curve.state;
  for (const Op& op : program.ops) {
    for (const Operand& operand : op.operands) {
      if (operand.allocates) live += program.buffers[operand.buffer.index()].size;
    }
    curve.live.push_back(live);
    for (const Operand& operand : op.operands) {
      if (operand.frees) live -= program.buffers[operand.buffer.index()].size;
    }
  }
  const auto most = std::max_element(curve.live.begin(), curve.live.end());
  const std::size_t peak = static_cast<std::size_t>(most - curve.live.begin());
  if (!curve.live.empty()) curve.peak = OpId(peak);
  curve.alive = alive_at(program, peak);
  return curve;
}

}  // namespace rehearse
