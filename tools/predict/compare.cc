#include "tools/predict/compare.h"

#include "cost/error_band.h"
#include "tools/summary/subnetworks.h"

namespace rehearse {
namespace {

// A node's memory is its ranks' together on CPUs, and devices may differ.
std::optional<Bytes> memory_of_each(const ClusterSpec& cluster) {
  if (cluster.device.kind == DeviceKind::cpu) return std::nullopt;
  for (const RankException& exception : cluster.ranks) {
    if (exception.device && exception.device->memory != cluster.device.memory) return std::nullopt;
  }
  return cluster.device.memory;
}

PredictedStep step_of(const StrategySummary& s) {
  return {run_time_per_step(s), step_shares(s.compute, s.exposed_communication)};
}

}  // namespace

void compare(const ClusterSpec& cluster, Summary& summary) {
  summary.device_memory = memory_of_each(cluster);
  const auto errors = errors_of(cluster);
  if (!errors) return;
  std::vector<StrategySummary>& all = summary.strategies;
  for (std::size_t a = 0; a < all.size(); ++a) {
    for (std::size_t b = 0; b < all.size(); ++b) {
      if (a != b && !can_be_told_apart(step_of(all[a]), step_of(all[b]), *errors))
        all[a].alike.push_back(b);
    }
  }
}

}  // namespace rehearse
