#include "bench/network_ratio/workload.h"
#include "model/base/check.h"
#include "sim/engine.h"
#include "sim/machine.h"
#include "sim/simulate.h"

namespace rehearse::bench {
namespace {

Cluster cluster_of(const Platform& platform) {
  ClusterSpec spec;
  spec.nodes = static_cast<std::int64_t>(platform.hosts);
  spec.network.kind = NetworkKind::crossbar;
  spec.network.link = {BytesPerSecond::bytes_per_second(kBandwidth), Seconds{}};
  if (platform.fat_tree) {
    const auto per_leaf = static_cast<double>(platform.fat_tree->hosts_per_leaf);
    spec.network.kind = NetworkKind::fat_tree;
    spec.network.nodes_per_leaf = static_cast<std::int64_t>(platform.fat_tree->hosts_per_leaf);
    spec.network.oversubscription = per_leaf / static_cast<double>(platform.fat_tree->uplinks);
  }
  return *Cluster::build(spec);
}

Finishes of_messages(const Case& of, const Cluster& cluster) {
  Finishes finishes(of.messages.size());
  sim::Engine engine;
  sim::Machine machine(cluster, {}, engine);
  for (std::size_t i = 0; i < of.messages.size(); ++i) {
    const Message& message = of.messages[i];
    machine.transfer(RankId(message.from), RankId(message.to), Bytes::bytes(message.bytes),
                     [&finishes, &engine, i] { finishes[i] = engine.now().seconds().seconds(); });
  }
  engine.run([&] { machine.settle(); });
  return finishes;
}

// A plan of one all-reduce, played as any other.
Plan ring_of(const Case& of) {
  Plan plan;
  RankProgram& program = plan.programs.emplace_back();
  program.lanes.push_back({LaneKind::collective, {}});
  Collective all_reduce;
  all_reduce.end = chunk_bytes(of) * static_cast<std::int64_t>(of.ring.size());
  all_reduce.element_bytes = 1;
  program.ops.push_back({OpKind::all_reduce, LaneId(0), {}, {}, all_reduce});
  Group& group = plan.groups.emplace_back();
  for (const std::size_t host : of.ring)
    group.members.emplace_back(host);
  for (std::size_t r = 0; r < of.ring.size(); ++r)
    plan.ranks.push_back({RankClassId(0), {}, {GroupId(0)}, 0, 0});
  return plan;
}

Finishes of_ring(const Case& of, const Cluster& cluster) {
  const Plan plan = ring_of(of);
  Prices prices;
  prices.ops = {{OpPrice{}}};
  const auto outcome = sim::simulate(plan, cluster, prices, 1);
  REHEARSE_CHECK(outcome.ok(), "{} ended too early", of.name);
  std::vector<double> by_host(of.ring.size());
  for (const Span& span : outcome->timeline.spans)
    by_host[span.rank.index()] = span.end.seconds().seconds();
  Finishes finishes;
  for (const std::size_t host : of.ring)
    finishes.push_back(by_host[host]);
  return finishes;
}

}  // namespace

Finishes rehearse_finishes(const Case& of) {
  const Cluster cluster = cluster_of(of.platform);
  return of.ring.empty() ? of_messages(of, cluster) : of_ring(of, cluster);
}

}  // namespace rehearse::bench
