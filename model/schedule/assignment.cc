#include "model/schedule/assignment.h"

#include <algorithm>
#include <boost/pending/disjoint_sets.hpp>
#include <cmath>
#include <map>
#include <numeric>

#include "model/base/check.h"
#include "model/base/random.h"
#include "model/net/alike.h"
#include "model/schedule/leveller.h"

namespace rehearse {
namespace {

// Streams of the scenario's seed that no parameter and no epoch uses.
constexpr std::uint64_t kAssignmentStream = 0x61737369676e0000;

// A draw's random numbers.
Random random_of(const AssignmentDraw& draw) {
  return Random(draw.seed, kAssignmentStream + static_cast<std::uint64_t>(draw.number));
}

// Those with the same load and shape, which may stand for one another, largest loads first.
std::vector<std::vector<std::size_t>> classes_of(const Net& net, const std::vector<double>& loads,
                                                 Random& random) {
  std::vector<std::size_t> order(net.units.size());
  std::iota(order.begin(), order.end(), 0);
  random.shuffle(std::span(order));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (loads[a] != loads[b]) return loads[a] > loads[b];
    return net.units[a].shape_class < net.units[b].shape_class;
  });
  std::vector<std::vector<std::size_t>> classes;
  for (const std::size_t unit : order) {
    const bool goes_on =
        !classes.empty() && loads[classes.back().front()] == loads[unit] &&
        net.units[classes.back().front()].shape_class == net.units[unit].shape_class;
    if (!goes_on) classes.emplace_back();
    classes.back().push_back(unit);
  }
  return classes;
}

// Window after window, around the workers in this order. In later draws every class begins
// anywhere: where each has one unit there would be nothing else to draw.
Assignment cyclic_windows(const std::vector<std::vector<std::size_t>>& classes,
                          const std::vector<std::size_t>& workers, std::int64_t holders,
                          const AssignmentDraw& draw, Random& random) {
  Assignment assignment{std::ssize(workers), {}};
  std::size_t units = 0, start = 0;
  for (const auto& units_of_class : classes)
    units += units_of_class.size();
  assignment.holders.assign(units, std::vector<bool>(workers.size()));
  for (const auto& units_of_class : classes) {
    if (draw.number > 0) start = random.below(workers.size());
    for (const std::size_t unit : units_of_class) {
      for (std::size_t k = 0; k < static_cast<std::size_t>(holders); ++k)
        assignment.holders[unit][workers[(start + k) % workers.size()]] = true;
      ++start;
    }
  }
  return assignment;
}

// In what order windows go around them: in later draws in any.
std::vector<std::size_t> workers_in_turn(std::int64_t workers, const AssignmentDraw& draw,
                                         Random& random) {
  std::vector<std::size_t> order(static_cast<std::size_t>(workers));
  std::iota(order.begin(), order.end(), 0);
  if (draw.number > 0) random.shuffle(std::span(order));
  return order;
}

std::vector<double> parameters_by_unit(const Net& net) {
  std::vector<double> loads(net.units.size(), 0);
  for (const Parameter& parameter : net.parameters) {
    if (parameter.unit)
      loads[parameter.unit->index()] += static_cast<double>(parameter.shape.elements());
  }
  return loads;
}

Net without_unit(const Net& net, std::size_t unit, Masking masking) {
  Subnetwork without = full_subnetwork(net);
  without.holds[unit] = false;
  return masking == Masking::forward ? restrict(net, without) : freeze(net, without);
}

std::vector<double> flops_by_unit(const Net& net, Masking masking) {
  const std::vector<std::size_t> alike = alike_blocks(net);
  const double all = flops_of(net, 1).total().flops();
  std::map<std::pair<std::size_t, std::size_t>, double> known;  // by alike block and place in it
  std::vector<double> loads;
  for (std::size_t unit = 0, first = 0; unit < net.units.size(); ++unit) {
    const BlockId block = net.units[unit].block;
    if (net.units[first].block != block) first = unit;
    const auto [load, is_new] = known.try_emplace({alike[block.index()], unit - first});
    if (is_new) load->second = all - flops_of(without_unit(net, unit, masking), 1).total().flops();
    loads.push_back(load->second);
  }
  return loads;
}

double saved_bytes(const Net& net) {
  const SegmentId end = end_segment(net);
  return static_cast<double>(
      lower(net, SegmentId(0), end, Pass::forward, 1, ElementSizes{}).saved.bytes());
}

// Of alike blocks, too, each by itself: whether a value is saved is for its readers to say.
std::vector<double> saved_by_unit(const Net& net, Masking masking) {
  const double all = saved_bytes(net);
  std::vector<double> loads;
  for (std::size_t unit = 0; unit < net.units.size(); ++unit)
    loads.push_back(all - saved_bytes(without_unit(net, unit, masking)));
  return loads;
}

