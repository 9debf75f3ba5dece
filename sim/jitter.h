// What chance makes of a price.
#pragma once

#include <cstdint>

#include "model/cluster/cluster.h"

namespace rehearse::sim {

// By what an op's time is multiplied in a step of a rank: log-normal factors of mean 1, the op's
// own times its rank's and step's. A function of its arguments alone: nothing depends on the order
// in which ops happen. Rounded to 2^-32, so that no machine's logarithm shows in it.
double stretch(const Jitter& jitter, RankId rank, std::int64_t step, OpId op);

}  // namespace rehearse::sim
