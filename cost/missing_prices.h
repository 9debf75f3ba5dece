// What a plan needs and neither its devices' profiles nor the cluster price: the prediction has it
// for nothing, and whoever shows it says so.
#pragma once

#include <string_view>
#include <vector>

#include "model/cluster/cluster.h"
#include "model/plan/plan.h"

namespace rehearse {

enum class MissingPrice {
  messaging,     // what a message costs its ranks, in a plan that sends some
  capacity,      // how ranks of one node share its cores, where there are several
  launch,        // the host's time to queue a kernel on a GPU
  interconnect,  // between GPUs of one node, in a plan whose messages stay inside: the cluster's
};
// Whether the scenario's cluster would say it, not a profile.
constexpr bool is_of_cluster(MissingPrice missing) {
  return missing == MissingPrice::interconnect;
}
// As the key is called, and what it would say.
std::string_view to_string(MissingPrice missing);
std::string_view meaning_of(MissingPrice missing);
inline constexpr MissingPrice kLastMissingPrice = MissingPrice::interconnect;

// Of any of the ranks' devices, in the order above.
std::vector<MissingPrice> missing_prices(const Plan& plan, const Cluster& cluster);

}  // namespace rehearse
