#include "tools/predict/link_use.h"

#include <algorithm>
#include <map>

#include "tools/predict/folded.h"

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

std::vector<LinkId> busiest_links(const Plan& plan, const Cluster& cluster, std::size_t most) {
  const std::vector<Bytes> bytes = bytes_of_others(plan, 0, cluster);
  std::vector<std::pair<Seconds, LinkId>> busiest;
  for (std::size_t l = 0; l < bytes.size(); ++l) {
    if (bytes[l] > Bytes{})
      busiest.emplace_back(bytes[l] / cluster.links()[l].bandwidth, LinkId(l));
  }
  std::stable_sort(busiest.begin(), busiest.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  busiest.resize(std::min(busiest.size(), most));
  std::vector<LinkId> links;
  for (const auto& [seconds, link] : busiest)
    links.push_back(link);
  return links;
}

std::vector<std::pair<Time, double>> utilisation(const std::vector<sim::LinkFlow>& flows,
                                                 LinkId link, BytesPerSecond bandwidth) {
  struct Change {
    int flows = 0;
    double share = 0;
  };
  std::map<Time, Change> changes;
  for (const sim::LinkFlow& flow : flows) {
    if (flow.link != link || flow.begin == flow.end) continue;
    const double share =
        flow.bytes / (flow.end - flow.begin).seconds().seconds() / bandwidth.bytes_per_second();
    Change &begin = changes[flow.begin], &end = changes[flow.end];
    ++begin.flows, begin.share += share;
    --end.flows, end.share -= share;
  }
  std::vector<std::pair<Time, double>> shares;
  int under_way = 0;
  double share = 0;
  for (const auto& [time, change] : changes) {
    under_way += change.flows;
    share = under_way == 0 ? 0 : share + change.share;  // without what rounding has left
    shares.emplace_back(time, share);
  }
  return shares;
}

std::vector<LinkCurve> link_curves(const Prediction& prediction, const Cluster& cluster,
                                   std::size_t parts) {
  const PicturedStep pictured = pictured_step(prediction.timeline, kWarmUp);
  Seconds length;
  for (const PictureSpan& span : prediction.summary.picture)
    length = std::max(length, span.end);
  std::vector<LinkCurve> curves;
  for (const LinkId id : prediction.watched) {
    const Link& link = cluster.links()[id.index()];
    curves.push_back({link.name, means(utilisation(prediction.flows, id, link.bandwidth),
                                       pictured.origin, length, parts)});
  }
  return curves;
}

std::vector<TraceCounter> link_counters(const Prediction& prediction, const Cluster& cluster) {
  std::vector<TraceCounter> counters;
  for (const LinkId id : prediction.watched) {
    const Link& link = cluster.links()[id.index()];
    counters.push_back({std::nullopt, link.name, "utilisation",
                        utilisation(prediction.flows, id, link.bandwidth)});
  }
  return counters;
}

}  // namespace rehearse
