// What predictions have for nothing, as tables say it.
#pragma once

#include <string>

#include "cost/missing_prices.h"

namespace rehearse {

// A line about a price that the scenario's cluster would say.
std::string missing_of_cluster(MissingPrice price);
// The same where it is known without a plan: of links between the GPUs of a node. Else empty.
std::string missing_links(const ClusterSpec& cluster);

}  // namespace rehearse
