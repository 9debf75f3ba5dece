#include "model/schedule/buckets.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/sequential_vertex_coloring.hpp>
#include <map>
#include <numeric>
#include <tuple>

namespace rehearse {
namespace {

// By parameter: the ranks of the pipeline with a layer that uses it.
std::vector<std::vector<bool>> ranks_using(const Net& net, const std::vector<SegmentId>& starts,
                                           const std::vector<std::size_t>& ranks) {
  const std::size_t count = 1 + *std::max_element(ranks.begin(), ranks.end());
  std::vector<std::vector<bool>> uses(net.parameters.size(), std::vector<bool>(count, false));
  for (std::size_t stage = 0; stage < ranks.size(); ++stage) {
    for (const ParameterId parameter : parameters_of(net, starts[stage], starts[stage + 1])) {
      uses[parameter.index()][ranks[stage]] = true;
    }
  }
  return uses;
}

std::vector<bool> workers_holding(const Parameter& parameter,
                                  const std::vector<Subnetwork>& workers) {
  std::vector<bool> holding;
  for (const Subnetwork& worker : workers) {
    holding.push_back(!parameter.unit || worker.holds[parameter.unit->index()]);
  }
  return holding;
}

bool intersect(const std::vector<bool>& a, const std::vector<bool>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] && b[i]) return true;
  }
  return false;
}

bool conflict(const HolderClass& a, const HolderClass& b) {
  return intersect(a.workers, b.workers) && intersect(a.pipeline, b.pipeline);
}

std::vector<Bucket> cut_class(const Net& net, const HolderClass& holder_class, std::size_t number,
                              const BucketRule& rule) {
  std::vector<Bucket> buckets;
  std::int64_t element = 0;
  bool full = true;
  for (const ParameterId id : holder_class.parameters) {
    const Parameter& parameter = net.parameters[id.index()];
    const BlockId block = net.segments[parameter.segment.index()].block;
    if (rule.by_block)
      full = buckets.empty() || net.segments[buckets.back().first_use.index()].block != block;
    if (full) buckets.push_back({number, element, element, {}, parameter.segment});
    Bucket& bucket = buckets.back();
    element += parameter.shape.elements();
    bucket.end = element;
    bucket.parameters.push_back(id);
    bucket.first_use = std::min(bucket.first_use, parameter.segment);
    full = (bucket.end - bucket.begin) * rule.gradient_bytes >= rule.size.bytes();
  }
  return buckets;
}

// Buckets in order of readiness -> their colours.
std::vector<std::size_t> colour(const std::vector<Bucket>& buckets,
                                const std::vector<HolderClass>& classes) {
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS>;
  Graph graph(buckets.size());
  for (std::size_t a = 0; a < buckets.size(); ++a) {
    for (std::size_t b = a + 1; b < buckets.size(); ++b) {
      if (conflict(classes[buckets[a].holder_class], classes[buckets[b].holder_class])) {
        boost::add_edge(a, b, graph);
      }
    }
  }
  std::vector<std::size_t> colours(buckets.size(), 0);
  boost::sequential_vertex_coloring(
      graph, boost::make_iterator_property_map(colours.begin(), get(boost::vertex_index, graph)));
  return colours;
}

}  // namespace

std::vector<HolderClass> holder_classes(const Net& net, const std::vector<Subnetwork>& workers,
                                        const std::vector<SegmentId>& starts,
                                        const std::vector<std::size_t>& ranks,
                                        const std::vector<std::optional<std::size_t>>& parked) {
  const auto users = ranks_using(net, starts, ranks);
  std::vector<ParameterId> order = parameters_of(net, SegmentId(0), end_segment(net));
  std::reverse(order.begin(), order.end());
  std::vector<HolderClass> classes;
  using Key = std::tuple<std::vector<bool>, std::vector<bool>, bool, std::optional<std::size_t>>;
  std::map<Key, std::size_t> known;
  for (const ParameterId id : order) {
    const Parameter& parameter = net.parameters[id.index()];
    const std::vector<bool> holding = workers_holding(parameter, workers);
    const bool partial = parameter.spread == Spread::partial;
    const auto place =
        parameter.unit && !parked.empty() ? parked[parameter.unit->index()] : std::nullopt;
    const auto [slot, is_new] =
        known.try_emplace({holding, users[id.index()], partial, place}, classes.size());
    if (is_new) classes.push_back({holding, users[id.index()], partial, {}, 0, place});
    HolderClass& holder_class = classes[slot->second];
    holder_class.parameters.push_back(id);
    holder_class.elements += parameter.shape.elements();
  }
  return classes;
}

std::vector<Bucket> cut_buckets(const Net& net, const std::vector<HolderClass>& classes,
                                const BucketRule& rule) {
  std::vector<Bucket> buckets;
  for (std::size_t number = 0; number < classes.size(); ++number) {
    if (classes[number].parked) continue;
    const auto part = cut_class(net, classes[number], number, rule);
    buckets.insert(buckets.end(), part.begin(), part.end());
  }
  std::stable_sort(buckets.begin(), buckets.end(),
                   [](const Bucket& a, const Bucket& b) { return a.first_use > b.first_use; });
  const std::vector<std::size_t> colours = colour(buckets, classes);
  std::vector<std::size_t> order(buckets.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return colours[a] < colours[b]; });
  std::vector<Bucket> sorted;
  for (const std::size_t bucket : order)
    sorted.push_back(std::move(buckets[bucket]));
  return sorted;
}

}  // namespace rehearse
