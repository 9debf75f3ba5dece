// The best strategies of a space, by branch and bound over the closed form.
//
// Best first: families and then their points come in the order of their lower bounds (bounds.h), a
// family makes way for its points, and a point for its estimate. Where messages meet on links that
// is a bound, too, which makes way for what its plan takes when it is played. The search is over
// when the next bound is above the time of the last of the best that are asked for: no point that
// is left can be among them. Points whose bytes are known not to fit are never priced. Where
// estimates are no quicker than simulations only the first `slow` are made, and plans of `passes`
// passes are played, all together; what comes after these is counted.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cost/closed_form/estimator.h"
#include "tools/advise/bounds.h"
#include "tools/advise/space.h"

namespace rehearse::advise {

struct SearchOptions {
  std::size_t best = 5;                   // points that are asked for
  std::optional<double> step_multiplier;  // of subnetworks; none: 1/C
  bool prunes = true;                     // whether bounds.h is used; without, every point is priced
  std::size_t slow = 32;                  // estimates of this kind, at most
  std::int64_t passes = 131'072;          // that are played, at most
};

struct Found {
  std::size_t point = 0;  // of the space
  StrategySpec spec;      // with its fastest placement
  Estimate estimate;
  double multiplier = 1;  // steps of a run for one of data parallelism's
  double run_time() const { return estimate.step_time * multiplier; }  // for one of its steps
};

// What only a simulation can price.
struct Unpriced {
  std::size_t point = 0;
  StrategySpec spec;
  Verdict verdict = Verdict::estimated;
  double multiplier = 1;
  double least_run_time = 0;
};

struct Searched {
  // Fit, the shortest run first; of equals the one that comes first in the space.
  std::vector<Found> best;
  // Where no priced point fits: those that need least memory. Else, of those met that do not fit
  // and would be faster than the best, some of the fastest.
  std::vector<Found> unfitting;
  // Might be among the best for all that is known: by their bounds.
  std::vector<Unpriced> unpriced;
  // Points by what became of them; they add up to the space's.
  struct Counts {
    std::int64_t fit = 0;
    std::int64_t slower = 0;     // by their bounds
    std::int64_t unfitting = 0;  // by their bounds or estimates
    std::map<Verdict, std::int64_t> unpriced;
    // Of those that fit and their placements: where messages meet, played for it; and not, though
    // they may be among the best.
    std::int64_t played = 0, unplayed = 0;
  } counts;
};

Searched search(const Scenario& scenario, const SearchSpace& space, Estimator& estimator,
                const SearchOptions& options);

}  // namespace rehearse::advise
