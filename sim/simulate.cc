#include "sim/simulate.h"

#include "model/base/check.h"
#include "sim/engine.h"
#include "sim/machine.h"
#include "sim/player.h"

namespace rehearse::sim {

Result<Outcome> simulate(const Plan& plan, const Cluster& cluster, const Prices& prices,
                         std::int64_t steps) {
  REHEARSE_CHECK(plan.ranks.size() == cluster.rank_count(), "{} ranks on {} devices",
                 plan.ranks.size(), cluster.rank_count());
  REHEARSE_CHECK(steps >= 1, "{} steps", steps);
  Engine engine;
  Machine machine(cluster, prices.messaging, engine);
  Player player(plan, prices, steps, engine, machine);
  player.begin();
  engine.run([&] { machine.settle(); });
  Diagnostics stuck;
  for (const std::string& line : player.waiting())
    stuck.push_back({std::nullopt, line, {}});
  if (!stuck.empty()) return stuck;
  return Outcome{player.take_timeline(), machine.link_bytes(), player.sent, player.received};
}

}  // namespace rehearse::sim
