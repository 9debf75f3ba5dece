#include "cost/closed_form/program_player.h"

#include <algorithm>
#include <limits>
#include <map>

#include "model/base/check.h"

namespace rehearse {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity(), kEnd = 1e-13;
// Rates are the same.
constexpr double kSame = 1 + 1e-9;

class Player {
 public:
  Player(const std::vector<PlayedRank>& ranks, const std::vector<Meeting>& meetings,
         std::size_t steps)
      : ranks_(ranks), meetings_(meetings), states_(ranks.size()), made_(steps) {
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      states_[r].lanes.resize(ranks[r].lanes);
      for (std::size_t id = 0; id < ranks[r].ops.size(); ++id) {
        states_[r].lanes[ranks[r].ops[id].lane].push_back(id);
        for (const PlayedOp::Use& use : ranks[r].ops[id].uses)
          links_.resize(std::max(links_.size(), use.link + 1));
      }
    }
    for (PlayedStep& step : made_) {
      for (const PlayedRank& rank : ranks)
        step.spans.emplace_back(rank.ops.size());
    }
  }

  std::vector<PlayedStep> run() {
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      begin_step(r);
    while (!running_.empty()) {
      if (has_other_flows_) share_links();
      has_other_flows_ = false;
      double next = kNever;
      for (const Running& it : running_)
        next = std::min(next, it.left * it.slowed);
      now_ += next;
      pass(next);
    }
    for (const RankState& state : states_)
      REHEARSE_CHECK(state.step == made_.size(), "a rank waits for ever in step {}", state.step);
    return std::move(made_);
  }

 private:
  // What flows whose speed is not known yet have of a link.
  struct Link {
    double left = 1, need = 0;  // of it; of it for each unit of rate
    double asked = 0;           // of it, by all at the rates that they reach alone
    int flows = 0;
    double rate() const { return left / need; }
  };
  struct RankState {
    std::vector<std::vector<std::size_t>> lanes;  // ops
    std::vector<std::size_t> next;                // by lane
    std::vector<bool> begun, done;
    std::size_t left = 0, step = 0;
  };
  struct Member {
    std::size_t rank, op;
  };
  struct Running {
    std::vector<Member> members;
    double left = 0;           // seconds of what it does now, alone
    std::size_t messages = 0;  // to come, with this one
    bool flows = false;
    double slowed = 1;
  };

  void begin_step(std::size_t rank) {
    RankState& state = states_[rank];
    if (state.step == made_.size()) return;
    state.next.assign(state.lanes.size(), 0);
    state.begun.assign(ranks_[rank].ops.size(), false);
    state.done.assign(ranks_[rank].ops.size(), false);
    state.left = ranks_[rank].ops.size();
    begin_ready(rank);
  }

  void begin_ready(std::size_t rank) {
    RankState& state = states_[rank];
    for (std::size_t lane = 0; lane < state.lanes.size(); ++lane) {
      if (state.next[lane] == state.lanes[lane].size()) continue;
      const std::size_t id = state.lanes[lane][state.next[lane]];
      const PlayedOp& op = ranks_[rank].ops[id];
      const bool waits =
          state.begun[id] || !std::all_of(op.after.begin(), op.after.end(),
                                          [&](std::size_t o) { return state.done[o]; });
      if (waits) continue;
      state.begun[id] = true;
      meet(rank, id);
    }
  }

  void meet(std::size_t rank, std::size_t id) {
    const PlayedOp& op = ranks_[rank].ops[id];
    if (!op.meeting) return begin({{rank, id}});
    std::vector<Member>& there = waiting_[{*op.meeting, states_[rank].step}];
    there.push_back({rank, id});
    if (there.size() < meetings_[*op.meeting].members) return;
    begin(std::move(there));
    waiting_.erase({*op.meeting, states_[rank].step});
  }

  void begin(std::vector<Member> members) {
    const PlayedOp& op = ranks_[members.front().rank].ops[members.front().op];
    for (const auto& [rank, id] : members)
      made_[states_[rank].step].spans[rank][id].begin = now_;
    const double first = op.messages > 0 ? op.start + waits(op) : op.seconds;
    running_.push_back({std::move(members), first, op.messages, false, 1});
  }

  static double waits(const PlayedOp& op) {
    return (op.seconds - op.start) / static_cast<double>(op.messages) - op.flows;
  }

