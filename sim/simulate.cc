#include "sim/simulate.h"

#include <fmt/format.h>

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

// What no member's messages to others are.
Status check_simulated(const Plan& plan) {
  for (const RankProgram& program : plan.programs) {
    for (std::size_t id = 0; id < program.ops.size(); ++id) {
      const Op& op = program.ops[id];
      if (!is_collective(op.kind)) continue;
      if (collective_of(op).algorithm != CollectiveAlgorithm::in_network) continue;
      return error(
          fmt::format("{} is by in-network reduction, which no simulation plays yet: it is "
                      "there in closed form",
                      describe_op(program, OpId(id))));
    }
  }
  return success();
}

}  // namespace

Result<Outcome> simulate(const Plan& plan, const Cluster& cluster, const Prices& prices,
                         std::int64_t steps) {
  REHEARSE_CHECK(plan.ranks.size() == cluster.rank_count(), "{} ranks on {} devices",
                 plan.ranks.size(), cluster.rank_count());
  REHEARSE_CHECK(steps >= 1, "{} steps", steps);
  const Status simulated = check_simulated(plan);
  if (!simulated) return simulated.errors();
  Engine engine;
  Machine machine(cluster, prices.messaging, engine);
  Player player(plan, prices, cluster.spec().jitter, steps, engine, machine);
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
  return Outcome{player.take_timeline(), machine.link_bytes(), player.sent, player.received};
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
