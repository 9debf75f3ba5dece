#include <map>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// Sends and receives, class by class: what holds of one rank of a class holds of all.
class Transfers {
 public:
  Transfers(Report& report, const RankClasses& classes) : report_(report), classes_(classes) {}

  Pairs run() {
    for (std::size_t c = 0; c < classes_.first.size(); ++c)
      collect(c);
    for (std::size_t c = 0; c < classes_.first.size(); ++c) {
      const auto& ops = program(c).ops;
      pairs_.emplace_back(ops.size());
      for (std::size_t op = 0; op < ops.size(); ++op) {
        if (ops[op].kind == OpKind::send || ops[op].kind == OpKind::receive) pair(c, OpId(op));
      }
    }
    return std::move(pairs_);
  }

 private:
  using Key = std::pair<std::size_t, std::int64_t>;  // peer slot, tag
  struct Ends {
    std::map<Key, OpId> sends, receives;
  };

  const RankProgram& program(std::size_t c) const { return classes_.program(report_.plan, c); }
  At at(std::size_t c, OpId op) const {
    const RankId rank = classes_.first[c];
    return {report_.plan.ranks[rank.index()].program.index(), op, rank};
  }

  void collect(std::size_t c) {
    Ends& ends = ends_.emplace_back();
    const auto& ops = program(c).ops;
    for (std::size_t op = 0; op < ops.size(); ++op) {
      const bool sends = ops[op].kind == OpKind::send;
      if (!sends && ops[op].kind != OpKind::receive) continue;
      const Transfer& transfer = transfer_of(ops[op]);
      auto& known = sends ? ends.sends : ends.receives;
      const auto [entry, is_new] = known.try_emplace({transfer.peer, transfer.tag}, OpId(op));
      if (is_new) continue;
      report_.add(at(c, OpId(op)), "its tag is taken",
                  {report_.note(at(c, entry->second), "by this op")});
    }
  }

  void pair(std::size_t c, OpId id) {
    const Op& op = program(c).ops[id.index()];
    const Transfer& transfer = transfer_of(op);
    const RankClasses::Peer& peer = classes_.peers[c][transfer.peer];
    const bool sends = op.kind == OpKind::send;
    const RankId rank = report_.plan.ranks[classes_.first[c].index()].peers[transfer.peer];
    const Ends& far = ends_[peer.rank_class];
    const auto& partners = sends ? far.receives : far.sends;
    const auto found = peer.slot ? partners.find({*peer.slot, transfer.tag}) : partners.end();
    if (found == partners.end()) {
      return report_.add(at(c, id), fmt::format("rank {} has no {} for it", rank.value(),
                                                sends ? "receive" : "send"));
    }
    pairs_[c][id.index()] = {{peer.rank_class, found->second}};
    if (sends) compare(at(c, id), at(peer.rank_class, found->second));
  }

  const Op& op_of(const At& at) const {
    return report_.plan.programs[at.program].ops[at.op.index()];
  }
  const Buffer& buffer_of(const At& at) const {
    return report_.plan.programs[at.program].buffers[op_of(at).operands.front().buffer.index()];
  }

  void compare(const At& send, const At& receive) {
    const Bytes sent = transfer_of(op_of(send)).bytes, received = transfer_of(op_of(receive)).bytes;
    if (sent != received) {
      report_.add(send, fmt::format("it sends {} bytes", sent.bytes()),
                  {report_.note(receive, fmt::format("but this expects {}", received.bytes()))});
    }
    const Buffer &from = buffer_of(send), &to = buffer_of(receive);
    if (from.kind != to.kind || from.value != to.value) {
      report_.add(send,
                  fmt::format("it sends the {} of value {}", to_string(from.kind),
                              from.value ? from.value->value() : 0),
                  {report_.note(
                      receive, fmt::format("but this takes it for the {} of value {}",
                                           to_string(to.kind), to.value ? to.value->value() : 0))});
    }
  }

  Report& report_;
  const RankClasses& classes_;
  std::vector<Ends> ends_;  // by class
  Pairs pairs_;
};

// By kind of group: every member's collectives in issue order, lane by lane.
class Collectives {
 public:
  Collectives(Report& report, const RankClasses& classes) : report_(report), classes_(classes) {}

  void run() {
    for (std::size_t c = 0; c < classes_.first.size(); ++c)
      collect(c);
    for (std::size_t kind = 0; kind < classes_.kinds.size(); ++kind) {
      for (int lane = 0; lane <= static_cast<int>(LaneKind::tensor); ++lane)
        compare_members(kind, static_cast<LaneKind>(lane));
    }
  }

