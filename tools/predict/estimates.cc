#include "tools/predict/estimates.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cost/cost_model.h"
#include "model/base/human_number.h"
#include "model/base/text.h"
#include "tools/summary/missing.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;

std::string_view action_name(StageAction action) {
  switch (action) {
    case StageAction::forward:
      return "forward";
    case StageAction::backward:
      return "backward";
    case StageAction::weight:
      return "backward_weight";
    case StageAction::receive_forward:
    case StageAction::send_forward:
    case StageAction::receive_backward:
    case StageAction::send_backward:
      break;
  }
  return "message";
}

std::string_view kind_of(const Estimate& estimate) {
  if (estimate.ok()) return "estimated";
  return is_simulated_only(estimate.verdict) ? "simulated-only" : "invalid";
}

// Memory is a lower bound: laid out, no shipped scenario's strategy needs more than 5.1 % above it
// (Llama 3 405B's interleaved pipeline), so that one so near the device's may not fit.
constexpr double kSurelyFits = 0.9;
bool may_not_fit(const Estimate& estimate, Bytes device) {
  return estimate.ok() && estimate.fits &&
         static_cast<double>(estimate.memory) > kSurelyFits * static_cast<double>(device.bytes());
}

Json json_of(const StrategyEstimate& it, Bytes device) {
  const Estimate& e = it.estimate;
  Json json = {{"strategy", it.strategy}, {"verdict", kind_of(e)}};
  if (!it.reason.empty()) json["reason"] = it.reason;
  if (!e.ok()) return json;
  json["step_time_s"] = e.step_time;
  if (it.step_time_band) {
    json["step_time_low_s"] = it.step_time_band->low.seconds();
    json["step_time_high_s"] = it.step_time_band->high.seconds();
  }
  json["samples_per_s"] = it.samples_per_s;
  if (it.tokens_per_s) json["tokens_per_s"] = *it.tokens_per_s;
  if (it.mfu) json["mfu"] = *it.mfu;
  json["bubble_fraction"] = e.bubble_fraction;
  json["compute_s"] = e.compute;
  json["arena_live_bytes"] = e.arena_live;
  json["least_memory_bytes"] = e.memory;
  json["fits"] = e.fits;
  json["may_not_fit"] = may_not_fit(e, device);
  json["binds"] = to_string(e.binding);
  json["peak"] = {{"pipeline_rank", e.worst_rank},
                  {"stage", e.worst_stage},
                  {"during", action_name(e.worst_action)}};
  json["contention_at_most_s"] = e.contention;
  json["shares_links"] = e.shares_links;
  json["replicas_differ"] = e.replicas_differ;
  json["is_marked"] = e.is_marked();
  return json;
}

std::string_view text_of_fits(const Estimate& estimate, Bytes device) {
  if (!estimate.fits) return "NO";
  return may_not_fit(estimate, device) ? "may" : "yes";
}

std::vector<std::string> row_of(const StrategyEstimate& it, Bytes device) {
  const Estimate& e = it.estimate;
  if (!e.ok()) return {it.strategy, "-", "-", "-", "-", "-", "-", "-", "-"};
  return {it.strategy,
          human(Seconds::seconds(e.step_time)) + (e.is_marked() ? "*" : ""),
          human_number(it.samples_per_s),
          human(Bytes::bytes(e.memory)),
          fmt::format("{} of stage {}", action_name(e.worst_action), e.worst_stage),
          human(Seconds::seconds(e.compute)),
          fmt::format("{:.1f} %", 100 * e.bubble_fraction),
          std::string(to_string(e.binding)),
          std::string(text_of_fits(e, device))};
}

// As many FLOPs, unless the scenario says otherwise.
double multiplier_of(const ScenarioStrategy& strategy) {
  const SubnetworkSpec& subnetwork = *strategy.spec.subnetwork;
  const std::int64_t workers = strategy.mesh.workers;
  const Result<std::int64_t> holders = holders_of(subnetwork, workers);
  const double equal = holders ? static_cast<double>(workers) / static_cast<double>(*holders) : 1;
  return subnetwork.step_multiplier.value_or(equal);
}

// Estimates are of collectives whose steps follow one another, whatever the scenario plays.
std::string of_another_fidelity(Fidelity played) {
  if (played == Fidelity::stepwise) return "";
  return fmt::format(
      "Collectives are priced step by step, not as 'collectives: {}' of 'simulation' plays them.\n",
      to_string(played));
}

bool is_any(const std::vector<StrategyEstimate>& all) {
  return std::any_of(all.begin(), all.end(),
                     [](const StrategyEstimate& it) { return it.estimate.ok(); });
}

