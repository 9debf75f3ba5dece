#include "model/plan/critical_path.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "model/base/check.h"

namespace rehearse {
namespace {

struct OpOf {
  RankId rank;
  OpId op;
};

// Who takes part in a message or a collective together: ends of a message by sender, receiver and
// tag, members of a collective by its group, lane and number among those of the step there.
class Partners {
 public:
  explicit Partners(const Plan& plan) : plan_(plan), meeting_of_(plan.ranks.size()) {
    std::map<std::tuple<bool, std::size_t, std::size_t, std::int64_t>, std::size_t> known;
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const RankId rank(r);
      const RankProgram& program = program_of(plan, rank);
      std::map<std::pair<std::size_t, std::size_t>, std::int64_t> collectives;
      meeting_of_[r].resize(program.ops.size());
      for (std::size_t o = 0; o < program.ops.size(); ++o) {
        const Op& op = program.ops[o];
        if (!is_communication(op.kind)) continue;
        const auto key =
            is_collective(op.kind) ? of_collective(rank, op, collectives) : of_transfer(rank, op);
        const auto [meeting, is_new] = known.try_emplace(key, meetings_.size());
        if (is_new) meetings_.emplace_back();
        meetings_[meeting->second].push_back({rank, OpId(o)});
        meeting_of_[r][o] = meeting->second;
      }
    }
  }

  const std::vector<OpOf>& of(RankId rank, OpId op) const {
    return meetings_[meeting_of_[rank.index()][op.index()]];
  }

 private:
  using Key = std::tuple<bool, std::size_t, std::size_t, std::int64_t>;

  Key of_transfer(RankId rank, const Op& op) const {
    const Transfer& transfer = transfer_of(op);
    const RankId peer = plan_.ranks[rank.index()].peers[transfer.peer];
    const bool sends = op.kind == OpKind::send;
    return {false, (sends ? rank : peer).index(), (sends ? peer : rank).index(), transfer.tag};
  }
  Key of_collective(RankId rank, const Op& op,
                    std::map<std::pair<std::size_t, std::size_t>, std::int64_t>& counts) const {
    const GroupId group = plan_.ranks[rank.index()].groups[collective_of(op).group];
    const auto lane = static_cast<std::size_t>(program_of(plan_, rank).lanes[op.lane.index()].kind);
    return {true, group.index(), lane, counts[{group.index(), lane}]++};
  }

  const Plan& plan_;
  std::vector<std::vector<OpOf>> meetings_;
  std::vector<std::vector<std::size_t>> meeting_of_;  // by rank and op; 0 where there is none
};

class CriticalPath {
 public:
  CriticalPath(const Plan& plan, const Timeline& timeline)
      : plan_(plan),
        timeline_(timeline),
        partners_(plan),
        first_span_(plan.ranks.size() + 1, 0),
        lane_before_(plan.programs.size()) {
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const std::size_t ops = program_of(plan, RankId(r)).ops.size();
      first_span_[r + 1] = first_span_[r] + ops * static_cast<std::size_t>(timeline.steps);
    }
    REHEARSE_CHECK(first_span_.back() == timeline.spans.size(), "{} spans of {}",
                   timeline.spans.size(), first_span_.back());
    for (std::size_t p = 0; p < plan.programs.size(); ++p)
      lane_before_[p] = before_on_lane(plan.programs[p]);
  }

  std::vector<PathPart> back_from(Time end, Time begin) {
    const Span* span = last_of_all(end);
    Time cursor = end;
    while (cursor > begin && span != nullptr) {
      add(span->rank, span->op, std::max(begin, std::min(span->start, cursor)), cursor);
      if (cursor <= begin) break;
      span = who_issued_last(*span);
      const Time issue = span->issue;
      span = before(*span);
      // The rank had nothing to do that the plan knows of.
      const Time ended = span == nullptr ? begin : std::max(begin, span->end);
      if (span != nullptr && ended < cursor && ended < issue) add(span->rank, {}, ended, cursor);
    }
    if (cursor > begin) add(RankId(0), {}, begin, cursor);
    std::reverse(parts_.begin(), parts_.end());
    return std::move(parts_);
  }

 private:
  static std::vector<std::optional<OpId>> before_on_lane(const RankProgram& program) {
    std::vector<std::optional<OpId>> last(program.lanes.size()), before(program.ops.size());
    for (std::size_t o = 0; o < program.ops.size(); ++o) {
      before[o] = last[program.ops[o].lane.index()];
      last[program.ops[o].lane.index()] = OpId(o);
    }
    return before;
  }

  void add(RankId rank, std::optional<OpId> op, Time begin, Time& cursor) {
    if (begin < cursor) parts_.push_back({rank, op, begin, cursor});
    cursor = std::min(begin, cursor);
  }

  const Span& span_of(RankId rank, std::int64_t step, OpId op) const {
    const std::size_t ops = program_of(plan_, rank).ops.size();
    return timeline_
        .spans[first_span_[rank.index()] + static_cast<std::size_t>(step) * ops + op.index()];
  }

  const Span* last_of_all(Time end) const {
    const auto found = std::find_if(timeline_.spans.begin(), timeline_.spans.end(),
                                    [&](const Span& span) { return span.end == end; });
    return found == timeline_.spans.end() ? nullptr : &*found;
  }

  // Of those who take part, whoever came last.
  const Span* who_issued_last(const Span& span) const {
    if (!is_communication(program_of(plan_, span.rank).ops[span.op.index()].kind)) return &span;
    const Span* last = &span;
    for (const OpOf& other : partners_.of(span.rank, span.op)) {
      const Span& its = span_of(other.rank, span.step, other.op);
      if (its.issue > last->issue) last = &its;
    }
    return last;
  }

  // What its rank did until it issued the op.
  const Span* before(const Span& span) const {
    const RankProgram& program = program_of(plan_, span.rank);
    const Span* last = nullptr;
    const auto offer = [&](OpId op, std::int64_t step) {
      const Span& other = span_of(span.rank, step, op);
      if (last == nullptr || other.end > last->end) last = &other;
    };
    const auto on_lane =
        lane_before_[plan_.ranks[span.rank.index()].program.index()][span.op.index()];
    if (on_lane) offer(*on_lane, span.step);
    for (const OpId op : program.ops[span.op.index()].after)
      offer(op, span.step);
    // The first of a step wait for all of the one before it.
    if (last != nullptr || span.step == 0) return last;
    for (std::size_t op = 0; op < program.ops.size(); ++op)
      offer(OpId(op), span.step - 1);
    return last;
  }

  const Plan& plan_;
  const Timeline& timeline_;
  const Partners partners_;
  std::vector<std::size_t> first_span_;                        // by rank
  std::vector<std::vector<std::optional<OpId>>> lane_before_;  // by program and op
  std::vector<PathPart> parts_;
};

}  // namespace

std::vector<PathPart> critical_path(const Plan& plan, const Timeline& timeline,
                                    std::int64_t warm_up) {
  const StepWindow window = median_step(timeline, warm_up);
  return CriticalPath(plan, timeline).back_from(window.end, window.begin);
}

}  // namespace rehearse