 private:
  using Key = std::tuple<std::size_t, std::size_t, LaneKind>;  // class, slot

  const RankProgram& program(std::size_t c) const { return classes_.program(report_.plan, c); }
  At at(std::size_t c, OpId op) const {
    const RankId rank = classes_.first[c];
    return {report_.plan.ranks[rank.index()].program.index(), op, rank};
  }

  void collect(std::size_t c) {
    const RankProgram& own = program(c);
    for (std::size_t op = 0; op < own.ops.size(); ++op) {
      if (!is_collective(own.ops[op].kind)) continue;
      const LaneKind lane = own.lanes[own.ops[op].lane.index()].kind;
      sequences_[{c, collective_of(own.ops[op]).group, lane}].emplace_back(op);
    }
  }

  std::vector<OpId> sequence(const RankClasses::Member& member, LaneKind lane) const {
    if (!member.slot) return {};
    const auto found = sequences_.find({member.rank_class, *member.slot, lane});
    return found == sequences_.end() ? std::vector<OpId>{} : found->second;
  }

  void compare_members(std::size_t kind, LaneKind lane) {
    const auto& members = classes_.kinds[kind];
    const std::vector<OpId> first = sequence(members.front(), lane);
    for (const RankClasses::Member& member : members) {
      const std::vector<OpId> own = sequence(member, lane);
      if (own.size() != first.size()) {
        const RankId rank = classes_.first[member.rank_class];
        return report_.add_rank(
            rank.index(),
            fmt::format("on its {} lane it takes part in {} collectives of a group, rank {} in {}",
                        to_string(lane), own.size(),
                        classes_.first[members.front().rank_class].value(), first.size()));
      }
      for (std::size_t k = 0; k < own.size(); ++k)
        compare(at(members.front().rank_class, first[k]), at(member.rank_class, own[k]));
    }
    for (const OpId op : first)
      check_algorithm(members.front().rank_class, op);
  }

  void check_algorithm(std::size_t c, OpId id) {
    const At place = at(c, id);
    const Op& op = program(c).ops[id.index()];
    const Collective& it = collective_of(op);
    const std::size_t members = group_of(report_.plan, classes_.first[c], op).members.size();
    if (const auto refusal = refusal_of(shape_of(op, members))) report_.add(place, *refusal);
    if (it.pieces > std::max<std::int64_t>(1, it.end - it.begin))
      report_.add(place,
                  fmt::format("it sends {} elements in {} pieces", it.end - it.begin, it.pieces));
  }

  void compare(const At& a, const At& b) {
    const RankProgram &p = report_.plan.programs[a.program], &q = report_.plan.programs[b.program];
    const Op &left = p.ops[a.op.index()], &right = q.ops[b.op.index()];
    const Collective &x = collective_of(left), &y = collective_of(right);
    const bool same_content =
        x.parameter_class.has_value() == y.parameter_class.has_value() &&
        (!x.parameter_class || p.parameter_classes[x.parameter_class->index()].parameters ==
                                   q.parameter_classes[y.parameter_class->index()].parameters);
    const bool equal = left.kind == right.kind && same_content && x.begin == y.begin &&
                       x.end == y.end && x.divisor == y.divisor &&
                       x.element_bytes == y.element_bytes && x.algorithm == y.algorithm &&
                       x.sources == y.sources && x.node_members == y.node_members &&
                       x.pieces == y.pieces;
    if (equal) return;
    report_.add(
        a, fmt::format("it works on elements {}..{}, divided by {}", x.begin, x.end, x.divisor),
        {report_.note(b,
                      "but this is another collective, or works on other elements, or "
                      "divides by another number")});
  }

  Report& report_;
  const RankClasses& classes_;
  std::map<Key, std::vector<OpId>> sequences_;
};

// Messages stay within a replica and a slice: one part's samples are the next part's, too.
void check_peers(Report& report) {
  const auto& ranks = report.plan.ranks;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    for (const RankId peer : ranks[r].peers) {
      const RankBinding& other = ranks[peer.index()];
      if (other.first_micro_batch == ranks[r].first_micro_batch && other.slice == ranks[r].slice)
        continue;
      return report.add_rank(
          r, fmt::format("it trains from micro-batch {}, slice {}, its peer rank {} from "
                         "micro-batch {}, slice {}",
                         ranks[r].first_micro_batch, ranks[r].slice, peer.value(),
                         other.first_micro_batch, other.slice));
    }
  }
}

}  // namespace

Pairs check_pairing(Report& report, const RankClasses& classes) {
  check_peers(report);
  Pairs pairs = Transfers(report, classes).run();
  Collectives(report, classes).run();
  return pairs;
}

}  // namespace rehearse::verifier