// Of forward and backward of one sample through the whole network.
PriceShares network_price_shares(const Scenario& scenario) {
  const Net net = build_net(scenario.model).value();
  const SegmentId begin(0), end(static_cast<std::uint32_t>(net.segments.size()));
  SecondsBy sum{};
  for (const Pass pass : {Pass::forward, Pass::backward})
    sum += price_pass(net, begin, end, pass, 1, element_sizes(scenario.training),
                      scenario.cluster.device)
               .rests_on;
  const Seconds all = std::accumulate(sum.begin(), sum.end(), Seconds{});
  PriceShares shares{};
  for (std::size_t p = 0; all > Seconds{} && p < shares.size(); ++p)
    shares[p] = sum[p] / all;
  return shares;
}

}  // namespace

Result<ScenarioEstimator> ScenarioEstimator::make(const Scenario& scenario) {
  if (scenario.prices)
    return error("simulated only: there is no closed form of times that a scenario states itself");
  Result<Estimator> estimator = Estimator::make(scenario.model, scenario.training, scenario.cluster,
                                                scenario.simulation.steps);
  if (!estimator) return estimator.errors();
  return ScenarioEstimator(*std::move(estimator), errors_of(scenario.cluster));
}

StrategyEstimate ScenarioEstimator::operator()(const ScenarioStrategy& strategy,
                                               Contention contention) {
  StrategyEstimate made{strategy.spec.name, estimator_.estimate(strategy.spec, contention)};
  const Estimate& estimate = made.estimate;
  made.reason = estimator_.reason(strategy.spec, made.estimate);
  if (!made.estimate.ok()) return made;
  made.samples_per_s = estimator_.samples_per_second(made.estimate);
  const std::int64_t labels = estimator_.labels_per_sample();
  if (labels > 1) made.tokens_per_s = made.samples_per_s * static_cast<double>(labels);
  made.mfu = estimator_.mfu(strategy.spec, made.estimate);
  if (errors_) {
    made.step_time_band = time_band(
        Seconds::seconds(estimate.step_time),
        step_shares(Seconds::seconds(estimate.compute), Seconds::seconds(estimate.link)), *errors_);
  }
  if (strategy.spec.subnetwork) made.step_multiplier = multiplier_of(strategy);
  return made;
}

std::string print_json(const Scenario& scenario, const std::vector<StrategyEstimate>& all) {
  Json json = {{"scenario", scenario.name},
               {"source", "estimated"},
               {"device", scenario.cluster.device.name},
               {"strategies", Json::array()}};
  if (is_any(all)) {
    const PriceShares shares = network_price_shares(scenario);
    for (std::size_t p = 0; p < shares.size(); ++p)
      json["network_price_shares"][std::string(to_string(static_cast<Provenance>(p)))] = shares[p];
  }
  for (const StrategyEstimate& it : all)
    json["strategies"].push_back(json_of(it, scenario.cluster.device.memory));
  return json.dump(1) + "\n";
}

StyledText print_table(const Scenario& scenario, const std::vector<StrategyEstimate>& all) {
  std::vector<std::vector<std::string>> rows = {{"strategy", "step time", "samples/s",
                                                 "memory, at least", "at", "compute", "bubble",
                                                 "binds", "fits"}};
  const bool with_bands = errors_of(scenario.cluster).has_value();
  const auto add_band = [&](std::string cell) {
    if (with_bands) rows.back().insert(rows.back().begin() + 2, std::move(cell));
  };
  add_band(std::string(kBandHeading));
  std::vector<CellEmphasis> emphases;
  const Bytes device = scenario.cluster.device.memory;
  bool shares = false, may_not = false;
  for (const StrategyEstimate& it : all) {
    rows.push_back(row_of(it, device));
    add_band(text_of(it.step_time_band));
    if (it.estimate.ok() && !it.estimate.fits)
      emphases.push_back({rows.size() - 1, rows.back().size() - 1, Emphasis::bad});
    shares = shares || it.estimate.is_marked();
    may_not = may_not || may_not_fit(it.estimate, device);
  }
  StyledText text = align_columns(rows, emphases);
  if (is_any(all)) {
    text += fmt::format("Rates that the network's kernels are priced by, a sample at a time: {}.\n",
                        text_of(network_price_shares(scenario)));
    text += missing_links(scenario.cluster);
  }
  if (!with_bands) text += no_bands(scenario.cluster.device.name);
  if (is_any(all)) text += of_another_fidelity(scenario.simulation.collectives);
  for (const StrategyEstimate& it : all) {
    if (!it.reason.empty()) text += fmt::format("{}: {}.\n", it.strategy, it.reason);
  }
  if (may_not)
    text += "may: so near to what a device has, layouts decide: 'rehearse memory' tells.\n";
  if (shares)
    text +=
        "* messages meet on links: the step may take much longer, or less; a simulation tells how "
        "long.\n";
  return text;
}

}  // namespace rehearse
