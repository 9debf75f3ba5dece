#include "tools/predict/predict.h"

#include <algorithm>
#include <numeric>

#include "cost/collective_cost.h"
#include "cost/cost_model.h"
#include "cost/error_band.h"
#include "cost/estimate.h"
#include "cost/missing_prices.h"
#include "model/base/text.h"
#include "model/plan/plan_text.h"
#include "sim/replicas.h"
#include "sim/simulate.h"
#include "tools/predict/collectives.h"
#include "tools/predict/folded.h"
#include "tools/predict/link_use.h"
#include "tools/predict/stated.h"
#include "tools/summary/assignment.h"

namespace rehearse {
namespace {

void add_memory(StrategySummary& summary, const PlanMemory& memory) {
  const RankMemory* worst = nullptr;
  for (RankSummary& rank : summary.ranks) {
    const RankMemory& own = memory.of(RankId(rank.rank));
    rank.memory = {own.peak(), own.arena, own.arena_live};
    if (worst == nullptr || own.peak() > worst->peak()) worst = &own;
  }
  summary.largest.emplace();
  for (const RankMemory& own : memory.kinds) {
    LargestSummary& largest = *summary.largest;
    largest.state = std::max(largest.state, own.parameters + own.gradients + own.optimizer_state);
    largest.activations = std::max(largest.activations, own.activations);
  }
  take_worst_memory(summary);
  summary.fits = memory.fits;
  if (worst == nullptr) return;
  summary.pools = {{"parameters", worst->parameters},           {"gradients", worst->gradients},
                   {"optimizer_state", worst->optimizer_state}, {"activations", worst->activations},
                   {"communication", worst->communication},     {"workspace", worst->workspace}};
  // Only where they are.
  for (const auto& [name, size] : {PoolSummary{"context", worst->context},
                                   {"fragmentation", worst->fragmentation},
                                   {"stand_ins", worst->stand_ins},
                                   {"communicators", worst->communicators},
                                   {"carried", worst->carried}}) {
    if (size > Bytes{}) summary.pools.push_back({name, size});
  }
}

void add_bytes(StrategySummary& summary, const Plan& plan, const Cluster& cluster,
               const sim::Outcome& outcome) {
  for (RankSummary& rank : summary.ranks) {
    const RankTraffic traffic = traffic_of(plan, RankId(rank.rank));
    rank.traffic = {traffic.total_sent(), traffic.total_received()};
  }
  for (std::size_t l = 0; l < cluster.links().size(); ++l) {
    const Link& link = cluster.links()[l];
    const Bytes per_step = Bytes::bytes(outcome.link_bytes[l].bytes() / outcome.timeline.steps);
    if (per_step == Bytes{}) continue;
    summary.links.push_back({link.name, per_step, (per_step / link.bandwidth) / summary.step_time});
  }
}

void add_bytes(sim::Outcome& outcome, const std::vector<Bytes>& of_a_step) {
  for (std::size_t l = 0; l < of_a_step.size(); ++l)
    outcome.link_bytes[l] += of_a_step[l] * outcome.timeline.steps;
}

std::optional<double> mfu(const Plan& plan, const Net& net, const Cluster& cluster, Seconds step) {
  FlopsPerSecond peak;
  for (std::size_t r = 0; r < cluster.rank_count(); ++r) {
    const Device& device = cluster.device(RankId(r));
    const auto own = device.peak.find(plan.training.dtype);
    if (own == device.peak.end()) return std::nullopt;
    peak =
        FlopsPerSecond::flops_per_second(peak.flops_per_second() + own->second.flops_per_second());
  }
  return (model_flops(plan, net) / peak) / step;
}

// Simulated time is counted in picoseconds and ends after 106 days; contention may stretch what is
// priced here, so that a tenth of it is let through.
constexpr Seconds kLongestRun = Seconds::seconds(9e5);

Status check_duration(const Plan& plan, const Prices& prices) {
  Seconds longest;
  for (const std::vector<OpPrice>& program : prices.ops) {
    Seconds step;
    for (const OpPrice& op : program)
      step += op.seconds;
    longest = std::max(longest, step);
  }
  // In a pipeline, stages may wait for one another.
  const Seconds run = longest * static_cast<double>(plan.mesh.pipeline * kSimulatedSteps);
  if (run <= kLongestRun) return success();
  return error(
      fmt::format("a rank computes {} in each step on this device, too long to simulate {} steps",
                  human(longest), kSimulatedSteps));
}

// Mean over the replicas of what they execute.
Flops flops_of_a_sample(const Plan& plan) {
  const Net net = *whole_net(plan);
  Flops sum;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r)
    sum += flops_of(net_of(plan, net, program_of(plan, RankId(r))), 1).total();
  return sum / static_cast<double>(plan.ranks.size());
}

// What it is, among those that it is compared with.
void describe(const ScenarioStrategy& strategy, const Plan& plan, const Net& net,
              StrategySummary& summary) {
  const StrategySpec& spec = strategy.spec;
  const Mesh& mesh = strategy.mesh;
  const bool is_plain = spec.local_steps == 1 && !spec.stochastic_depth && mesh.pipeline == 1 &&
                        mesh.tensor == 1 && mesh.workers == 1 && spec.sharding == Sharding::none &&
                        spec.recomputation == Recomputation::none;
  summary.data_parallel = is_plain && mesh.data > 1;
  if (!spec.subnetwork) return;
  summary.subnetwork.emplace();
  summary.subnetwork->workers = summary.subnetwork->holders = mesh.workers;
  const Assignment assignment = assignment_of(plan, net);
  const auto parked = parked_units(plan, net);
  for (std::size_t u = 0; u < net.units.size(); ++u) {
    auto& unit = summary.subnetwork->units.emplace_back();
    unit.name = net.units[u].name;
    unit.parked = parked[u];
    for (std::int64_t worker = 0; worker < mesh.workers; ++worker) {
      if (assignment.holders[u][static_cast<std::size_t>(worker)]) unit.workers.push_back(worker);
    }
  }
  const HolderCount holders = count_holders(*summary.subnetwork);
  summary.subnetwork->holders = holders.least;
  summary.subnetwork->step_multiplier = spec.subnetwork->step_multiplier.value_or(
      1 / (holders.mean / static_cast<double>(mesh.workers)));
  if (mesh.tensor == 1)
    summary.subnetwork->equal_flops = flops_of(net, 1).total() / flops_of_a_sample(plan);
}

}  // namespace

