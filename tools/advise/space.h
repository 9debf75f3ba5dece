// The strategies that are searched: all points of a space, grouped by what their bounds share.
//
// Along each dimension stands what the model and the cluster allow, or what `advise` says
// (model/scenario/advise.h). Without it:
//   tensor             divisors of the ranks into which the network can be cut, with and without
//                      sequence parallelism
//   pipeline           divisors of what is left, no more stages than blocks, by every schedule;
//   with
//                      2, 4 or 8 chunks per rank where a schedule has any number of them
//   replicas           the ranks that are left: data parallel with each ZeRO stage, or, where
//   blocks
//                      can be left out, subnetworks of a coverage of 1/4, 1/2 or 3/4
//   micro-batch        divisors of a replica's samples
//   recomputation      none, selective where there is attention to recompute, full
//   innermost axis     each with several ranks, where it makes a difference which ranks are
//   neighbours
// A point is a choice of each that goes together; its placements, the innermost axes, count as one
// point, of which the fastest is taken.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/scenario/scenario.h"
#include "model/schedule/pipeline.h"

namespace rehearse::advise {

// What points have in common of which a rank runs the same network, over as many ranks along each
// axis. Replicas: data parallel, or workers of subnetworks where the coverage is below 1.
struct Family {
  std::int64_t tensor = 1, pipeline = 1, replicas = 1;
  bool sequence_parallel = false;
  Recomputation recompute = Recomputation::none;
  Fraction coverage;
  bool is_subnetwork() const { return coverage != Fraction{}; }
  std::int64_t holders() const {  // of what replicas hold
    return replicas * coverage.numerator / coverage.denominator;
  }
};

struct Point {
  std::uint32_t family = 0;
  Sharding zero = Sharding::none;
  const PipelineSchedule* schedule = nullptr;  // none: no pipeline
  std::int64_t chunks = 1;                     // per rank
  std::int64_t samples = 1, micro_batches = 1;
};

// The most points of a space that is searched.
inline constexpr std::int64_t kMostPoints = 2'000'000;

class SearchSpace {
 public:
  // Errors: a choice of `advise` that the model or the cluster cannot have, or no point at all; a
  // space of more than kMostPoints; times that the scenario states itself.
  static Result<SearchSpace> make(const Scenario& scenario, const AdviseSpace& asked);

  const std::vector<Family>& families() const { return families_; }
  // By family.
  const std::vector<Point>& points() const { return points_; }
  const Family& family_of(const Point& point) const { return families_[point.family]; }
  // Of a point's axes; the first is that of strategies that say nothing.
  const std::vector<AxisOrder>& placements(const Point& point) const;
  // The strategy, with a name that says what it is.
  StrategySpec spec(const Point& point, const AxisOrder& placement) const;

 private:
  friend class SpaceBuilder;
  std::vector<Family> families_;
  std::vector<Point> points_;
  std::vector<std::vector<AxisOrder>> placements_;  // by family
};

// "tensor4-pipeline2-data2-zero1-1f1b-m8-full": what a strategy is, in a word.
std::string name_of(const Family& family, const Point& point, const AxisOrder& placement);

}  // namespace rehearse::advise
