// A cluster as it was built: what its ranks and links are, and which way messages go.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "model/base/styled_text.h"
#include "model/cluster/cluster.h"

namespace rehearse {

using RankPair = std::pair<RankId, RankId>;

// Links that are alike, numbers in their names aside, in one row. route: one to show.
StyledText print_table(const Cluster& cluster, const std::optional<RankPair>& route);
// All ranks and links.
std::string print_json(const Cluster& cluster, const std::optional<RankPair>& route);

}  // namespace rehearse
