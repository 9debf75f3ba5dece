// Lanes and stages, and which ranks run what.
#include "tests/plan/mutations/mutations.h"

namespace rehearse::testing {
namespace {

void change_lane(Mutator& m) {
  m.any_op().lane = LaneId(m.below(m.program().lanes.size()));
}

// An op gets a lane of its own, of the old one's kind or another.
void add_lane(Mutator& m) {
  RankProgram& program = m.program();
  Op& op = m.any_op();
  Lane lane = program.lanes[op.lane.index()];
  if (m.below(2) == 0) {
    lane.stage = StageId(lane.stage.index() + 1 + m.below(2));
  } else {
    lane.kind = static_cast<LaneKind>(m.below(8));
  }
  op.lane = LaneId(program.lanes.size());
  program.lanes.push_back(lane);
}

void change_lane_kind(Mutator& m) {
  Lane& lane = m.one_of(m.program().lanes);
  if (m.below(2) == 0) {
    lane.kind = static_cast<LaneKind>(m.below(8));
  } else {
    lane.stage = StageId(m.below(3));
  }
}

void change_samples(Mutator& m) {
  RankBinding& rank = m.one_of(m.plan.ranks);
  if (m.below(2) == 0) {
    rank.first_micro_batch = m.another(rank.first_micro_batch);
  } else {
    std::swap(rank.first_micro_batch, m.one_of(m.plan.ranks).first_micro_batch);
  }
}

void change_program(Mutator& m) {
  m.one_of(m.plan.ranks).program = RankClassId(m.below(m.plan.programs.size()));
}

void change_slice(Mutator& m) {
  std::swap(m.one_of(m.plan.ranks).slice, m.one_of(m.plan.ranks).slice);
}

void change_stages(Mutator& m) {
  Stage& stage = m.one_of(m.program().stages);
  SegmentId& bound = m.below(2) == 0 ? stage.begin : stage.end;
  bound = SegmentId(m.below(2) == 0 ? bound.index() + 1
                                    : bound.index() - std::min<std::size_t>(1, bound.index()));
}

constexpr Mutation kMutations[] = {
    {"lane of an op", change_lane},
    {"lane", change_lane_kind},
    {"add a lane", add_lane},
    {"samples of a rank", change_samples},
    {"program of a rank", change_program},
    {"slice of a rank", change_slice},
    {"stages", change_stages},
};

}  // namespace

std::span<const Mutation> damage_to_ranks() {
  return kMutations;
}

}  // namespace rehearse::testing
