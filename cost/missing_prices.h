// What a plan needs and its devices' profiles do not price: the prediction has it for nothing, and
// whoever shows it says so.
#pragma once

#include <string_view>
#include <vector>

#include "model/cluster/cluster.h"
#include "model/plan/plan.h"

namespace rehearse {

enum class MissingPrice {
  messaging,  // what a message costs its ranks, in a plan that sends some
  capacity,   // how ranks of one node share its cores, where there are several
  launch,     // the host's time to queue a kernel on a GPU
};
// As the profile's key is called, and what it would say.
std::string_view to_string(MissingPrice missing);
std::string_view meaning_of(MissingPrice missing);
inline constexpr MissingPrice kLastMissingPrice = MissingPrice::launch;

// Of any of the ranks' devices, in the order above.
std::vector<MissingPrice> missing_prices(const Plan& plan, const Cluster& cluster);

}  // namespace rehearse
