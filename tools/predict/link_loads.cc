#include "tools/predict/link_loads.h"

#include <algorithm>

namespace rehearse {

double LinkLoads::Use::within(Time from, Time to) const {
  const Time first = std::max(begin, from), last = std::min(end, to);
  if (last <= first) return 0;
  return occupied * ((last - first).seconds() / (end - begin).seconds());
}

LinkLoads::LinkLoads(const Plan& plan, const Cluster& cluster, const Timeline& timeline,
                     std::int64_t step)
    : plan_(plan), cluster_(cluster), uses_(cluster.links().size()) {
  for (const RankBinding& rank : plan.ranks) {
    first_span_.push_back(spans_.size());
    spans_.resize(spans_.size() + plan.programs[rank.program.index()].ops.size());
  }
  for (const Span& span : timeline.spans) {
    if (span.step == step) spans_[first_span_[span.rank.index()] + span.op.index()] = &span;
  }
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankId rank(r);
    const std::vector<Op>& ops = program_of(plan, rank).ops;
    for (std::size_t op = 0; op < ops.size(); ++op) {
      if (!stands_for_all(rank, ops[op])) continue;
      const Span& span = span_of(rank, OpId(op));
      for (const auto& [link, bytes, occupied] : links_of(rank, ops[op]))
        uses_[link.index()].push_back({span.start, span.end, occupied});
    }
  }
}

// Of the ops that are one message or collective, one.
bool LinkLoads::stands_for_all(RankId rank, const Op& op) const {
  if (op.kind == OpKind::send) return true;
  return is_collective(op.kind) && group_of(plan_, rank, op).members.front() == rank;
}

const Span& LinkLoads::span_of(RankId rank, OpId op) const {
  return *spans_[first_span_[rank.index()] + op.index()];
}

Route LinkLoads::route_of(RankId rank, const Op& message) const {
  const RankId peer = plan_.ranks[rank.index()].peers[transfer_of(message).peer];
  const bool sends = message.kind == OpKind::send;
  return cluster_.route(sends ? rank : peer, sends ? peer : rank);
}

const sim::Footprint& LinkLoads::footprint(RankId rank, const Op& op) const {
  const Collective& detail = collective_of(op);
  const GroupId group = plan_.ranks[rank.index()].groups[detail.group];
  const std::vector<RankId>& members = plan_.groups[group.index()].members;
  const CollectiveShape shape = shape_of(op, members.size());
  const std::int64_t elements = detail.end - detail.begin;
  const auto [known, is_new] =
      footprints_.try_emplace({group, shape, elements, detail.element_bytes});
  if (is_new)
    known->second = sim::footprint_of(cluster_, members, shape, elements, detail.element_bytes);
  return known->second;
}

std::vector<LinkLoads::OnLink> LinkLoads::links_of(RankId rank, const Op& op) const {
  std::vector<OnLink> links;
  if (is_collective(op.kind)) {
    for (const auto& [link, bytes, occupied] : footprint(rank, op).links)
      links.push_back({link, bytes, occupied});
  } else if (is_communication(op.kind)) {
    const Bytes bytes = transfer_of(op).bytes;
    for (const LinkId link : route_of(rank, op)) {
      const double share = efficiency(cluster_.links()[link.index()], bytes);
      links.push_back({link, bytes, static_cast<double>(bytes.bytes()) / share});
    }
  }
  return links;
}

std::optional<BindingLink> LinkLoads::binding(RankId rank, OpId id) const {
  const Op& op = program_of(plan_, rank).ops[id.index()];
  const Span& span = span_of(rank, id);
  std::optional<BindingLink> binding;
  for (const auto& [link, bytes, occupied] : links_of(rank, op)) {
    double asked = 0;
    for (const Use& use : uses_[link.index()])
      asked += use.within(span.start, span.end);
    // What has begun before the member that is asked has ended for it.
    asked = std::max(asked, occupied);
    const double rate = cluster_.links()[link.index()].bandwidth.bytes_per_second();
    const Seconds seconds = Seconds::seconds(asked / rate);
    if (!binding || seconds > binding->seconds) binding = BindingLink{link, bytes, seconds};
  }
  return binding;
}

Seconds LinkLoads::latency(RankId rank, OpId id) const {
  const Op& op = program_of(plan_, rank).ops[id.index()];
  if (is_collective(op.kind)) return footprint(rank, op).latency;
  Seconds latency;
  if (!is_communication(op.kind)) return latency;
  for (const LinkId link : route_of(rank, op))
    latency += cluster_.links()[link.index()].latency;
  return latency;
}

}  // namespace rehearse
