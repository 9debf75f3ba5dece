#include "model/schedule/rank_program/program_builder.h"

#include <algorithm>

namespace rehearse {

BufferId ProgramBuilder::add_buffer(Buffer buffer) {
  program_.buffers.push_back(buffer);
  return BufferId(program_.buffers.size() - 1);
}

BufferId ProgramBuilder::boundary(BufferKind kind, const Boundary& of, Bytes size) {
  const auto [entry, is_new] = boundaries_.try_emplace({kind, of});
  if (is_new)
    entry->second = add_buffer({.kind = kind, .size = size, .value = std::get<ValueId>(of)});
  return entry->second;
}

LaneId ProgramBuilder::lane_id(const Lane& lane) {
  auto& lanes = program_.lanes;
  const auto found = std::find(lanes.begin(), lanes.end(), lane);
  if (found != lanes.end()) return LaneId(found - lanes.begin());
  lanes.push_back(lane);
  return LaneId(lanes.size() - 1);
}

// What an op that uses these buffers waits for; records its uses.
std::vector<OpId> ProgramBuilder::flow(const std::vector<Use>& uses) {
  history_.resize(program_.buffers.size());
  const OpId self(program_.ops.size());
  std::vector<OpId> after;
  for (const Use& use : uses) {
    if (is_persistent(program_.buffers[use.buffer.index()].kind)) continue;
    History& history = history_[use.buffer.index()];
    if (history.writer) after.push_back(*history.writer);
    if (use.access == Access::read) {
      history.readers.push_back(self);
      continue;
    }
    after.insert(after.end(), history.readers.begin(), history.readers.end());
    history = {self, {}};
  }
  return after;
}

OpId ProgramBuilder::add(OpKind kind, Lane lane, const std::vector<Use>& uses,
                         decltype(Op::detail) detail, const std::vector<OpId>& after) {
  Op op;
  op.kind = kind;
  op.lane = lane_id(lane);
  op.after = flow(uses);
  op.after.insert(op.after.end(), after.begin(), after.end());
  if (const auto awaited = awaited_.find(lane.kind); awaited != awaited_.end()) {
    op.after.insert(op.after.end(), awaited->second.begin(), awaited->second.end());
    awaited_.erase(awaited);
  }
  for (const Use& use : uses)
    op.operands.push_back({use.buffer, use.access, false, false});
  op.detail = std::move(detail);
  program_.ops.push_back(std::move(op));
  return OpId(program_.ops.size() - 1);
}

void ProgramBuilder::wait_for(OpId op) {
  for (const LaneKind kind : {LaneKind::compute, LaneKind::tensor})
    awaited_[kind].push_back(op);
}

// The last user in list order frees, so it waits for the other users.
void ProgramBuilder::mark_lifetimes() {
  std::vector<std::vector<OpId>> users(program_.buffers.size());
  for (std::size_t op = 0; op < program_.ops.size(); ++op) {
    for (Operand& operand : program_.ops[op].operands) {
      if (is_persistent(program_.buffers[operand.buffer.index()].kind)) continue;
      auto& known = users[operand.buffer.index()];
      operand.allocates = known.empty();
      known.push_back(OpId(op));
    }
  }
  for (std::size_t buffer = 0; buffer < users.size(); ++buffer) {
    if (users[buffer].empty()) continue;
    Op& last = program_.ops[users[buffer].back().index()];
    users[buffer].pop_back();
    last.after.insert(last.after.end(), users[buffer].begin(), users[buffer].end());
    for (Operand& operand : last.operands) {
      if (operand.buffer.index() == buffer) operand.frees = true;
    }
  }
}

// Keeps of every op's dependencies those that neither its lane nor another one implies.
void ProgramBuilder::drop_implied() {
  HappensBefore before(program_.lanes.size());
  for (Op& op : program_.ops) {
    std::sort(op.after.begin(), op.after.end());
    op.after.erase(std::unique(op.after.begin(), op.after.end()), op.after.end());
    std::vector<OpId> kept;
    for (auto candidate = op.after.rbegin(); candidate != op.after.rend(); ++candidate) {
      if (!before.implied(*candidate, op.lane, kept)) kept.push_back(*candidate);
    }
    op.after.assign(kept.rbegin(), kept.rend());
    before.append(op);
  }
}

RankProgram ProgramBuilder::finish() {
  mark_lifetimes();
  drop_implied();
  return std::move(program_);
}

}  // namespace rehearse
