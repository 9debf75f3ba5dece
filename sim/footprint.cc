#include "sim/footprint.h"

#include <algorithm>
#include <map>

#include "model/collective/first_range.h"

namespace rehearse::sim {
namespace {

class PatternMaker {
 public:
  PatternMaker(const CollectiveShape& shape, std::int64_t n)
      : shape_(shape), lists_(shape), n_(n), last_pair_(shape.members) {
    made_.members.resize(shape.members);
  }

  MessagePattern run() {
    made_.first = first_range(shape_, n_);
    for (std::size_t channel = 0; channel < lists_.channels(); ++channel) {
      std::map<std::vector<std::uint32_t>, std::int64_t> rounds;
      for (std::size_t number = 0; number < lists_.count(); ++number) {
        const std::vector<std::uint32_t>& pairs = of_step(number, channel);
        if (!pairs.empty()) ++rounds[pairs];
      }
      auto& made = made_.channels.emplace_back();
      for (const auto& [pairs, steps] : rounds)
        made.push_back({pairs, steps});
    }
    return std::move(made_);
  }

 private:
  const std::vector<std::uint32_t>& of_step(std::size_t number, std::size_t channel) {
    pairs_.clear();
    for (std::size_t member = 0; member < made_.members.size(); ++member) {
      const CollectiveStep step = lists_.step(member, n_, number, channel);
      MessagePattern::OfMember& own = made_.members[member];
      if (step.receive.size() > 0) {
        own.received += step.receive.size();
        if (step.reduce) own.added += step.receive.size();
        ++own.receives;
      }
      if (step.send.size() == 0) continue;
      own.sent += step.send.size();
      ++own.sends;
      pairs_.push_back(pair_of(member, step.to));
      count(made_.pairs[pairs_.back()], step.send.size());
    }
    std::sort(pairs_.begin(), pairs_.end());
    return pairs_;
  }

  std::uint32_t pair_of(std::size_t from, std::size_t to) {
    // Most members send to one other all the time.
    std::optional<std::uint32_t>& last = last_pair_[from];
    if (last && made_.pairs[*last].to == to) return *last;
    const auto [known, is_new] =
        numbers_.try_emplace({from, to}, static_cast<std::uint32_t>(made_.pairs.size()));
    if (is_new) made_.pairs.push_back({from, to, {}});
    last = known->second;
    return *last;
  }

  static void count(MessagePattern::Pair& pair, std::int64_t elements) {
    for (auto& [size, messages] : pair.sizes) {
      if (size == elements) return void(++messages);
    }
    pair.sizes.emplace_back(elements, 1);
  }

  const CollectiveShape shape_;
  const StepLists lists_;
  const std::int64_t n_;
  std::map<std::pair<std::size_t, std::size_t>, std::uint32_t> numbers_;
  std::vector<std::optional<std::uint32_t>> last_pair_;  // by sender
  std::vector<std::uint32_t> pairs_;                     // of a step; here to keep its memory
  MessagePattern made_;
};

class Maker {
 public:
  Maker(const Cluster& cluster, const std::vector<RankId>& members, std::int64_t element_bytes)
      : cluster_(cluster), ranks_(members), element_bytes_(element_bytes) {}

  Footprint by_pattern(const MessagePattern& pattern) {
    take_members(pattern);
    made_.first = bytes_of(pattern.first);
    std::vector<Way> ways;
    for (const MessagePattern::Pair& pair : pattern.pairs)
      ways.push_back(put_on_links(pair));
    for (const std::vector<MessagePattern::Round>& rounds : pattern.channels) {
      std::int64_t steps = 0;
      Way sum;
      for (const MessagePattern::Round& round : rounds) {
        Way longest;
        for (const std::uint32_t pair : round.pairs) {
          longest.latency = std::max(longest.latency, ways[pair].latency);
          longest.message = std::max(longest.message, ways[pair].message);
        }
        const auto times = static_cast<double>(round.steps);
        steps += round.steps;
        sum.latency += longest.latency * times;
        sum.message += longest.message * times;
      }
      made_.steps = std::max(made_.steps, steps);
      made_.latency = std::max(made_.latency, sum.latency);
      made_.chain = std::max(made_.chain, sum.message);
    }
    return take();
  }

