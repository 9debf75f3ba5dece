#include "tools/predict/link_use.h"

#include <algorithm>

namespace rehearse {
namespace {

// Means over parts of [0, length) of what is constant between its moments and 0 before and after.
std::vector<double> means(const std::vector<std::pair<Time, double>>& shares, Time origin,
                          Seconds length, std::size_t parts) {
  std::vector<double> sums(parts, 0);
  const double part = length.seconds() / static_cast<double>(parts);
  for (std::size_t s = 0; s + 1 < shares.size(); ++s) {
    const double from = (shares[s].first - origin).seconds().seconds() / part,
                 to = (shares[s + 1].first - origin).seconds().seconds() / part;
    const auto last = std::min(static_cast<std::size_t>(std::max(to, 0.0)), parts - 1);
    for (auto p = static_cast<std::size_t>(std::max(from, 0.0)); p <= last; ++p) {
      const auto begin = static_cast<double>(p);
      sums[p] += shares[s].second * std::max(0.0, std::min(to, begin + 1) - std::max(from, begin));
    }
  }
  return sums;
}

}  // namespace

std::vector<LinkId> busiest_links(const Cluster& cluster, const StrategySummary& summary,
                                  std::size_t most) {
  std::vector<const LinkSummary*> busiest;
  for (const LinkSummary& link : summary.links)
    busiest.push_back(&link);
  std::stable_sort(busiest.begin(), busiest.end(),
                   [](const auto* a, const auto* b) { return a->utilisation > b->utilisation; });
  busiest.resize(std::min(busiest.size(), most));
  std::map<std::string, LinkId> numbers;
  for (std::size_t l = 0; l < cluster.links().size(); ++l)
    numbers.emplace(cluster.links()[l].name, LinkId(l));
  std::vector<LinkId> links;
  for (const LinkSummary* link : busiest)
    links.push_back(numbers.at(link->name));
  return links;
}

std::vector<LinkCurve> link_curves(const Prediction& prediction, const Cluster& cluster,
                                   const std::vector<LinkId>& links, std::size_t parts) {
  const PicturedStep pictured = pictured_step(prediction.timeline, kWarmUp);
  const LinkLoads loads(prediction.plan, cluster, prediction.timeline, pictured.step);
  Seconds length;
  for (const PictureSpan& span : prediction.summary.picture)
    length = std::max(length, span.end);
  std::vector<LinkCurve> curves;
  for (const LinkId link : links)
    curves.push_back({cluster.links()[link.index()].name,
                      means(loads.utilisation(link), pictured.origin, length, parts)});
  return curves;
}

std::vector<TraceCounter> link_counters(const Prediction& prediction, const Cluster& cluster,
                                        const std::vector<LinkId>& links) {
  std::vector<TraceCounter> counters;
  for (const LinkId link : links)
    counters.push_back({std::nullopt, cluster.links()[link.index()].name, "utilisation", {}});
  for (std::int64_t step = 0; step < prediction.timeline.steps; ++step) {
    const LinkLoads loads(prediction.plan, cluster, prediction.timeline, step);
    for (std::size_t l = 0; l < links.size(); ++l) {
      for (const auto& moment : loads.utilisation(links[l]))
        counters[l].values.push_back(moment);
    }
  }
  return counters;
}

}  // namespace rehearse
