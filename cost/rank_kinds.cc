#include "cost/rank_kinds.h"

#include <algorithm>

#include "model/base/check.h"

namespace rehearse {

RankKinds rank_kinds(const Plan& plan, const Cluster& cluster) {
  REHEARSE_CHECK(plan.ranks.size() == cluster.rank_count(), "{} ranks on {} devices",
                 plan.ranks.size(), cluster.rank_count());
  std::vector<RankKind> all;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r)
    all.push_back({plan.ranks[r].program, cluster.device_number(RankId(r))});
  RankKinds ranks{all, {}};
  std::sort(ranks.kinds.begin(), ranks.kinds.end());
  ranks.kinds.erase(std::unique(ranks.kinds.begin(), ranks.kinds.end()), ranks.kinds.end());
  for (const RankKind& kind : all) {
    const auto found = std::lower_bound(ranks.kinds.begin(), ranks.kinds.end(), kind);
    ranks.of_rank.push_back(static_cast<std::uint32_t>(found - ranks.kinds.begin()));
  }
  return ranks;
}

}  // namespace rehearse