  Footprint in_network(std::int64_t n) {
    const Bytes all = bytes_of(n);
    made_.has_messages = false;
    for (const RankId rank : ranks_)
      ++members_of_[cluster_.node_of(rank)];
    made_.members.assign(ranks_.size(), {all, all, {}, 1, 1});
    for (std::size_t m = 1; m < ranks_.size(); ++m) {
      for (const bool up : {true, false}) {
        const Route route =
            up ? cluster_.route(ranks_[m], ranks_[0]) : cluster_.route(ranks_[0], ranks_[m]);
        for (const LinkId link : route)
          on_links_[link] = to_be_added(link, n);
        made_.latency = std::max(made_.latency, latency_of(route));
      }
    }
    made_.chain = made_.latency;
    made_.steps = ranks_.size() > 1 && all > Bytes{} ? 1 : 0;
    return take();
  }

 private:
  Bytes bytes_of(std::int64_t elements) const { return Bytes::bytes(elements * element_bytes_); }

  Footprint::OnLink to_be_added(LinkId id, std::int64_t n) const {
    const Link& link = cluster_.links()[id.index()];
    const Vertex& from = cluster_.vertices()[link.from.index()];
    const Vertex& to = cluster_.vertices()[link.to.index()];
    const bool leaves_device = is_device(from) && is_switch(to) && to.node;
    const bool enters_device = is_device(to) && is_switch(from) && from.node;
    std::int64_t carried = n;
    if (leaves_device || enters_device) {
      const std::int64_t members = members_of_.at(leaves_device ? *to.node : *from.node);
      carried += (n + members - 1) / members;
    }
    const Bytes bytes = bytes_of(carried);
    return {id, bytes, occupied(id, bytes) / link.reduction};
  }

  static bool is_device(const Vertex& vertex) { return vertex.forwards == Forwards::nothing; }

  double occupied(LinkId link, Bytes message) const {
    return static_cast<double>(message.bytes()) /
           efficiency(cluster_.links()[link.index()], message);
  }

  Seconds latency_of(const Route& route) const {
    Seconds sum;
    for (const LinkId link : route)
      sum += cluster_.links()[link.index()].latency;
    return sum;
  }

  void take_members(const MessagePattern& pattern) {
    for (const MessagePattern::OfMember& member : pattern.members) {
      made_.members.push_back({bytes_of(member.sent), bytes_of(member.received),
                               bytes_of(member.added), member.sends, member.receives});
    }
  }

  // Of a pair: the latency of its way, and that with the bytes of its mean message at full rate.
  struct Way {
    Seconds latency, message;
  };

  Way put_on_links(const MessagePattern::Pair& pair) {
    const Route route = cluster_.route(ranks_[pair.from], ranks_[pair.to]);
    Seconds slowest;
    for (const LinkId link : route) {
      Footprint::OnLink& on_link = on_links_[link];
      on_link.link = link;
      double sum = 0;
      std::int64_t count = 0;
      for (const auto& [elements, messages] : pair.sizes) {
        const Bytes bytes = bytes_of(elements);
        on_link.bytes += bytes * messages;
        const double alone = occupied(link, bytes) * static_cast<double>(messages);
        on_link.occupied += alone;
        sum += alone;
        count += messages;
      }
      const double rate = cluster_.links()[link.index()].bandwidth.bytes_per_second();
      slowest = std::max(slowest, Seconds::seconds(sum / static_cast<double>(count) / rate));
    }
    const Seconds latency = latency_of(route);
    return {latency, latency + slowest};
  }

  Footprint take() {
    for (const auto& [link, on_link] : on_links_)
      made_.links.push_back(on_link);
    return std::move(made_);
  }

  const Cluster& cluster_;
  const std::vector<RankId>& ranks_;
  const std::int64_t element_bytes_;
  std::map<NodeId, std::int64_t> members_of_;  // of an in-network reduction
  std::map<LinkId, Footprint::OnLink> on_links_;
  Footprint made_;
};

bool is_in_network(const CollectiveShape& shape) {
  return shape.algorithm == CollectiveAlgorithm::in_network;
}

}  // namespace

MessagePattern pattern_of(const CollectiveShape& shape, std::int64_t n) {
  if (!is_in_network(shape)) return PatternMaker(shape, n).run();
  MessagePattern pattern;
  pattern.members.assign(shape.members, {n, n, 0, 1, 1});
  return pattern;
}

Footprint footprint_of(const Cluster& cluster, const std::vector<RankId>& members,
                       const MessagePattern& pattern, std::int64_t element_bytes) {
  Maker maker(cluster, members, element_bytes);
  const bool is_in_network = pattern.channels.empty();
  return is_in_network ? maker.in_network(pattern.members.front().sent) : maker.by_pattern(pattern);
}

Footprint footprint_of(const Cluster& cluster, const std::vector<RankId>& members,
                       const CollectiveShape& shape, std::int64_t n, std::int64_t element_bytes) {
  return footprint_of(cluster, members, pattern_of(shape, n), element_bytes);
}

}  // namespace rehearse::sim