  // Whether there is more to do.
  bool goes_on(Running& it) {
    if (it.messages == 0) return false;
    const PlayedOp& op = op_of(it);
    has_other_flows_ = has_other_flows_ || !op.uses.empty();
    if (it.flows && --it.messages == 0) return false;
    it.flows = !it.flows;
    it.left = it.flows ? op.flows : waits(op);
    return true;
  }

  void share_links() {
    flowing_.clear();
    links_.assign(links_.size(), {});
    bool is_enough = true;
    for (Running& it : running_) {
      it.slowed = 1;
      if (!it.flows || op_of(it).uses.empty()) continue;
      flowing_.push_back(&it);
      for (const PlayedOp::Use& use : op_of(it).uses) {
        Link& link = links_[use.link];
        link.need += use.share / op_of(it).rate, link.asked += use.share, ++link.flows;
        is_enough = is_enough && link.asked <= 1;
      }
    }
    while (!is_enough && !flowing_.empty())
      fill_slowest();
  }

  // Those that go no faster alone, or else those of the link that has least for each, have what
  // they need, or each as much.
  void fill_slowest() {
    double rate = kNever;
    std::size_t slowest = 0;
    for (std::size_t l = 0; l < links_.size(); ++l) {
      if (links_[l].flows == 0 || links_[l].rate() >= rate) continue;
      rate = links_[l].rate(), slowest = l;
    }
    const bool alone = settle([&](const PlayedOp& op) { return op.rate <= rate * kSame; }, kNever);
    if (alone) return;
    settle(
        [&](const PlayedOp& op) {
          return std::any_of(op.uses.begin(), op.uses.end(),
                             [&](const PlayedOp::Use& use) { return use.link == slowest; });
        },
        rate);
  }

  // Whether there are such.
  template <class IsMeant>
  bool settle(const IsMeant& is_meant, double most) {
    return std::erase_if(flowing_, [&](Running* it) {
             const PlayedOp& op = op_of(*it);
             if (!is_meant(op)) return false;
             const double rate = std::min(op.rate, most);
             it->slowed = op.rate / rate;
             for (const PlayedOp::Use& use : op.uses) {
               Link& link = links_[use.link];
               link.left = std::max(0.0, link.left - use.share * rate / op.rate);
               link.need -= use.share / op.rate, --link.flows;
             }
             return true;
           }) > 0;
  }

  const PlayedOp& op_of(const Running& it) const {
    return ranks_[it.members.front().rank].ops[it.members.front().op];
  }

  void pass(double seconds) {
    ended_.clear();
    for (std::size_t k = 0; k < running_.size();) {
      Running& it = running_[k];
      it.left -= seconds / it.slowed;
      if (it.left > kEnd || goes_on(it)) {
        ++k;
        continue;
      }
      ended_.insert(ended_.end(), it.members.begin(), it.members.end());
      if (k + 1 < running_.size()) it = std::move(running_.back());
      running_.pop_back();
    }
    for (const Member& member : ended_)
      end(member);
    for (const Member& member : ended_)
      begin_ready(member.rank);
  }

  void end(const Member& member) {
    RankState& state = states_[member.rank];
    PlayedStep& step = made_[state.step];
    step.spans[member.rank][member.op].end = now_;
    step.end = std::max(step.end, now_);
    state.done[member.op] = true;
    ++state.next[ranks_[member.rank].ops[member.op].lane];
    if (--state.left > 0) return;
    ++state.step;
    begin_step(member.rank);
  }

  const std::vector<PlayedRank>& ranks_;
  const std::vector<Meeting>& meetings_;
  std::vector<RankState> states_;
  std::map<std::pair<std::size_t, std::size_t>, std::vector<Member>> waiting_;  // and step
  std::vector<Running> running_;
  std::vector<Running*> flowing_;  // those whose share of links is not known yet
  std::vector<Link> links_;
  std::vector<Member> ended_;
  bool has_other_flows_ = false;  // than when links were shared out
  double now_ = 0;
  std::vector<PlayedStep> made_;
};

}  // namespace

std::vector<PlayedStep> play(const std::vector<PlayedRank>& ranks,
                             const std::vector<Meeting>& meetings, std::size_t steps) {
  return Player(ranks, meetings, steps).run();
}

}  // namespace rehearse
