#include "tests/plan/symbolic/shards.h"

namespace rehearse::testing::symbolic {

bool is_shard(const ParameterClass& held, BufferKind kind) {
  const Sharding level = kind == BufferKind::parameters  ? Sharding::parameters
                         : kind == BufferKind::gradients ? Sharding::gradients
                                                         : Sharding::optimizer_state;
  return held.sharding >= level;
}

std::int64_t words_of(const RankProgram& program, const Buffer& buffer) {
  if (holds_range(buffer.kind)) return buffer.end - buffer.begin;
  if (!is_persistent(buffer.kind)) return 1;
  const ParameterClass& held = program.parameter_classes[buffer.parameter_class->index()];
  return is_shard(held, buffer.kind) ? shard_elements(held) : held.elements;
}

std::vector<Share> shares(const RankFacts& rank, const ParameterClass& held) {
  if (held.sharding == Sharding::none) return {{{0, held.elements}, 0}};
  const Group& group = group_at(rank.plan, rank.id, *held.group);
  std::vector<Share> all;
  std::int64_t begin = 0;
  for (const std::int64_t end : held.buckets) {
    all.push_back({chunk_of(begin, end, group.members.size(), member_number(group, rank.id)),
                   shard_offset(held, begin)});
    begin = end;
  }
  return all;
}

}  // namespace rehearse::testing::symbolic
