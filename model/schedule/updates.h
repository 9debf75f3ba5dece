// The end of a rank's step: weights follow their gradients, and go to whoever else needs them.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "model/schedule/parts.h"
#include "model/schedule/program_builder.h"
#include "model/schedule/rank_program.h"

namespace rehearse {

// Of a bucket's elements, over the group of its class.
Collective collective_over(const OwnClass& own, const OwnBucket& bucket, std::int64_t element_bytes,
                           std::int64_t divisor, const CollectiveMethod& method);
// How it is done.
CollectiveMethod method_over(const RankFrame& frame, CollectiveKind kind, const OwnClass& own,
                             const OwnBucket& bucket, std::int64_t element_bytes);

// A program's persistent buffers.
struct ClassBuffers {
  std::vector<BufferId> parameters;                             // by class
  std::map<std::size_t, BufferId> gradients, optimizer, outer;  // by class that is held
};

// What the updates come after.
struct UpdatesFollow {
  std::map<std::size_t, OpId> reductions;  // by class, the last
  std::optional<OpId> last_pass;
};

// buckets: own ones in the common order of the plan.
void add_updates(const RankFrame& frame, const Training& training,
                 const std::vector<OwnClass>& classes, const std::vector<OwnBucket>& buckets,
                 const ClassBuffers& buffers, const UpdatesFollow& follow, ProgramBuilder& builder);

}  // namespace rehearse
