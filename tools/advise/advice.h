// What to train with: the best strategies of a space, played, and how sure that is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cost/error_band.h"
#include "model/base/styled_text.h"
#include "tools/advise/search.h"
#include "tools/summary/summary.h"

namespace rehearse::advise {

struct Options {
  std::size_t top = 5;                     // that are named
  std::size_t unpriced = 3;                // of those that only a simulation can price
  std::optional<double> step_multiplier;   // of subnetworks; none: 1/C
  std::optional<PredictionErrors> errors;  // none: the profile's
  std::optional<HourlyPrice> price;        // none: the profile's
};

// A whole run: all steps of the training.
struct RunCost {
  double seconds = 0, device_hours = 0;
  std::optional<double> dollars;  // where there is a price
};

struct Advised {
  StrategySpec spec;
  std::optional<Estimate> estimate;  // none: it has no closed form
  StrategySummary summary;           // of the simulation
  double multiplier = 1;             // steps of a run for one of data parallelism's
  RunCost run;
  Binding binding = Binding::compute;  // what most of the step goes into
  std::optional<TimeBand> band;        // of the step
  // Of those that stand before or after it, by their numbers from 0: for all that is known of the
  // errors it may be as fast.
  std::vector<std::size_t> not_told_apart;
};

struct NotPlayed {
  StrategySpec spec;
  std::string reason;
};

struct Advice {
  std::int64_t devices = 1, families = 0, points = 0;
  Bytes device_memory;
  // Those that fit, the shortest run first.
  std::vector<Advised> ranking;
  // Played, and found not to fit, or to be refused.
  std::vector<NotPlayed> not_played;
  // As Searched has them.
  std::vector<Found> unfitting;
  Searched::Counts counts;
  std::size_t unpriced_left = 0;  // that have not been played, and might be among the best
  bool has_subnetworks = false;
  std::optional<PredictionErrors> errors;
  bool errors_are_assumed = false;
  std::optional<HourlyPrice> price;
};

// Errors: SearchSpace::make()'s, and those of building the network or the cluster.
Result<Advice> advise(const Scenario& scenario, const AdviseSpace& space, const Options& options);

StyledText print_table(const Scenario& scenario, const Advice& advice);
std::string print_json(const Scenario& scenario, const Advice& advice);

}  // namespace rehearse::advise
