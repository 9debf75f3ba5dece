#include "sim/fair_share.h"

#include <algorithm>
#include <cmath>

#include "model/base/check.h"

namespace rehearse::sim {
namespace {

// Resources and bounds that are reached at nearly the same level are reached together: rounding
// must not decide who goes first.
constexpr double kTogether = 1e-12;

// A level that differs from the former one by no more is the former one: what rounding changes must
// not reach others. Flows go on beyond their former level a bit late, when those that are stopped
// there again are fixed.
constexpr double kLate = 1e-11;
constexpr double kSame = 4 * kLate;

// Level of a flow that was fixed nowhere yet.
constexpr double kNew = FairShare::kUnbounded;

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

bool is_same(double level, double former) {
  return std::abs(level - former) <= kSame * former;
}

}  // namespace

ResourceId FairShare::add_resource(double capacity) {
  REHEARSE_CHECK(capacity > 0, "capacity {}", capacity);
  Resource resource;
  resource.capacity = capacity;
  resources_.push_back(std::move(resource));
  fillings_.emplace_back();
  return ResourceId(resources_.size() - 1);
}

void FairShare::set_capacity(ResourceId id, double capacity) {
  Resource& resource = resources_[id.index()];
  if (resource.capacity == capacity) return;
  // Where it was full its flows stopped last. Where it will be, find_begin() finds out.
  double last = 0;
  for (const Member& member : resource.members) {
    if (levels_[member.flow] != kNew) last = std::max(last, levels_[member.flow]);
  }
  if (last > 0) begin_ = std::min(begin_, last);
  resource.capacity = capacity;
  touch(id.value());
}

void FairShare::touch(std::uint32_t id) {
  if (resources_[id].changed) return;
  resources_[id].changed = true;
  changed_.push_back(id);
}

std::uint32_t FairShare::take_slot() {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(flows_.size()));
    flows_.emplace_back();
    levels_.push_back(kNew);
    stops_at_.push_back(kUnbounded);
    stopped_by_.push_back(kNone);
    opened_.push_back(0);
    is_open_.push_back(0);
    next_former_.push_back(kNone);
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

std::span<FairShare::Crossing> FairShare::crossings_of(std::uint32_t id) {
  return {crossings_.data() + flows_[id].crossings, flows_[id].count};
}

FlowId FairShare::add_flow(std::span<const Use> uses, double weight, double bound) {
  REHEARSE_CHECK(weight > 0 && bound > 0, "weight {}, bound {}", weight, bound);
  REHEARSE_CHECK(!uses.empty() || bound != kUnbounded, "a flow without uses and bound");
  const std::uint32_t id = take_slot();
  Flow& flow = flows_[id];
  flow.weight = weight;
  flow.bound = bound;
  flow.rate = 0;
  levels_[id] = kNew;
  stopped_by_[id] = kNone;
  stops_at_[id] = bound / weight;
  flow.count = static_cast<std::uint32_t>(uses.size());
  if (flow.count > flow.room) {  // the slot moves to where there is room for it
    flow.crossings = static_cast<std::uint32_t>(crossings_.size());
    flow.room = flow.count;
    crossings_.resize(crossings_.size() + flow.room);
  }
  std::uint32_t crossing = flow.crossings;
  for (const Use& use : uses) {
    std::vector<Member>& members = resources_[use.resource.index()].members;
    const double pull = use.amount * weight;
    crossings_[crossing] = {use.resource.value(), static_cast<std::uint32_t>(members.size()), pull};
    members.push_back({id, crossing++, pull});
    touch(use.resource.value());
  }
  if (uses.empty()) lonely_.push_back(id);
  return FlowId(id);
}

void FairShare::remove_flow(FlowId flow) {
  const std::uint32_t id = flow.value();
  for (const Crossing& crossing : crossings_of(id)) {
    std::vector<Member>& members = resources_[crossing.resource].members;
    const Member last = members.back();
    members[crossing.place] = last;
    crossings_[last.crossing].place = crossing.place;
    members.pop_back();
    touch(crossing.resource);
  }
  begin_ = std::min(begin_, levels_[id]);
  if (flows_[id].count == 0) std::erase(lonely_, id);
  free_.push_back(id);
}

const std::vector<FlowId>& FairShare::solve() {
  results_.clear();
  for (const std::uint32_t id : lonely_) {
    flows_[id].rate = flows_[id].bound;
    results_.emplace_back(id);
  }
  lonely_.clear();
  if (changed_.empty()) return results_;
  ++visit_;
  std::erase_if(changed_, [&](std::uint32_t id) {
    const bool alone = solve_alone(id);
    if (alone) resources_[id].changed = false;
    return alone;
  });
  find_begin();
  for (const std::uint32_t id : changed_) {
    resources_[id].changed = false;
    meet(id, begin_);
  }
  changed_.clear();
  begin_ = kUnbounded;
  fill();
  return results_;
}

// Where nobody, or one flow that shares nothing with another, uses the resource, there is nothing
// to fill: most messages of a collective are so.
bool FairShare::solve_alone(std::uint32_t resource) {
  const std::vector<Member>& members = resources_[resource].members;
  if (members.empty()) return true;
  const std::uint32_t id = members.front().flow;
  if (members.size() > 1) return false;
  if (opened_[id] == visit_) return true;
  std::uint32_t by = kNone;
  double level = stops_at_[id];
  for (const Crossing& crossing : crossings_of(id)) {
    const Resource& crossed = resources_[crossing.resource];
    if (crossed.members.size() > 1) return false;
    if (const double full_at = crossed.capacity / crossing.pull; full_at < level)
      level = full_at, by = crossing.resource;
  }
  opened_[id] = visit_;
  stopped_by_[id] = by;
  if (levels_[id] == kNew || !is_same(level, levels_[id])) set_level(id, level);
  return true;
}

// ---- what is solved again ----------------------------------------------------------------------

// Where it would be full if flows stopped where they did: the least L with sum_f pull_f min(L,
// level_f) = C. Found from below, by taking those out that stop before the last guess; any guess is
// below it.
double FairShare::full_at(const Resource& resource) const {
  constexpr int kGuesses = 8;
  double guess = 0;
  for (int i = 0; i < kGuesses; ++i) {
    double left = resource.capacity, pull = 0;
    for (const Member& member : resource.members) {
      const double level = levels_[member.flow];
      if (level < guess) {
        left -= member.pull * level;
      } else {
        pull += member.pull;
      }
    }
    if (pull == 0) return kUnbounded;
    const double better = left / pull;
    if (better <= guess) break;
    guess = better;
  }
  return guess;
}

void FairShare::find_begin() {
  constexpr double kRounding = 1e-9;  // a lower beginning is a bit more work, no other result
  for (const std::uint32_t id : changed_)
    begin_ = std::min(begin_, full_at(resources_[id]));
  begin_ *= 1 - kRounding;
}

void FairShare::meet(std::uint32_t id, double level) {
  resources_[id].visit = visit_;
  Filling filling{resources_[id].capacity, 0, 0};
  for (const Member& member : resources_[id].members) {
    const std::uint32_t flow = member.flow;
    if (opened_[flow] != visit_ && levels_[flow] >= level) open(flow);
    if (is_open_[flow] != 0) {
      filling.pull += member.pull;
      ++filling.open;
    } else {
      filling.left -= member.pull * levels_[flow];
    }
  }
  fillings_[id] = filling;
  if (filling.open > 0) push({filling.full_at(), id, Event::full});
}

void FairShare::open(std::uint32_t id) {
  opened_[id] = visit_;
  is_open_[id] = 1;
  ++open_count_;
  const std::uint32_t by = stopped_by_[id];
  if (by == kNone) {
    if (stops_at_[id] != kUnbounded) push({stops_at_[id], id, Event::bound});
    return;
  }
  Resource& resource = resources_[by];
  if (resource.former_visit != visit_) {
    resource.former_visit = visit_;
    resource.first_former = kNone;
    push({levels_[id] * (1 + kLate), by, Event::former});
  }
  next_former_[id] = resource.first_former;
  resource.first_former = id;
}

// ---- progressive filling -----------------------------------------------------------------------

void FairShare::fill() {
  double level = 0;  // only grows, whatever rounding says
  while (open_count_ > 0) {
    const Stop stop = stops_.front();
    if (stop.event == Event::full) {
      const Filling& filling = fillings_[stop.id];
      const double full_at = filling.open > 0 ? filling.full_at() : kUnbounded;
      if (full_at > stop.level) {
        full_at == kUnbounded ? pop() : sink(0, {full_at, stop.id, Event::full});
        continue;
      }
    }
    pop();
    if (stop.level > level * (1 + kTogether)) level = stop.level;
    happen(stop, level);
  }
  stops_.clear();
}

void FairShare::happen(const Stop& stop, double level) {
  switch (stop.event) {
    case Event::full:
      for (const Member& member : resources_[stop.id].members) {
        if (is_open_[member.flow] == 0) continue;
        stopped_by_[member.flow] = stop.id;
        fix(member.flow, level);
      }
      return;
    case Event::bound:
      if (is_open_[stop.id] == 0) return;
      stopped_by_[stop.id] = kNone;
      return fix(stop.id, stops_at_[stop.id]);
    case Event::former: {
      resources_[stop.id].former_visit = 0;  // whoever is opened later has an event of its own
      std::uint32_t next = kNone;
      for (std::uint32_t flow = resources_[stop.id].first_former; flow != kNone; flow = next) {
        next = next_former_[flow];
        if (is_open_[flow] == 0) continue;
        is_met(stop.id) ? go_beyond(flow, level) : fix(flow, levels_[flow]);
      }
      return;
    }
  }
}

// Beyond the level where it was fixed before.
void FairShare::go_beyond(std::uint32_t id, double level) {
  if (stops_at_[id] != kUnbounded) push({stops_at_[id], id, Event::bound});
  for (const Crossing& crossing : crossings_of(id)) {
    if (!is_met(crossing.resource)) meet(crossing.resource, level);
  }
}

void FairShare::fix(std::uint32_t id, double level) {
  is_open_[id] = 0;
  --open_count_;
  const bool changes = levels_[id] == kNew || !is_same(level, levels_[id]);
  if (changes) set_level(id, level);
  for (const Crossing& crossing : crossings_of(id)) {
    if (is_met(crossing.resource)) {
      Filling& filling = fillings_[crossing.resource];
      filling.left -= crossing.pull * levels_[id];
      filling.pull -= crossing.pull;
      --filling.open;
    } else if (changes) {
      meet(crossing.resource, level);
    }
  }
}

void FairShare::set_level(std::uint32_t id, double level) {
  Flow& flow = flows_[id];
  levels_[id] = level;
  flow.rate = stops_at_[id] <= level ? flow.bound : flow.weight * level;
  results_.emplace_back(id);
}

// A heap of what comes, the first first.
void FairShare::push(const Stop& stop) {
  std::size_t hole = stops_.size();
  stops_.push_back(stop);
  while (hole > 0 && stop.level < stops_[(hole - 1) / 2].level) {
    stops_[hole] = stops_[(hole - 1) / 2];
    hole = (hole - 1) / 2;
  }
  stops_[hole] = stop;
}

void FairShare::pop() {
  const Stop last = stops_.back();
  stops_.pop_back();
  if (!stops_.empty()) sink(0, last);
}

void FairShare::sink(std::size_t hole, const Stop& stop) {
  Stop* const stops = stops_.data();
  const std::size_t size = stops_.size();
  for (std::size_t child = 2 * hole + 1; child < size; child = 2 * hole + 1) {
    const bool has_two = child + 1 < size;
    child += has_two && stops[child + 1].level < stops[child].level ? 1U : 0U;
    if (!(stops[child].level < stop.level)) break;
    stops[hole] = stops[child];
    hole = child;
  }
  stops[hole] = stop;
}

double FairShare::load(ResourceId id) const {
  double sum = 0;
  for (const Member& member : resources_[id.index()].members) {
    const Flow& flow = flows_[member.flow];
    sum += member.pull / flow.weight * flow.rate;
  }
  return sum;
}

}  // namespace rehearse::sim
