#include "model/schedule/buckets.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/sequential_vertex_coloring.hpp>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "model/base/random.h"

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

// By class and class: whether a rank holds both.
std::vector<std::vector<bool>> conflicts(const std::vector<HolderClass>& classes) {
  std::vector<std::vector<bool>> conflict(classes.size(), std::vector<bool>(classes.size()));
  for (std::size_t a = 0; a < classes.size(); ++a) {
    for (std::size_t b = a; b < classes.size(); ++b) {
      conflict[a][b] = conflict[b][a] = intersect(classes[a].workers, classes[b].workers) &&
                                        intersect(classes[a].pipeline, classes[b].pipeline);
    }
  }
  return conflict;
}

// Colours buckets, which stand in order of readiness, so that those that conflict differ.
class Colouring {
 public:
  Colouring(const std::vector<Bucket>& buckets, const std::vector<HolderClass>& classes)
      : graph_(buckets.size()), colours_(buckets.size(), 0) {
    const std::vector<std::vector<bool>> conflict = conflicts(classes);
    for (std::size_t a = 0; a < buckets.size(); ++a) {
      const std::vector<bool>& of_a = conflict[buckets[a].holder_class];
      for (std::size_t b = a + 1; b < buckets.size(); ++b) {
        if (of_a[buckets[b].holder_class]) boost::add_edge(a, b, graph_);
      }
    }
    fewest_ = most_of_a_rank(buckets, classes);
  }

  // First by readiness. Where that takes more colours than the busiest rank has buckets, by
  // saturation (DSATUR: Brelaz, "New methods to color the vertices of a graph", CACM 22, 1979),
  // which goes around a circle of windows; then by iterated greedy (Culberson, Luo, "Exploring the
  // k-colorable landscape with iterated greedy", DIMACS 26, 1996): colour by colour in another
  // order never takes more, and often fewer. Colours are numbered by the mean readiness of their
  // buckets.
  std::vector<std::size_t> run() {
    std::vector<std::size_t> order(colours_.size());
    std::iota(order.begin(), order.end(), 0);
    std::size_t count = greedy(order);
    if (count == fewest_) return colours_;
    const std::vector<std::size_t> by_readiness = colours_;
    const std::size_t saturated = greedy(order_of_saturation());
    if (saturated >= count) colours_ = by_readiness;
    count = std::min(count, saturated);
    Random random(1, 0);
    const std::size_t rounds = kEdges / (1 + boost::num_edges(graph_));
    for (std::size_t round = 0; round < std::min(kRounds, rounds) && count > fewest_; ++round)
      count = greedy(another_order(count, random));
    number_by_readiness(count);
    return colours_;
  }

 private:
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS>;
  static constexpr std::size_t kRounds = 200, kEdges = 20'000'000;  // that are looked at in all

  static std::size_t most_of_a_rank(const std::vector<Bucket>& buckets,
                                    const std::vector<HolderClass>& classes) {
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> had;  // by worker and pipeline rank
    std::size_t most = 0;
    for (const Bucket& bucket : buckets) {
      const HolderClass& it = classes[bucket.holder_class];
      for (std::size_t w = 0; w < it.workers.size(); ++w) {
        for (std::size_t p = 0; p < it.pipeline.size(); ++p) {
          if (it.workers[w] && it.pipeline[p]) most = std::max(most, ++had[{w, p}]);
        }
      }
    }
    return most;
  }

  std::size_t greedy(const std::vector<std::size_t>& order) {
    const auto index = get(boost::vertex_index, graph_);
    return boost::sequential_vertex_coloring(
        graph_, boost::make_iterator_property_map(order.begin(), index),
        boost::make_iterator_property_map(colours_.begin(), index));
  }

  // Always the one whose neighbours have most colours, the first ready of several.
  std::vector<std::size_t> order_of_saturation() const {
    const std::size_t count = boost::num_vertices(graph_);
    std::vector<std::set<std::size_t>> near(count);  // colours of neighbours
    std::vector<bool> done(count, false);
    std::vector<std::size_t> order;
    while (order.size() < count) {
      std::size_t next = count;
      for (std::size_t v = 0; v < count; ++v) {
        if (!done[v] && (next == count || near[v].size() > near[next].size())) next = v;
      }
      std::size_t colour = 0;
      while (near[next].count(colour) > 0)
        ++colour;
      done[next] = true;
      order.push_back(next);
      for (const auto neighbour :
           boost::make_iterator_range(boost::adjacent_vertices(next, graph_)))
        near[neighbour].insert(colour);
    }
    return order;
  }

  // All of a colour together.
  std::vector<std::size_t> another_order(std::size_t count, Random& random) const {
    std::vector<std::size_t> place(count);
    std::iota(place.begin(), place.end(), 0);
    random.shuffle(std::span(place));
    std::vector<std::size_t> next(count + 1, 0);  // by place of a colour: of its next bucket
    for (const std::size_t colour : colours_)
      ++next[place[colour] + 1];
    std::partial_sum(next.begin(), next.end(), next.begin());
    std::vector<std::size_t> order(colours_.size());
    for (std::size_t bucket = 0; bucket < order.size(); ++bucket)
      order[next[place[colours_[bucket]]]++] = bucket;
    return order;
  }

  void number_by_readiness(std::size_t count) {
    std::vector<double> sum(count, 0), buckets(count, 0);
    for (std::size_t bucket = 0; bucket < colours_.size(); ++bucket) {
      sum[colours_[bucket]] += static_cast<double>(bucket);
      ++buckets[colours_[bucket]];
    }
    std::vector<std::size_t> by_readiness(count), number(count);
    std::iota(by_readiness.begin(), by_readiness.end(), 0);
    std::stable_sort(by_readiness.begin(), by_readiness.end(), [&](std::size_t a, std::size_t b) {
      return sum[a] * buckets[b] < sum[b] * buckets[a];
    });
    for (std::size_t k = 0; k < count; ++k)
      number[by_readiness[k]] = k;
    for (std::size_t& colour : colours_)
      colour = number[colour];
  }

  Graph graph_;
  std::vector<std::size_t> colours_;
  std::size_t fewest_ = 0;
};

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
  const std::vector<std::size_t> colours = Colouring(buckets, classes).run();
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
