#include "tests/plan/symbolic/meetings.h"

#include "tests/plan/symbolic/collective_operands.h"
#include "tests/plan/symbolic/exchange.h"

namespace rehearse::testing::symbolic {
namespace {

const Group& group_of(const RunningOp& running) {
  return rehearse::group_of(running.plan(), running.rank().id, running.op());
}

// In the group's order, all in the same collective.
std::vector<RunningOp*> in_order(const std::vector<RunningOp*>& arrived) {
  const RunningOp& first = *arrived.front();
  const Group& group = group_of(first);
  std::vector<RunningOp*> members(group.members.size());
  for (RunningOp* member : arrived)
    members[member_number(group, member->rank().id)] = member;
  const Collective& detail = collective_of(first.op());
  for (const RunningOp* member : members) {
    const Collective& theirs = collective_of(member->op());
    if (member->op().kind != first.op().kind || theirs.begin != detail.begin ||
        theirs.end != detail.end || theirs.element_bytes != detail.element_bytes ||
        theirs.divisor != detail.divisor || theirs.sources != detail.sources ||
        theirs.parameter_class.has_value() != detail.parameter_class.has_value())
      member->fail("others of its group are in another collective");
  }
  return members;
}

}  // namespace

void Meetings::begin(RunningOp& running) {
  const RankFacts& rank = running.rank();
  const GroupId group = rank.binding.groups[collective_of(running.op()).group];
  const LaneKind lane = rank.program.lanes[running.op().lane.index()].kind;
  const int number = begun_[{rank.id, group, lane}]++;
  Meeting& meeting = meetings_[{group, lane, number}];
  meeting.members.push_back(&running);
  joined_[&running] = &meeting;
  touch_operands(running);
}

bool Meetings::can_end(const RunningOp& running) const {
  const Meeting& meeting = *joined_.at(&running);
  return meeting.done || meeting.members.size() == group_of(running).members.size();
}

void Meetings::end(RunningOp& running) {
  Meeting& meeting = *joined_.at(&running);
  joined_.erase(&running);
  if (meeting.done) return;
  exchange(in_order(meeting.members), shares_);
  meeting.done = true;
  meeting.members.clear();
}

}  // namespace rehearse::testing::symbolic
