#include "model/schedule/build_plan/own_classes.h"

#include <algorithm>

namespace rehearse {
namespace {

std::size_t bind(OwnClasses& own, GroupId group) {
  own.groups.push_back(group);
  return own.groups.size() - 1;
}

// Whether who holds something after the next draw goes on with the moments that were parked with
// it, or needs its master copy, which is kept beside them.
bool parks_state(const SubnetworkSpec& subnetwork, const Training& training) {
  const StateSizes sizes = state_sizes(training);
  const bool has_master = sizes.optimizer > moments_of(training.optimizer) * sizes.moment;
  return subnetwork.redraw && (subnetwork.moments == Moments::keep || has_master);
}

// Classes that ranks of one pipeline share are gathered by these at different times.
Sharding sharding_of(const StrategySpec& strategy, const HolderClass& holder_class,
                     std::size_t holders) {
  const auto sharers = std::count(holder_class.pipeline.begin(), holder_class.pipeline.end(), true);
  return holders > 1 && sharers == 1 ? strategy.sharding : Sharding::none;
}

}  // namespace

OwnClasses own_classes(const StrategySpec& strategy, const Plan& frame,
                       const std::vector<HolderClass>& classes, const PlanGroups& groups,
                       const MeshPlace& place) {
  OwnClasses own;
  own.slots.resize(classes.size());
  for (std::size_t number = 0; number < classes.size(); ++number) {
    const HolderClass& holder_class = classes[number];
    if (!uses(holder_class, place)) continue;
    const bool is_held = holds(holder_class, place);
    const bool is_read = groups.has_readers(number);
    const bool is_parked = holder_class.parked == replica_at(frame.mesh, place);
    if (!is_held && !is_read && !is_parked) continue;
    const auto workers = std::count(holder_class.workers.begin(), holder_class.workers.end(), true);
    const bool over_all = frame.averaging == Averaging::all;
    const std::size_t holders = groups.holders(number);
    OwnClass entry{&holder_class, std::nullopt, holders,
                   frame.mesh.data * (over_all ? frame.mesh.workers : workers),
                   is_held ? sharding_of(strategy, holder_class, holders) : Sharding::none};
    entry.layout = groups.layout(number);
    entry.is_held = is_held;
    entry.keeps_state = is_held || (is_parked && parks_state(*strategy.subnetwork, frame.training));
    if (is_held && holders > 1) entry.group = bind(own, groups.holders_with(number, place));
    if (is_read) entry.readers = bind(own, groups.readers_with(number, place));
    if (is_held) own.slots[number] = own.classes.size();
    own.classes.push_back(entry);
  }
  if (const auto tensor = groups.tensor_with(place)) own.tensor_group = bind(own, *tensor);
  if (const auto norm = groups.norm_with(place)) own.norm_group = bind(own, *norm);
  return own;
}

}  // namespace rehearse
