// What flows over some of the links, and when: for pictures of links over time.
#pragma once

#include <utility>
#include <vector>

#include "model/base/ids.h"
#include "model/base/units.h"

namespace rehearse::sim {

// What a flow has put over a link in a time in which its rate was one.
struct LinkFlow {
  LinkId link;
  Time begin, end;
  double bytes = 0;
};

class LinkFlows {
 public:
  // Bytes that a flow as a whole puts over watched links.
  using Crossings = std::vector<std::pair<LinkId, double>>;

  // Before anything flows. links: how many there are.
  void watch(const std::vector<LinkId>& watched, std::size_t links);

  // The flow that begins next crosses a link.
  void cross(LinkId link, Bytes bytes) {
    if (!is_watched_.empty() && is_watched_[link.index()])
      next_.emplace_back(link, static_cast<double>(bytes.bytes()));
  }
  Crossings begin() { return std::exchange(next_, {}); }
  // share: of the flow, done in this time.
  void note(const Crossings& crossings, Time begin, Time end, double share) {
    for (const auto& [link, bytes] : crossings)
      flows_.push_back({link, begin, end, bytes * share});
  }

  // In the order in which they ended.
  std::vector<LinkFlow> take() { return std::move(flows_); }

 private:
  std::vector<bool> is_watched_;  // by link; empty: none
  Crossings next_;
  std::vector<LinkFlow> flows_;
};

}  // namespace rehearse::sim
