#include "sim/simulate.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/plan/verify.h"
#include "sim/engine.h"
#include "sim/machine.h"
#include "sim/player.h"

namespace rehearse::sim {

namespace {

Diagnostics too_long(const Engine& engine, const BeyondTheClock& beyond) {
  return error(
      fmt::format("after {} of simulated time something takes another {}: too long to "
                  "be meant; look at bandwidths, latencies and rates",
                  human(engine.now().seconds()), human(beyond.wait)));
}

bool meets_a_switch(const Cluster& cluster, RankId from, RankId to) {
  for (const LinkId link : cluster.route(from, to)) {
    const VertexId passed = cluster.links()[link.index()].to;
    if (passed != cluster.vertex_of(to) && is_switch(cluster.vertices()[passed.index()]))
      return true;
  }
  return false;
}

// In-network reduction needs something between the members that adds.
Status check_switches(const Plan& plan, const Cluster& cluster) {
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankProgram& program = program_of(plan, RankId(r));
    for (std::size_t id = 0; id < program.ops.size(); ++id) {
      const Op& op = program.ops[id];
      if (!is_collective(op.kind)) continue;
      if (collective_of(op).algorithm != CollectiveAlgorithm::in_network) continue;
      // Every member's messages join the first one's.
      const std::vector<RankId>& members = group_of(plan, RankId(r), op).members;
      if (members.front() != RankId(r)) continue;
      const auto alone = std::find_if(members.begin() + 1, members.end(), [&](RankId member) {
        return !meets_a_switch(cluster, member, members.front());
      });
      if (alone == members.end()) continue;
      return error(
          fmt::format("rank {}: {} is by in-network reduction, but there is no switch "
                      "between ranks {} and {}",
                      r, describe_op(program, OpId(id)), r, alone->index()));
    }
  }
  return success();
}

}  // namespace

Result<Outcome> simulate(const Plan& plan, const Cluster& cluster, const Prices& prices,
                         std::int64_t steps, Fidelity collectives,
                         const std::vector<LinkId>& watched) {
  REHEARSE_CHECK(plan.ranks.size() <= cluster.rank_count(), "{} ranks on {} devices",
                 plan.ranks.size(), cluster.rank_count());
  REHEARSE_CHECK(steps >= 1, "{} steps", steps);
  const Status joined = check_switches(plan, cluster);
  if (!joined) return joined.errors();
  Engine engine;
  Machine machine(cluster, prices.messaging, engine);
  machine.watch(watched);
  Player player(plan, prices, cluster, collectives, steps, engine, machine);
  try {
    player.begin();
    engine.run([&] { machine.settle(); });
  } catch (const BeyondTheClock& beyond) {
    return too_long(engine, beyond);
  }
  Diagnostics stuck;
  for (const std::string& line : player.waiting())
    stuck.push_back({std::nullopt, line, {}});
  if (!stuck.empty()) return stuck;
  return Outcome{player.take_timeline(), machine.link_bytes(), player.sent(), player.received(),
                 machine.take_flows()};
}

Result<Seconds> simulate(const Transition& transition, const Cluster& cluster,
                         const Messaging& messaging) {
  Engine engine;
  Machine machine(cluster, messaging, engine);
  try {
    for (const StateMove& move : transition.moves)
      machine.transfer(move.from, move.to, move.size, [] {});
    engine.run([&] { machine.settle(); });
  } catch (const BeyondTheClock& beyond) {
    return too_long(engine, beyond);
  }
  return engine.now().seconds();
}

}  // namespace rehearse::sim
