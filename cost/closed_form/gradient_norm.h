// The norm of all gradients, where they are clipped: every rank's squares, added up by all.
#pragma once

#include <cstdint>

#include "cost/closed_form/mesh_costs.h"
#include "model/plan/training.h"

namespace rehearse {

// Seconds of adding up what the ranks of a group have; below 0: nobody asks.
double norm_seconds(const NearAndFar& ranks, const Training& training, const Device& device);
// Bytes of it, and of what it receives among so many ranks.
std::int64_t norm_bytes(std::int64_t ranks, const Training& training);

}  // namespace rehearse
