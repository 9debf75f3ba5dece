// One number for all weights of the model, wherever they lie.
#pragma once

#include <cstdint>

#include "exec/run/parameters.h"
#include "exec/transport.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

// A 64-bit sum over all weights of a mix of the parameter's number, the element's and its bits: the
// same for every way of splitting the model, as each weight counts on one of its holders, or where
// it is parked; of holders that train each for itself all copies count, until they have come
// together again (copies_agree()). Of the weights that passes read: in bf16 not of their masters,
// which only who
// updates them has. On rank 0; 0 elsewhere. Everybody calls this.
std::uint64_t weight_hash(const Plan& plan, const Net& net, const Parameters& own,
                          Transport& transport);

}  // namespace rehearse::exec
