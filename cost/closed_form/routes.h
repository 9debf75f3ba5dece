// Ways of messages through a cluster.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/cluster/cluster.h"

namespace rehearse {

using Messages = std::vector<std::pair<RankId, RankId>>;  // from, to

// Routes of a cluster, each found when it is first asked for.
class Routes {
 public:
  explicit Routes(const Cluster& cluster);  // which must outlive it
  const Cluster& cluster() const { return cluster_; }
  const Route& of(RankId from, RankId to);
  std::vector<const Route*> of(const Messages& messages);
  // Links of one spec have one number.
  std::size_t spec_of(LinkId link) const { return specs_[link.index()]; }

 private:
  const Cluster& cluster_;
  std::vector<std::size_t> specs_;
  std::unordered_map<std::uint64_t, Route> known_;
};

}  // namespace rehearse
