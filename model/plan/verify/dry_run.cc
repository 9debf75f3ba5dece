#include <algorithm>
#include <map>
#include <tuple>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// Collectives of one kind of group on lanes of one kind, as far as they have come.
struct Meeting {
  std::size_t kind;  // of group
  LaneKind lane;
  std::size_t number;
  friend auto operator<=>(const Meeting&, const Meeting&) = default;
};

// Plays one period without time, one rank for each class of alike ones: messages need both ends
// issued (rendezvous), collectives all members. What is left when nothing moves is a deadlock.
//
// One run is enough: an op that could be issued or end stays so whatever else happens first, so
// that every order of the lanes comes to the same end; and sends that are buffered only end
// earlier.
class DryRun {
 public:
  DryRun(Report& report, const RankClasses& classes, const Pairs& pairs)
      : report_(report), plan_(report.plan), classes_(classes), pairs_(pairs) {
    for (std::size_t c = 0; c < classes.first.size(); ++c)
      ranks_.emplace_back(classes.program(plan_, c));
  }

  void run() {
    for (std::size_t c = 0; c < ranks_.size(); ++c)
      touched_.push_back(c);
    while (!touched_.empty()) {
      const std::size_t rank = touched_.back();
      touched_.pop_back();
      advance(rank);
    }
    for (std::size_t c = 0; c < ranks_.size(); ++c)
      explain(c);
  }

 private:
  struct Rank {
    explicit Rank(const RankProgram& p)
        : program(&p),
          ended(p.ops.size(), false),
          issued(p.ops.size(), false),
          lanes(p.lanes.size()) {
      for (std::size_t op = 0; op < p.ops.size(); ++op)
        lanes[p.ops[op].lane.index()].push_back(op);
      next.resize(p.lanes.size(), 0);
    }
    const RankProgram* program;
    std::vector<bool> ended, issued;
    std::vector<std::vector<std::size_t>> lanes;  // ops of each lane
    std::vector<std::size_t> next;                // by lane: the first that has not ended
    // Collectives begun, by group slot and kind of lane.
    std::map<std::pair<std::size_t, LaneKind>, std::size_t> begun;
  };
  struct End {
    std::size_t rank, op;
  };

  void advance(std::size_t c) {
    Rank& rank = ranks_[c];
    bool moved = true;
    while (moved) {
      moved = false;
      for (std::size_t lane = 0; lane < rank.lanes.size(); ++lane) {
        while (step(c, lane))
          moved = true;
      }
    }
  }

  // Whether the lane's first op ended now.
  bool step(std::size_t c, std::size_t lane) {
    Rank& rank = ranks_[c];
    if (rank.next[lane] == rank.lanes[lane].size()) return false;
    const std::size_t id = rank.lanes[lane][rank.next[lane]];
    const Op& op = rank.program->ops[id];
    if (!rank.issued[id]) {
      for (const OpId before : op.after) {
        if (!rank.ended[before.index()]) return false;
      }
      rank.issued[id] = true;
      if (is_communication(op.kind)) {
        meet(c, id, op);
      } else {
        rank.ended[id] = true;
      }
    }
    if (!rank.ended[id]) return false;
    ++rank.next[lane];
    return true;
  }

  void meet(std::size_t c, std::size_t id, const Op& op) {
    if (is_collective(op.kind)) return join(c, id, op);
    const auto [other, partner] = *pairs_[c][id];
    if (!ranks_[other].issued[partner.index()]) return;
    end({c, id});
    end({other, partner.index()});
  }

  void join(std::size_t c, std::size_t id, const Op& op) {
    const std::size_t slot = collective_of(op).group;
    const LaneKind lane = ranks_[c].program->lanes[op.lane.index()].kind;
    const std::size_t kind = classes_.groups[c][slot];
    auto& waiting = meetings_[{kind, lane, ranks_[c].begun[{slot, lane}]++}];
    waiting.push_back({c, id});
    if (waiting.size() < classes_.kinds[kind].size()) return;
    for (const End& one : waiting)
      end(one);
  }

  void end(const End& one) {
    ranks_[one.rank].ended[one.op] = true;
    touched_.push_back(one.rank);
  }

