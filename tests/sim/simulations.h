// Clusters and prices that can be worked out by hand.
#pragma once

#include <gtest/gtest.h>

#include "sim/simulate.h"
#include "tests/cluster/machines.h"
#include "tests/schedule/plans.h"

namespace rehearse::testing {

inline Seconds seconds(double s) {
  return Seconds::seconds(s);
}

inline Cluster built(const ClusterSpec& spec) {
  Result<Cluster> cluster = Cluster::build(spec);
  EXPECT_TRUE(cluster.ok());
  return *std::move(cluster);
}

// GPUs under one switch, each with a link of its own.
inline ClusterSpec gpus(std::int64_t nodes, double bytes_per_second = 1e9, double latency = 0) {
  ClusterSpec spec = crossbar(nodes);
  spec.network.link = {BytesPerSecond::bytes_per_second(bytes_per_second), seconds(latency)};
  return spec;
}

// One node whose ranks share `cores` cores and 10 GB/s.
inline ClusterSpec cpu_node(std::int64_t ranks, std::vector<double> capacity) {
  ClusterSpec spec = single_node(ranks);
  spec.device.kind = DeviceKind::cpu;
  spec.device.memory_bandwidth = BytesPerSecond::gigabytes_per_second(10);
  spec.device.capacity = std::move(capacity);
  return spec;
}

// Every forward op takes so long, every backward op so long, the rest nothing.
inline Prices prices(const Plan& plan, Seconds forward, Seconds backward) {
  Prices prices;
  for (const RankProgram& program : plan.programs) {
    auto& ops = prices.ops.emplace_back();
    for (const Op& op : program.ops) {
      OpPrice& price = ops.emplace_back();
      if (op.kind == OpKind::forward) price.seconds = forward;
      if (op.kind == OpKind::backward) price.seconds = backward;
    }
  }
  return prices;
}

inline sim::Outcome played(const Plan& plan, const ClusterSpec& spec, const Prices& prices,
                           std::int64_t steps = 4) {
  Result<sim::Outcome> outcome = sim::simulate(plan, built(spec), prices, steps);
  EXPECT_TRUE(outcome.ok()) << format(outcome.errors());
  return *std::move(outcome);
}

}  // namespace rehearse::testing
