#include "model/plan/happens_before.h"

#include <algorithm>

#include "model/base/check.h"

namespace rehearse {

HappensBefore::HappensBefore(const RankProgram& program) : HappensBefore(program.lanes.size()) {
  for (const Op& op : program.ops)
    append(op);
}

void HappensBefore::append(const Op& op) {
  const std::size_t id = lane_of_.size();
  const std::size_t lane = op.lane.index();
  REHEARSE_CHECK(lane < lanes_, "op {} on lane {} of {}", id, lane, lanes_);
  clocks_.resize((id + 1) * lanes_, 0);
  const auto join = [&](std::size_t before) {
    REHEARSE_CHECK(before < id, "op {} waits for op {}", id, before);
    for (std::size_t l = 0; l < lanes_; ++l)
      clock(id, l) = std::max(clock(id, l), clock(before, l));
    std::uint32_t& own = clock(id, lane_of_[before]);
    own = std::max(own, position_[before]);
  };
  if (last_of_lane_[lane]) join(*last_of_lane_[lane]);
  for (const OpId before : op.after)
    join(before.index());
  lane_of_.push_back(lane);
  position_.push_back(clock(id, lane) + 1);
  last_of_lane_[lane] = id;
}

bool HappensBefore::operator()(OpId a, OpId b) const {
  return clock(b.index(), lane_of_[a.index()]) >= position_[a.index()];
}

bool HappensBefore::implied(OpId a, LaneId lane, const std::vector<OpId>& after) const {
  const auto covers = [&](std::size_t op) { return op == a.index() || (*this)(a, OpId(op)); };
  const auto& last = last_of_lane_[lane.index()];
  if (last && covers(*last)) return true;
  return std::any_of(after.begin(), after.end(), [&](OpId op) { return covers(op.index()); });
}

}  // namespace rehearse