  // Every op that is issued and waits for others, and every lane head that waits for such an op.
  void explain(std::size_t c) {
    const Rank& rank = ranks_[c];
    for (std::size_t lane = 0; lane < rank.lanes.size(); ++lane) {
      if (rank.next[lane] == rank.lanes[lane].size()) continue;
      const std::size_t id = rank.lanes[lane][rank.next[lane]];
      const RankId first = classes_.first[c];
      const At at{plan_.ranks[first.index()].program.index(), OpId(id), first};
      if (rank.issued[id]) {
        report_.add(at, fmt::format("deadlock: it waits for {}", partners(c, id)));
        continue;
      }
      for (const OpId before : rank.program->ops[id].after) {
        if (rank.ended[before.index()]) continue;
        report_.add(at, "deadlock: it waits for an op that never ends",
                    {report_.note({at.program, before, at.rank}, "this op")});
        break;
      }
    }
  }

  std::string partners(std::size_t c, std::size_t id) const {
    const Op& op = ranks_[c].program->ops[id];
    const RankBinding& binding = plan_.ranks[classes_.first[c].index()];
    if (is_collective(op.kind)) {
      return fmt::format("the other members of group {}",
                         binding.groups[collective_of(op).group].value());
    }
    return fmt::format("rank {}, which has not issued the other end",
                       binding.peers[transfer_of(op).peer].value());
  }

  Report& report_;
  const Plan& plan_;
  const RankClasses& classes_;
  const Pairs& pairs_;
  std::vector<Rank> ranks_;  // one of each class
  std::vector<std::size_t> touched_;
  std::map<Meeting, std::vector<End>> meetings_;
};

// Libraries that give every group a communicator of its own (NCCL) need one order of all
// collectives that all ranks issue them in: the order of the lists, all lanes together, must be
// acyclic over all groups. One rank of each class issues its collectives one by one.
class CollectiveOrder {
 public:
  CollectiveOrder(Report& report, const RankClasses& classes)
      : report_(report), plan_(report.plan), classes_(classes), ranks_(classes.first.size()) {
    for (std::size_t c = 0; c < ranks_.size(); ++c)
      collect(c);
  }

  void run() {
    std::vector<std::size_t> touched(ranks_.size());
    for (std::size_t c = 0; c < touched.size(); ++c)
      touched[c] = c;
    while (!touched.empty()) {
      const std::size_t c = touched.back();
      touched.pop_back();
      arrive(c, touched);
    }
    for (std::size_t c = 0; c < ranks_.size(); ++c) {
      if (ranks_[c].next == ranks_[c].meetings.size()) continue;
      const RankId first = classes_.first[c];
      report_.add(
          {plan_.ranks[first.index()].program.index(), ranks_[c].ops[ranks_[c].next], first},
          "collectives over overlapping groups are issued in a circle: other members of its "
          "group issue it after one that this rank issues later");
    }
  }

 private:
  struct Rank {
    std::vector<OpId> ops;
    std::vector<Meeting> meetings;
    std::size_t next = 0;
  };

  void collect(std::size_t c) {
    const RankProgram& program = classes_.program(plan_, c);
    std::map<std::pair<std::size_t, LaneKind>, std::size_t> begun;
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      if (!is_collective(program.ops[op].kind)) continue;
      const std::size_t slot = collective_of(program.ops[op]).group;
      const LaneKind lane = program.lanes[program.ops[op].lane.index()].kind;
      ranks_[c].ops.emplace_back(op);
      ranks_[c].meetings.push_back({classes_.groups[c][slot], lane, begun[{slot, lane}]++});
    }
  }

  // A class whose members have two slots for a kind of group comes to its meetings twice.
  void arrive(std::size_t c, std::vector<std::size_t>& touched) {
    Rank& rank = ranks_[c];
    if (rank.next == rank.meetings.size()) return;
    const Meeting& meeting = rank.meetings[rank.next];
    auto& waiting = waiting_[meeting];
    waiting.push_back(c);
    if (waiting.size() < classes_.kinds[meeting.kind].size()) return;
    const std::vector<std::size_t> all = std::move(waiting);
    waiting_.erase(meeting);
    for (const std::size_t member : all) {
      ++ranks_[member].next;
      touched.push_back(member);
    }
  }

  Report& report_;
  const Plan& plan_;
  const RankClasses& classes_;
  std::vector<Rank> ranks_;
  std::map<Meeting, std::vector<std::size_t>> waiting_;
};

}  // namespace

void check_collective_order(Report& report, const RankClasses& classes) {
  CollectiveOrder(report, classes).run();
}

void dry_run(Report& report, const RankClasses& classes, const Pairs& pairs) {
  DryRun(report, classes, pairs).run();
}

}  // namespace rehearse::verifier
