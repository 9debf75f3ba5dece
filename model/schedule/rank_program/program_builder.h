// Assembles one rank's program from ops that say only what they use.
//
// Data flow gives the rest: an op waits for whoever wrote what it reads and for whoever still uses
// what it overwrites; a transient buffer is allocated by its first user and freed by its last,
// which waits for the others. Persistent buffers are flat and shared by ops on different parts of
// them, so their order is stated by the caller.
#pragma once

#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "model/plan/happens_before.h"
#include "model/plan/plan.h"

namespace rehearse {

struct Use {
  BufferId buffer;
  Access access = Access::read;
};

class ProgramBuilder {
 public:
  // The frame: name, segments, subnetwork, micro-batches, parameter classes with their buffers.
  explicit ProgramBuilder(RankProgram frame) : program_(std::move(frame)) {}

  BufferId add_buffer(Buffer buffer);
  // A stage's copy of a boundary value (or gradient) of a micro-batch: made when first asked for.
  using Boundary = std::tuple<ValueId, MicroBatchId, StageId>;
  BufferId boundary(BufferKind kind, const Boundary& of, Bytes size);

  // Appends an op. after: what it waits for besides the data flow.
  OpId add(OpKind kind, Lane lane, const std::vector<Use>& uses, decltype(Op::detail) detail,
           const std::vector<OpId>& after = {});

  // What computes next waits for it, and what tensor-parallel ranks exchange next.
  void wait_for(OpId op);

  // The number of the op that is added next.
  OpId next_op() const { return OpId(program_.ops.size()); }
  RankProgram finish();

 private:
  struct History {  // of a transient buffer
    std::optional<OpId> writer;
    std::vector<OpId> readers;  // since the writer
  };

  LaneId lane_id(const Lane& lane);
  std::vector<OpId> flow(const std::vector<Use>& uses);
  void mark_lifetimes();
  void drop_implied();

  RankProgram program_;
  std::map<std::pair<BufferKind, Boundary>, BufferId> boundaries_;
  std::vector<History> history_;
  std::map<LaneKind, std::vector<OpId>> awaited_;  // by the next op on a lane of this kind
};

}  // namespace rehearse
