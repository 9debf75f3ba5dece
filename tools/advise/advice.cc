#include "tools/advise/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "model/base/text.h"
#include "tools/advise/write_scenario.h"
#include "tools/predict/predict.h"
#include "tools/summary/subnetworks.h"

namespace rehearse::advise {
namespace {

constexpr double kSecondsPerHour = 3600;
// Estimates beyond those asked for that are played where messages meet on links (play_estimated()).
constexpr std::size_t kMoreEstimates = 5;

Binding binding_of(const StrategySummary& summary) {
  if (summary.compute >= summary.exposed_communication && summary.compute >= summary.idle)
    return Binding::compute;
  return summary.exposed_communication >= summary.idle ? Binding::link : Binding::bubble;
}

// The strategy nearest to one without a closed form that may have one. None: nothing near it has.
std::optional<StrategySpec> relative_of(StrategySpec spec, Verdict verdict) {
  if (verdict == Verdict::sharded_gradients || verdict == Verdict::played_pipeline) {
    spec.sharding = Sharding::optimizer_state;
  } else if (verdict == Verdict::schedule) {
    spec.pipeline->schedule = "zb-h1";
    spec.pipeline->chunks.reset();
  } else {
    return std::nullopt;
  }
  return spec;
}

// What a run of it may take, by a relative of it that is priced and fits; none: nobody knows.
std::optional<double> likely_run_time(const Unpriced& unpriced, Estimator& estimator) {
  StrategySpec spec = unpriced.spec;
  Estimate estimate;
  estimate.verdict = unpriced.verdict;
  while (is_simulated_only(estimate.verdict)) {
    const auto relative = relative_of(spec, estimate.verdict);
    if (!relative) return std::nullopt;
    spec = *relative;
    estimate = estimator.estimate_fitting(spec);
  }
  if (!estimate.ok()) return std::nullopt;
  return estimate.step_time * unpriced.multiplier;
}

class Adviser {
 public:
  Adviser(const Scenario& scenario, const Options& options)
      : scenario_(scenario), options_(options) {
    // A space has strategies whose replicas do not do the same.
    Replicas& replicas = scenario_.simulation.replicas;
    if (replicas == Replicas::first) replicas = Replicas::automatic;
    const Device& device = scenario.cluster.device;
    advice_.devices = scenario.cluster.nodes * scenario.cluster.devices_per_node;
    advice_.device_memory = device.memory;
    advice_.price = options.price ? options.price : device.price;
    advice_.errors = options.errors ? options.errors : errors_of(scenario.cluster);
    advice_.errors_are_assumed = options.errors.has_value();
  }

  Result<Advice> run(const AdviseSpace& asked) {
    const Result<SearchSpace> space = SearchSpace::make(scenario_, asked);
    if (!space) return space.errors();
    Result<Estimator> estimator = Estimator::make(scenario_.model, scenario_.training,
                                                  scenario_.cluster, scenario_.simulation.steps);
    if (!estimator) return estimator.errors();
    advice_.families = std::ssize(space->families());
    advice_.points = std::ssize(space->points());
    const auto& families = space->families();
    advice_.has_subnetworks =
        std::any_of(families.begin(), families.end(),
                    [](const Family& family) { return family.is_subnetwork(); });
    Searched searched = search(scenario_, *space, *estimator,
                               {options_.top + kMoreEstimates, options_.step_multiplier});
    play_estimated(searched);
    const std::size_t unpriced = play_unpriced(searched, *estimator);
    if (advice_.ranking.empty()) play_recut(searched);
    for (Found& found : searched.unfitting) {
      if (!is_named(found.spec)) advice_.unfitting.push_back(std::move(found));
    }
    advice_.counts = std::move(searched.counts);
    rank(options_.top + unpriced);
    return std::move(advice_);
  }

 private:
  // Messages that meet on links make a step longer than its estimate, and another one the better:
  // on until what is left is estimated to take longer than those that are named.
  void play_estimated(const Searched& searched) {
    for (const Found& found : searched.best) {
      if (found.run_time() > last_named()) return;
      play(found.spec, found.estimate, found.multiplier);
    }
  }

  // Estimates are of stages that are cut by time alone; a simulation looks for a cut that fits.
  void play_recut(const Searched& searched) {
    std::size_t left = options_.top;
    for (const Found& found : searched.unfitting) {
      if (!found.spec.pipeline || left == 0) continue;
      --left;
      play(found.spec, found.estimate, found.multiplier);
    }
  }

  bool is_named(const StrategySpec& spec) const {
    return std::any_of(advice_.ranking.begin(), advice_.ranking.end(),
                       [&](const Advised& one) { return one.spec.name == spec.name; });
  }

