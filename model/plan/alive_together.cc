#include "model/plan/alive_together.h"

#include <algorithm>
#include <limits>

namespace rehearse {
namespace {

constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();
// So few leaves are looked at one by one.
constexpr std::size_t kAtOnce = 16;

}  // namespace

AliveTogether::AliveTogether(const RankProgram& program, const HappensBefore& before,
                             std::vector<OpRange> lifetimes)
    : program_(program),
      before_(before),
      lifetimes_(std::move(lifetimes)),
      lanes_(program.lanes.size()),
      leaf_(lifetimes_.size()) {
  for (std::size_t l = 0; l < lifetimes_.size(); ++l)
    lanes_[program.ops[lifetimes_[l].end.index()].lane.index()].lifetimes.push_back(l);
  for (Lane& lane : lanes_) {
    const auto end_of = [&](std::size_t l) { return before.position(lifetimes_[l].end); };
    std::stable_sort(lane.lifetimes.begin(), lane.lifetimes.end(),
                     [&](std::size_t a, std::size_t b) { return end_of(a) < end_of(b); });
    while (lane.leaves < lane.lifetimes.size())
      lane.leaves *= 2;
    for (const std::size_t l : lane.lifetimes) {
      leaf_[l] = lane.leaves + lane.ends.size();
      lane.ends.push_back(end_of(l));
    }
    lane.least.assign(lanes_.size(), std::vector<std::uint32_t>(2 * lane.leaves, kNever));
  }
}

void AliveTogether::add(std::size_t lifetime) {
  const OpRange& own = lifetimes_[lifetime];
  Lane& lane = lanes_[program_.ops[own.end.index()].lane.index()];
  for (std::size_t m = 0; m < lanes_.size(); ++m) {
    const std::uint32_t begin = before_.ended_before(own.begin, LaneId(m));
    std::vector<std::uint32_t>& least = lane.least[m];
    for (std::size_t node = leaf_[lifetime]; node > 0 && begin < least[node]; node /= 2)
      least[node] = begin;
  }
}

void AliveTogether::with(std::size_t lifetime, std::vector<std::size_t>& others) const {
  const OpRange& own = lifetimes_[lifetime];
  const LaneId own_lane = program_.ops[own.end.index()].lane;
  for (std::size_t l = 0; l < lanes_.size(); ++l) {
    const Lane& lane = lanes_[l];
    const std::uint32_t ended = before_.ended_before(own.begin, LaneId(l));
    const auto first = std::upper_bound(lane.ends.begin(), lane.ends.end(), ended);
    const Query query{static_cast<std::size_t>(first - lane.ends.begin()), own_lane.index(),
                      before_.position(own.end)};
    visit(lane, query, 1, 0, lane.leaves, others);
  }
}

void AliveTogether::visit(const Lane& lane, const Query& query, std::size_t node, std::size_t begin,
                          std::size_t size, std::vector<std::size_t>& others) const {
  const std::vector<std::uint32_t>& least = lane.least[query.lane];
  // Nothing here is late enough, or begins before the lifetime asked about has ended.
  if (begin + size <= query.first || least[node] >= query.end) return;
  if (size > kAtOnce) {
    visit(lane, query, 2 * node, begin, size / 2, others);
    visit(lane, query, 2 * node + 1, begin + size / 2, size / 2, others);
    return;
  }
  for (std::size_t leaf = std::max(begin, query.first); leaf < begin + size; ++leaf) {
    if (least[lane.leaves + leaf] < query.end) others.push_back(lane.lifetimes[leaf]);
  }
}

}  // namespace rehearse
