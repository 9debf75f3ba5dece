// The verifier's slow twin: plays a plan with symbols for numbers, and sees what comes out.
//
// Every pass is an unknown function of what its operands hold, every buffer has as its content the
// 64-bit hash of the term it would hold (parameters and gradients element by element). Sums are
// sums of hashes, so that their order does not matter; all else does. Two periods are played, in an
// order of the lanes and ranks that is drawn at random, with messages that wait for their receivers
// or not. Ops take time: while one runs, others begin and end.
//
// It knows nothing of what the verifier looks for. It sees whether data was there when it was read,
// whether two ops worked on one thing at once, whether everybody came to the end, and which weights
// were there then.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/base/random.h"
#include "model/plan/plan.h"

namespace rehearse::testing {

struct Played {
  std::string problem;  // empty: all ranks came to the end
  // By rank and parameter; of sharded ones the chunks of all holders together.
  std::map<std::pair<RankId, ParameterId>, std::vector<std::uint64_t>> weights;
};

// One schedule of the plan, whose numbers must be in range (the first pass of verify()).
Played play(const Plan& plan, Random& random);

// Plays `schedules` random schedules of a mutant of a good plan. Empty if none has a problem and
// the weights are in all of them those that the good plan trains, on the same batch dealt to the
// ranks as the mutant deals it.
std::string what_goes_wrong(const Plan& mutant, const Plan& good, int schedules,
                            std::uint64_t seed);

}  // namespace rehearse::testing
