// Which ops of one rank's period are sure to have ended before which others begin.
//
// Ops of a lane are in order, so what an op is sure to come after is one position per lane: a
// vector clock (Mattern 1989; Fidge 1988) with lanes for processes. O(ops x lanes) to build, O(1)
// to ask.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/plan/plan.h"

namespace rehearse {

class HappensBefore {
 public:
  // Lanes and `after` must be valid: every op's predecessors stand before it.
  explicit HappensBefore(const RankProgram& program);

  // No ops yet, so many lanes.
  explicit HappensBefore(std::size_t lanes) : lanes_(lanes), last_of_lane_(lanes) {}
  void append(const Op& op);

  // Whether a has ended when b begins; never of an op and itself.
  bool operator()(OpId a, OpId b) const;
  // How many of a lane's ops, from its first, have surely ended when b begins; an op's number on
  // its lane, from 1.
  std::uint32_t ended_before(OpId b, LaneId lane) const { return clock(b.index(), lane.index()); }
  std::uint32_t position(OpId op) const { return position_[op.index()]; }
  // Whether a would have ended when an op on this lane that waits for `after` begins.
  bool implied(OpId a, LaneId lane, const std::vector<OpId>& after) const;

 private:
  std::uint32_t& clock(std::size_t op, std::size_t lane) { return clocks_[op * lanes_ + lane]; }
  std::uint32_t clock(std::size_t op, std::size_t lane) const {
    return clocks_[op * lanes_ + lane];
  }

  std::size_t lanes_;
  std::vector<std::uint32_t> clocks_;  // by op and lane: ops of the lane that ended before it began
  std::vector<std::size_t> lane_of_;   // by op
  std::vector<std::uint32_t> position_;  // by op: its number on its lane, from 1
  std::vector<std::optional<std::size_t>> last_of_lane_;
};

}  // namespace rehearse
