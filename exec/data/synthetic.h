// Data drawn from the seed, in whatever form the network reads; sample i is the same for everybody.
//
//   pixels  class c has a prototype, uniform in [-1, 1) per pixel; sample i has label i mod classes
//           and is its prototype plus noise, uniform in [-1, 1). The distance of two prototypes
//           grows with the number of pixels, so networks learn it to nearly no error. The prototype
//           of a large image repeats kSyntheticPatch values, and the noise of a sample is that of
//           the one before it, kSyntheticNoiseStep values further on: so a sample costs no more
//           than one that is read.
//   tokens  a Markov chain: each token has one successor (a permutation of the vocabulary), which
//           follows with probability 3/4; else any token does. The label of a position is the next
//           token. With p = 3/4 + 1/(4 v) and q = 1/(4 v) no network of v tokens gets below a loss
//           of -p ln p - (v - 1) q ln q.
#pragma once

#include "exec/data/dataset.h"

namespace rehearse::exec {

inline constexpr std::int64_t kSyntheticTrainSamples = 16'384, kSyntheticTestSamples = 2'048;
inline constexpr std::size_t kSyntheticPatch = 4'096, kSyntheticNoiseStep = 16;

// Tokens need a label at every position, pixels one label.
Result<std::unique_ptr<Dataset>> open_synthetic(const DatasetRequest& request);

}  // namespace rehearse::exec
