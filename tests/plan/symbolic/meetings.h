// Collectives, from the member that comes first until all are there and have exchanged.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "tests/plan/symbolic/running_op.h"
#include "tests/plan/symbolic/value_shares.h"

namespace rehearse::testing::symbolic {

class Meetings {
 public:
  explicit Meetings(const ValueShares& shares) : shares_(shares) {}

  // Members of a group meet in the order in which each begins the collectives of one of its lanes.
  void begin(RunningOp& running);
  bool can_end(const RunningOp& running) const;
  // Who ends first makes the exchange of all.
  void end(RunningOp& running);

 private:
  struct Meeting {
    std::vector<RunningOp*> members;  // until they have exchanged
    bool done = false;
  };

  const ValueShares& shares_;
  std::map<std::tuple<RankId, GroupId, LaneKind>, int> begun_;  // collectives
  std::map<std::tuple<GroupId, LaneKind, int>, Meeting> meetings_;
  std::map<const RunningOp*, Meeting*> joined_;
};

}  // namespace rehearse::testing::symbolic
