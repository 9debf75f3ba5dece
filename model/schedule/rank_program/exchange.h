// How a rank exchanges something: by which algorithm, and with which room for what it receives.
#pragma once

#include <optional>
#include <vector>

#include "model/schedule/rank_program/rank_inputs.h"

namespace rehearse {

// Chosen for a bucket's elements, over the group of its class.
CollectiveMethod method_over(const RankInputs& inputs, CollectiveKind kind, const OwnBucket& bucket,
                             std::int64_t element_bytes);
Collective collective_over(const RankInputs& inputs, const OwnBucket& bucket,
                           std::int64_t element_bytes, std::int64_t divisor,
                           const CollectiveMethod& method);

// Makes the buffer for the chunks that a collective of so many elements receives, if it needs one,
// and adds it to what the op uses.
void add_room(ProgramBuilder& builder, const CollectiveShape& shape, std::int64_t elements,
              std::int64_t element_bytes, std::vector<Use>& uses);

}  // namespace rehearse