bool is_played_whole(const Scenario& scenario) {
  return scenario.simulation.detail != Detail::block &&
         scenario.simulation.replicas == Replicas::all;
}

Prices prices_of(const Scenario& scenario, const Plan& plan) {
  if (scenario.prices) return stated_prices(*scenario.prices, plan);
  return make_prices(plan, *whole_net(plan), Cluster::build(scenario.cluster).value());
}

namespace {

// What was played: the plan, or less of it that stands for all.
struct Played {
  Plan plan;
  sim::Outcome outcome;                     // bytes of links are those of all ranks
  std::optional<InnerExchanges> exchanges;  // of a folded plan

  Breakdown times() const {
    return exchanges ? break_down(plan, outcome.timeline, kWarmUp, *exchanges)
                     : break_down(plan, outcome.timeline, kWarmUp);
  }
};

Result<sim::FirstReplica> first_replica(const Simulation& how, const Plan& plan,
                                        const Cluster& cluster) {
  if (how.collectives == Fidelity::stepwise)
    return error(
        "its collectives with the others are played as a whole, so 'simulation' needs "
        "collectives: fluid or closed-form");
  return sim::first_replica(plan, cluster);
}

Result<Played> play(const Simulation& how, const Plan& plan, const Cluster& cluster, Prices prices,
                    const std::vector<LinkId>& watched = {}) {
  const auto& jitter = cluster.spec().jitter;
  const std::int64_t steps = jitter ? kWarmUp + jitter->steps : how.steps;
  Played played{plan, {}, {}};
  std::vector<Bytes> left_out;  // by link, of one step
  if (how.detail == Detail::block) {
    FoldedPlan folded = fold_exchanges(plan);
    FoldedPrices priced = fold_prices(folded, plan, prices, collective_price(cluster));
    prices = std::move(priced.prices);
    played.exchanges = std::move(priced.exchanges);
    left_out = folded_bytes(folded, plan, cluster);
    played.plan = std::move(folded.plan);
  }
  if (how.replicas != Replicas::all) {
    Result<sim::FirstReplica> first = first_replica(how, played.plan, cluster);
    if (first) {
      const auto others = bytes_of_others(played.plan, first->plan.ranks.size(), cluster);
      left_out.resize(others.size());
      for (std::size_t l = 0; l < others.size(); ++l)
        left_out[l] += others[l];
      played.plan = std::move(first->plan);
    } else if (how.replicas == Replicas::first) {
      Diagnostics errors = first.errors();
      errors.front().message = "one replica cannot stand for all: " + errors.front().message;
      return errors;
    }
  }
  Result<sim::Outcome> outcome =
      sim::simulate(played.plan, cluster, prices, steps, how.collectives, watched);
  if (!outcome) return outcome.errors();
  played.outcome = *std::move(outcome);
  add_bytes(played.outcome, left_out);
  return played;
}

// Figures of the ranks that were played, for those that do the same.
void stand_for_all(StrategySummary& summary, std::size_t ranks) {
  const std::size_t played = summary.ranks.size();
  for (std::size_t r = played; r < ranks; ++r) {
    summary.ranks.push_back(summary.ranks[r % played]);
    summary.ranks.back().rank = static_cast<std::int64_t>(r);
  }
  for (KindSummary& kind : summary.kinds)
    kind.ops *= static_cast<std::int64_t>(ranks / played);
}

// Of what all ranks compute in a step, the share of each kind of rate that it is priced by.
std::array<double, kProvenanceCount> shares_of(const Plan& plan, const Prices& prices) {
  SecondsBy sum{};
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const std::size_t row = prices.rows.empty() ? plan.ranks[r].program.index() : prices.rows[r];
    for (const OpPrice& op : prices.ops[row])
      sum += op.rests_on;
  }
  const Seconds all = std::accumulate(sum.begin(), sum.end(), Seconds{});
  std::array<double, kProvenanceCount> shares{};
  for (std::size_t p = 0; all > Seconds{} && p < shares.size(); ++p)
    shares[p] = sum[p] / all;
  return shares;
}

