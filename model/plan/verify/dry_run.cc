#include <map>
#include <tuple>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// Plays one period without time: messages need both ends issued (rendezvous), collectives all
// members. What is left when nothing moves is a deadlock.
class DryRun {
 public:
  explicit DryRun(Report& report) : report_(report), plan_(report.plan) {
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r)
      ranks_.emplace_back(program_of(plan_, RankId(r)));
  }

  void run() {
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      touched_.push_back(r);
    while (!touched_.empty()) {
      const std::size_t rank = touched_.back();
      touched_.pop_back();
      advance(rank);
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      explain(r);
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
    std::map<GroupId, std::size_t> reductions;    // begun, by group
  };
  struct End {
    std::size_t rank, op;
  };

  void advance(std::size_t r) {
    Rank& rank = ranks_[r];
    bool moved = true;
    while (moved) {
      moved = false;
      for (std::size_t lane = 0; lane < rank.lanes.size(); ++lane)
        moved = step(r, lane) || moved;
    }
  }

  // Whether the lane's first op ended now.
  bool step(std::size_t r, std::size_t lane) {
    Rank& rank = ranks_[r];
    if (rank.next[lane] == rank.lanes[lane].size()) return false;
    const std::size_t id = rank.lanes[lane][rank.next[lane]];
    const Op& op = rank.program->ops[id];
    if (!rank.issued[id]) {
      for (const OpId before : op.after) {
        if (!rank.ended[before.index()]) return false;
      }
      rank.issued[id] = true;
      if (is_communication(op.kind)) {
        meet(r, id, op);
      } else {
        rank.ended[id] = true;
      }
    }
    if (!rank.ended[id]) return false;
    ++rank.next[lane];
    return true;
  }

  void meet(std::size_t r, std::size_t id, const Op& op) {
    const RankBinding& binding = plan_.ranks[r];
    if (op.kind == OpKind::all_reduce) {
      const auto slot =
          ranks_[r].program->parameter_classes[collective_of(op).parameter_class.index()].group;
      const GroupId group = binding.groups[*slot];
      auto& waiting = collectives_[{group, ranks_[r].reductions[group]++}];
      waiting.push_back({r, id});
      if (waiting.size() == plan_.groups[group.index()].members.size()) end_all(waiting);
      return;
    }
    const Transfer& transfer = transfer_of(op);
    const RankId peer = binding.peers[transfer.peer];
    const RankId self(r);
    const bool sends = op.kind == OpKind::send;
    auto& waiting = transfers_[{sends ? self : peer, sends ? peer : self, transfer.tag}];
    waiting.push_back({r, id});
    if (waiting.size() == 2) end_all(waiting);
  }

  void end_all(const std::vector<End>& ends) {
    for (const End& end : ends) {
      ranks_[end.rank].ended[end.op] = true;
      touched_.push_back(end.rank);
    }
  }

  // Every op that is issued and waits for others, and every lane head that waits for such an op.
  void explain(std::size_t r) {
    const Rank& rank = ranks_[r];
    for (std::size_t lane = 0; lane < rank.lanes.size(); ++lane) {
      if (rank.next[lane] == rank.lanes[lane].size()) continue;
      const std::size_t id = rank.lanes[lane][rank.next[lane]];
      const At at{plan_.ranks[r].program.index(), OpId(id), RankId(r)};
      if (rank.issued[id]) {
        report_.add(at, fmt::format("deadlock: it waits for {}", partners(r, id)));
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

  std::string partners(std::size_t r, std::size_t id) const {
    const Op& op = ranks_[r].program->ops[id];
    const RankBinding& binding = plan_.ranks[r];
    if (op.kind != OpKind::all_reduce) {
      return fmt::format("rank {}, which has not issued the other end",
                         binding.peers[transfer_of(op).peer].value());
    }
    const auto slot =
        ranks_[r].program->parameter_classes[collective_of(op).parameter_class.index()].group;
    return fmt::format("the other members of group {}", binding.groups[*slot].value());
  }

  Report& report_;
  const Plan& plan_;
  std::vector<Rank> ranks_;
  std::vector<std::size_t> touched_;
  std::map<std::pair<GroupId, std::size_t>, std::vector<End>> collectives_;
  std::map<std::tuple<RankId, RankId, std::int64_t>, std::vector<End>> transfers_;
};

}  // namespace

void dry_run(Report& report) {
  DryRun(report).run();
}

}  // namespace rehearse::verifier
