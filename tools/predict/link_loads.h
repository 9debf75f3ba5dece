// Which link holds a message or collective back: the one that needs longest for what goes over it
// meanwhile, its own and that of others.
#pragma once

#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "model/cluster/cluster.h"
#include "model/plan/plan.h"
#include "model/plan/timeline.h"
#include "sim/footprint.h"

namespace rehearse {

struct BindingLink {
  LinkId link;
  Bytes bytes;  // of the message or of the whole collective, over this link
  // That the link needs for them, and for the part of what others send over it that falls into the
  // same time.
  Seconds seconds;
};

// Of one step of a timeline.
class LinkLoads {
 public:
  LinkLoads(const Plan& plan, const Cluster& cluster, const Timeline& timeline, std::int64_t step);

  // None: it is no message, or crosses no link.
  std::optional<BindingLink> binding(RankId rank, OpId op) const;
  // Of links alone, on the way of the message or of the collective's steps.
  Seconds latency(RankId rank, OpId op) const;
  // Of a collective of the rank's.
  const sim::Footprint& footprint(RankId rank, const Op& op) const;

 private:
  // What a message, or a collective, asks of a link, and from when to when it does.
  struct Use {
    Time begin, end;
    double occupied = 0;  // bytes, as Footprint's
    double within(Time from, Time to) const;
  };
  struct OnLink {
    LinkId link;
    Bytes bytes;
    double occupied = 0;
  };
  std::vector<OnLink> links_of(RankId rank, const Op& op) const;
  Route route_of(RankId rank, const Op& message) const;
  const Span& span_of(RankId rank, OpId op) const;
  bool stands_for_all(RankId rank, const Op& op) const;

  const Plan& plan_;
  const Cluster& cluster_;
  std::vector<const Span*> spans_;       // of the step, by rank and op
  std::vector<std::size_t> first_span_;  // by rank
  std::vector<std::vector<Use>> uses_;   // by link
  using CollectiveKey = std::tuple<GroupId, CollectiveShape, std::int64_t, std::int64_t>;
  mutable std::map<CollectiveKey, sim::Footprint> footprints_;
};

}  // namespace rehearse