// Of the plan that the strategy names, of a period's the one.
Result<Prediction> predict_step(const Scenario& scenario, const ScenarioStrategy& strategy,
                                std::size_t watch) {
  const Result<FittedPlan> fitted = fitted_plan(scenario, strategy);
  if (!fitted) return fitted.errors();
  const Plan* const plan = &fitted->plan;
  const Net net = *whole_net(*plan);
  const ClusterSpec machines =
      scenario.prices ? stated_cluster(*scenario.prices, *plan) : scenario.cluster;
  const Result<Cluster> cluster = Cluster::build(machines);
  if (!cluster) return cluster.errors();
  const Prices prices = prices_of(scenario, *plan);
  const Status short_enough = check_duration(*plan, prices);
  if (!short_enough) return located(short_enough.errors(), strategy);
  // What stated prices send has no size.
  const bool is_watched = watch > 0 && is_played_whole(scenario) && !scenario.prices;
  std::vector<LinkId> watched;
  if (is_watched) watched = busiest_links(*plan, *cluster, watch);
  Result<Played> played = play(scenario.simulation, *plan, *cluster, prices, watched);
  if (!played) return located(played.errors(), strategy);
  const Breakdown times = played->times();
  StrategySummary summary = summarize(played->plan, net, played->outcome.timeline, kWarmUp, times);
  summary.plan_hash = plan_hash(*plan);
  summary.price_shares = shares_of(*plan, prices);
  if (machines.jitter) summary.step_times = step_times_of(times.steps);
  stand_for_all(summary, plan->ranks.size());
  describe(strategy, *plan, net, summary);
  const bool redraws = strategy.spec.subnetwork && strategy.spec.subnetwork->redraw;
  // The tensors that stated prices stand for have no size that we know.
  if (!scenario.prices) {
    summary.mfu = mfu(*plan, net, *cluster, summary.step_time);
    summary.missing_prices = missing_prices(*plan, *cluster);
    const bool is_known = fitted->memory && !redraws;
    add_memory(summary, is_known ? *fitted->memory : memory_of(*plan, *cluster, redraws));
    add_bytes(summary, *plan, *cluster, played->outcome);
  }
  return Prediction{std::move(played->plan), std::move(played->outcome.timeline),
                    std::move(summary), std::move(watched), std::move(played->outcome.flows)};
}

}  // namespace

Result<Seconds> step_time_of(const Scenario& scenario, const Plan& plan) {
  const Result<Cluster> cluster =
      Cluster::build(scenario.prices ? stated_cluster(*scenario.prices, plan) : scenario.cluster);
  if (!cluster) return cluster.errors();
  const Result<Played> played =
      play(scenario.simulation, plan, *cluster, prices_of(scenario, plan));
  if (!played) return played.errors();
  return played->times().step_time;
}