// shares: of the load, by worker, relative to one another.
Assignment level_units(const Net& net, const std::vector<double>& loads, std::int64_t workers,
                       std::int64_t holders, const AssignmentDraw& draw,
                       const std::vector<double>& shares) {
  REHEARSE_CHECK(holders >= 1 && holders <= workers, "{} holders among {} workers", holders,
                 workers);
  Random random = random_of(draw);
  const auto classes = classes_of(net, loads, random);
  const auto turn = workers_in_turn(workers, draw, random);
  Assignment start = cyclic_windows(classes, turn, holders, draw, random);
  return levelled(std::move(start), loads, shares);
}

}  // namespace

std::vector<double> unit_loads(const Net& net, Balance balance, Masking masking) {
  switch (balance) {
    case Balance::parameters:
      return parameters_by_unit(net);
    case Balance::flops:
      return flops_by_unit(net, masking);
    case Balance::saved:
      return saved_by_unit(net, masking);
  }
  REHEARSE_UNREACHABLE("balance");
}

Assignment assign_units(const Net& net, const std::vector<double>& loads, std::int64_t workers,
                        std::int64_t holders, const AssignmentDraw& draw) {
  const std::vector<double> alike(static_cast<std::size_t>(workers), 1.0);
  return level_units(net, loads, workers, holders, draw, alike);
}

Assignment assign_units(const Net& net, const std::vector<double>& loads,
                        const std::vector<double>& coverages, const AssignmentDraw& draw) {
  const double all = std::accumulate(coverages.begin(), coverages.end(), 0.0);
  std::vector<std::size_t> partial;
  std::vector<double> shares;
  for (std::size_t worker = 0; worker < coverages.size(); ++worker) {
    if (coverages[worker] == 1) continue;
    partial.push_back(worker);
    shares.push_back(coverages[worker]);
  }
  Assignment assignment{std::ssize(coverages), {}};
  assignment.holders.assign(loads.size(), std::vector<bool>(coverages.size(), true));
  if (partial.empty()) return assignment;
  const std::int64_t holders = std::llround(all) - std::ssize(coverages) + std::ssize(partial);
  const Assignment others = level_units(net, loads, std::ssize(partial), holders, draw, shares);
  for (std::size_t unit = 0; unit < loads.size(); ++unit) {
    for (std::size_t k = 0; k < partial.size(); ++k)
      assignment.holders[unit][partial[k]] = others.holders[unit][k];
  }
  return assignment;
}

Assignment assign_widths(const Net& net, std::int64_t workers, std::int64_t holders,
                         const AssignmentDraw& draw) {
  const auto all = static_cast<std::size_t>(workers);
  REHEARSE_CHECK(net.units.size() % all == 0, "{} units of widths for {} workers", net.units.size(),
                 workers);
  Assignment assignment{workers, {}};
  assignment.holders.assign(net.units.size(), std::vector<bool>(all));
  Random random = random_of(draw);
  const auto turn = workers_in_turn(workers, draw, random);
  std::size_t start = 0;
  for (std::size_t first = 0; first < net.units.size(); first += all) {
    std::vector<std::size_t> order(all);
    std::iota(order.begin(), order.end(), first);
    random.shuffle(std::span(order));
    const auto channels = [&](std::size_t unit) { return net.units[unit].channels; };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return channels(a) > channels(b); });
    for (std::size_t q = 0; q < all; ++q) {
      for (std::size_t k = 0; k < static_cast<std::size_t>(holders); ++k)
        assignment.holders[order[q]][turn[(start + q + k) % all]] = true;
    }
    const auto smallest = channels(order.back());
    start += static_cast<std::size_t>(std::count_if(
        order.begin(), order.end(), [&](std::size_t unit) { return channels(unit) > smallest; }));
  }
  return assignment;
}

Subnetwork subnetwork_of(const Assignment& assignment, std::int64_t worker) {
  Subnetwork subnetwork;
  for (const auto& holders : assignment.holders) {
    subnetwork.holds.push_back(holders[static_cast<std::size_t>(worker)]);
  }
  return subnetwork;
}

std::vector<double> worker_loads(const Assignment& assignment, const std::vector<double>& loads) {
  std::vector<double> sums(static_cast<std::size_t>(assignment.workers), 0);
  for (std::size_t unit = 0; unit < loads.size(); ++unit) {
    for (std::size_t worker = 0; worker < sums.size(); ++worker) {
      if (assignment.holders[unit][worker]) sums[worker] += loads[unit];
    }
  }
  return sums;
}

bool is_connected(const Assignment& assignment) {
  const auto workers = static_cast<std::size_t>(assignment.workers);
  std::vector<std::size_t> rank(workers, 0), parent(workers);
  std::iota(parent.begin(), parent.end(), 0);
  boost::disjoint_sets<std::size_t*, std::size_t*> sets(rank.data(), parent.data());
  for (const auto& holders : assignment.holders) {
    const auto first = std::find(holders.begin(), holders.end(), true);
    for (auto other = first; other != holders.end(); ++other) {
      if (*other)
        sets.union_set(static_cast<std::size_t>(first - holders.begin()),
                       static_cast<std::size_t>(other - holders.begin()));
    }
  }
  for (std::size_t worker = 1; worker < workers; ++worker) {
    if (sets.find_set(worker) != sets.find_set(std::size_t{0})) return false;
  }
  return true;
}

}  // namespace rehearse