  // Seconds of a run, per step of data parallelism's, of the last of the best of those played.
  double last_named() const {
    if (advice_.ranking.size() < options_.top) return std::numeric_limits<double>::infinity();
    std::vector<double> times;
    for (const Advised& one : advice_.ranking)
      times.push_back(run_time_per_step(one.summary).seconds());
    const auto last = times.begin() + static_cast<std::ptrdiff_t>(options_.top) - 1;
    std::nth_element(times.begin(), last, times.end());
    return *last;
  }

  // Of those that may be among the best the likely ones first, and where nobody knows the plain
  // ones. Returns how many.
  std::size_t play_unpriced(const Searched& searched, Estimator& estimator) {
    struct Candidate {
      const Unpriced* unpriced;
      double likely;
    };
    std::vector<Candidate> candidates;
    const double last = last_named();
    for (const Unpriced& unpriced : searched.unpriced) {
      if (unpriced.least_run_time > last) continue;
      constexpr double kUnknown = std::numeric_limits<double>::infinity();
      candidates.push_back({&unpriced, likely_run_time(unpriced, estimator).value_or(kUnknown)});
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) {
                       return std::pair(a.likely, a.unpriced->spec.pipeline.has_value()) <
                              std::pair(b.likely, b.unpriced->spec.pipeline.has_value());
                     });
    const std::size_t played = std::min(options_.unpriced, candidates.size());
    for (std::size_t c = 0; c < played; ++c)
      play(candidates[c].unpriced->spec, std::nullopt, candidates[c].unpriced->multiplier);
    advice_.unpriced_left = candidates.size() - played;
    return played;
  }

  void play(StrategySpec spec, const std::optional<Estimate>& estimate, double multiplier) {
    if (spec.subnetwork && options_.step_multiplier)
      spec.subnetwork->step_multiplier = options_.step_multiplier;
    const auto source = std::make_shared<const SourceText>(spec.name, print_strategy(spec));
    const Result<Mesh> mesh = resolve_mesh(spec, advice_.devices);
    if (!mesh) return refuse(spec, mesh.errors().front().message);
    const Result<Prediction> prediction = predict(scenario_, {spec, *mesh, {source, 1, 1, 0}});
    if (!prediction) return refuse(spec, prediction.errors().front().message);
    const StrategySummary& summary = prediction->summary;
    if (!summary.fits.value_or(true)) {
      const std::string peak = summary.memory ? human(summary.memory->peak) : "more";
      return refuse(spec, fmt::format("as laid out it needs {}, the device has {}", peak,
                                      human(advice_.device_memory)));
    }
    Advised advised{spec, estimate, summary, multiplier, {}, binding_of(summary), {}, {}};
    advised.run = cost_of(summary);
    if (advice_.errors)
      advised.band = time_band(summary.step_time, shares_of(summary), *advice_.errors);
    advice_.ranking.push_back(std::move(advised));
  }

  void refuse(const StrategySpec& spec, std::string reason) {
    advice_.not_played.push_back({spec, std::move(reason)});
  }

  RunCost cost_of(const StrategySummary& summary) const {
    RunCost cost;
    cost.seconds =
        run_time_per_step(summary).seconds() * static_cast<double>(scenario_.training.steps);
    cost.device_hours = cost.seconds * static_cast<double>(advice_.devices) / kSecondsPerHour;
    if (advice_.price) cost.dollars = cost.device_hours * advice_.price->dollars;
    return cost;
  }

  static StepShares shares_of(const StrategySummary& summary) {
    return step_shares(summary.compute, summary.exposed_communication);
  }

  void rank(std::size_t named) {
    auto& ranking = advice_.ranking;
    std::stable_sort(ranking.begin(), ranking.end(), [](const Advised& a, const Advised& b) {
      return a.run.seconds < b.run.seconds;
    });
    if (ranking.size() > named)
      ranking.erase(ranking.begin() + static_cast<std::ptrdiff_t>(named), ranking.end());
    if (!advice_.errors) return;
    const auto predicted = [](const Advised& one) {
      return PredictedStep{Seconds::seconds(one.run.seconds), shares_of(one.summary)};
    };
    for (std::size_t a = 0; a < ranking.size(); ++a) {
      for (std::size_t b = 0; b < ranking.size(); ++b) {
        if (a != b &&
            !can_be_told_apart(predicted(ranking[a]), predicted(ranking[b]), *advice_.errors))
          ranking[a].not_told_apart.push_back(b);
      }
    }
  }

  Scenario scenario_;
  const Options& options_;
  Advice advice_;
};

}  // namespace

Result<Advice> advise(const Scenario& scenario, const AdviseSpace& space, const Options& options) {
  return Adviser(scenario, options).run(space);
}

}  // namespace rehearse::advise