namespace {

// Draws that means are taken over.
constexpr std::int64_t kDepths = 16;

// Means over draws, of which the first one names the plan; memory is that of a step that leaves
// nothing out.
Result<Prediction> predict_depths(const Scenario& scenario, ScenarioStrategy strategy,
                                  std::size_t watch) {
  std::int64_t& draw = strategy.spec.stochastic_depth->draw;
  draw = kNothingDropped;
  const Result<Prediction> largest = predict_step(scenario, strategy, watch);
  if (!largest) return largest.errors();
  std::vector<StrategySummary> summaries;
  std::optional<Prediction> first;
  Flops flops;
  for (draw = 0; draw < kDepths; ++draw) {
    Result<Prediction> next = predict_step(scenario, strategy, watch);
    if (!next) return next.errors();
    flops += flops_of_a_sample(next->plan);
    summaries.push_back(next->summary);
    if (!first) first = std::move(next).value();
  }
  first->summary = mean_of(summaries);
  first->summary.step_multiplier =
      static_cast<double>(kDepths) * flops_of_a_sample(largest->plan).flops() / flops.flops();
  take_memory_of(first->summary, largest->summary);
  return std::move(*first);
}

// Of one draw: means over a period of local steps, if there is more than one.
Result<Prediction> predict_period(const Scenario& scenario, const ScenarioStrategy& strategy,
                                  std::size_t watch) {
  Result<Prediction> last = predict_step(scenario, strategy, watch);
  if (!last || !has_local_steps(last->plan)) return last;
  ScenarioStrategy local = strategy;
  local.spec.synchronises = false;
  const Result<Prediction> between = predict_step(scenario, local, 0);
  if (!between) return between.errors();
  last->summary = over_period(between->summary, last->summary, strategy.spec.local_steps);
  return last;
}

// Draws of masks that means are taken over; fewer where a training has fewer.
constexpr std::int64_t kDraws = 8;

// What moves as masks are drawn anew: means over one draw to the next.
class RedrawMeans {
 public:
  RedrawMeans(const ScenarioStrategy& strategy, const Cluster& cluster)
      : spec_(*strategy.spec.subnetwork), cluster_(cluster) {}

  Status add(const Plan& before, const Plan& after) {
    const Net net = *whole_net(after);
    const Transition transition = transition_between(before, after, net, spec_.moments);
    const Result<Seconds> time = sim::simulate(transition, cluster_, cluster_.device().messaging);
    if (!time) return time.errors();
    time_ += *time;
    received_.push_back(transition.total());
    ranks_ = std::ssize(after.ranks);
    return success();
  }

  SubnetworkSummary::Redraw mean() const {
    const Bytes sum = std::accumulate(received_.begin(), received_.end(), Bytes{});
    return {*spec_.redraw, sum / (std::ssize(received_) * ranks_),
            time_ / static_cast<double>(received_.size()), received_};
  }

 private:
  const SubnetworkSpec& spec_;
  const Cluster& cluster_;
  Seconds time_;
  std::vector<Bytes> received_;  // by all ranks, by redraw
  std::int64_t ranks_ = 1;
};

// Means over the first draws, of which the first one names the plan; memory is the largest.
Result<Prediction> predict_draws(const Scenario& scenario, ScenarioStrategy strategy,
                                 std::size_t watch) {
  SubnetworkSpec& spec = *strategy.spec.subnetwork;
  const std::int64_t all = (scenario.training.steps + *spec.redraw - 1) / *spec.redraw;
  std::vector<StrategySummary> summaries;
  std::optional<Prediction> first;
  std::optional<Cluster> cluster;
  std::optional<RedrawMeans> moved;
  std::optional<Plan> before;
  // Two draws at least, one redraw.
  for (spec.draw = 0; spec.draw < std::clamp<std::int64_t>(all, 2, kDraws); ++spec.draw) {
    Result<Prediction> next = predict_period(scenario, strategy, watch);
    if (!next) return next.errors();
    summaries.push_back(next->summary);
    if (!moved) {
      cluster = *Cluster::build(scenario.prices ? stated_cluster(*scenario.prices, next->plan)
                                                : scenario.cluster);
      moved.emplace(strategy, *cluster);
    } else {
      const Status added = moved->add(*before, next->plan);
      if (!added) return located(added.errors(), strategy);
    }
    before = next->plan;
    if (!first) first = std::move(next).value();
  }
  first->summary = mean_of(summaries);
  first->summary.subnetwork->redraw = moved->mean();
  return std::move(*first);
}

Result<Prediction> predict_means(const Scenario& scenario, const ScenarioStrategy& strategy,
                                 std::size_t watch) {
  if (strategy.spec.stochastic_depth) return predict_depths(scenario, strategy, watch);
  const auto& subnetwork = strategy.spec.subnetwork;
  return subnetwork && subnetwork->redraw ? predict_draws(scenario, strategy, watch)
                                          : predict_period(scenario, strategy, watch);
}

}  // namespace

Result<Prediction> predict(const Scenario& scenario, const ScenarioStrategy& strategy,
                           std::size_t watch) {
  Result<Prediction> prediction = predict_means(scenario, strategy, watch);
  const auto errors = errors_of(scenario.cluster);
  if (!prediction || !errors || scenario.prices) return prediction;
  StrategySummary& summary = prediction->summary;
  summary.step_time_band = time_band(
      summary.step_time, step_shares(summary.compute, summary.exposed_communication), *errors);
  return prediction;
}

}  // namespace rehearse
