// Which elements of a parameter class stand where in a rank's buffers.
#pragma once

#include <vector>

#include "tests/plan/symbolic/facts.h"

namespace rehearse::testing::symbolic {

// Whether a buffer of this kind has this rank's shard of the class, and not all of it.
bool is_shard(const ParameterClass& held, BufferKind kind);

// Words that a buffer has: one per element, or one for all that it holds.
std::int64_t words_of(const RankProgram& program, const Buffer& buffer);

// Elements that a rank has a share of, and where in its shard they begin.
struct Share {
  std::int64_t in_shard(std::int64_t element) const { return offset + element - chunk.begin; }

  ElementRange chunk;
  std::int64_t offset = 0;
};

// Of a sharded class bucket by bucket; of another one share that is all of it.
std::vector<Share> shares(const RankFacts& rank, const ParameterClass& held);

}  // namespace rehearse::testing::symbolic
