// Assembles one rank's program from ops that say only what they use.
//
// Data flow gives the rest: an op waits for whoever wrote what it reads and for whoever still uses
// what it overwrites; a transient buffer is allocated by its first user and freed by its last,
// which waits for the others. Persistent buffers are flat and shared by ops on different parts of
// them, so their order is stated by the caller.
#pragma once

#include <map>
#include <optional>
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
  // The boundary value of a micro-batch (its gradient): made when first asked for.
  BufferId value(ValueId value, MicroBatchId micro_batch, Bytes size);
  BufferId gradient(ValueId value, MicroBatchId micro_batch, Bytes size);
  std::optional<OpId> last_op() const;

  // Appends an op. after: what it waits for besides the data flow.
  OpId add(OpKind kind, LaneKind lane, const std::vector<Use>& uses, decltype(Op::detail) detail,
           const std::vector<OpId>& after = {});

  RankProgram finish();

 private:
  struct History {  // of a transient buffer
    std::optional<OpId> writer;
    std::vector<OpId> readers;  // since the writer
  };
  using Key = std::pair<ValueId, MicroBatchId>;

  LaneId lane(LaneKind kind);
  BufferId boundary(std::map<Key, BufferId>& known, BufferKind kind, Key key, Bytes size);
  std::vector<OpId> flow(const std::vector<Use>& uses);
  void mark_lifetimes();
  void drop_implied();

  RankProgram program_;
  std::map<Key, BufferId> values_, gradients_;
  std::vector<History> history_;
};

}  // namespace rehearse
