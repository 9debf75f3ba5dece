#include "exec/run/gather_spans.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::exec {
namespace {

std::string pack_spans(const std::vector<Span>& spans) {
  std::string text;
  for (const Span& span : spans) {
    fmt::format_to(std::back_inserter(text), "{} {} {} {}\n", span.op.value(), span.step,
                   span.issue.picoseconds(), span.end.picoseconds());
  }
  return text;
}

std::vector<Span> unpack_spans(const std::string& text, RankId rank) {
  std::vector<Span> spans;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const auto words = split(line, ' ');
    const auto number = [&](std::size_t k) { return parse_integer(words[k]).value(); };
    const Time issue = Time::picoseconds(number(2));
    spans.push_back({rank, OpId(number(0)), number(1), issue, issue, Time::picoseconds(number(3))});
  }
  return spans;
}

// What the ends of one message, or the members of one collective, have in common within a step.
using Meeting = std::tuple<std::int64_t, std::uint32_t, std::uint32_t, std::int64_t>;

class Meetings {
 public:
  explicit Meetings(const Plan& plan) : plan_(plan) {
    for (std::size_t r = 0; r < plan.ranks.size(); ++r)
      name_ops(RankId(r));
  }

  void set_starts(std::vector<Span>& spans) const {
    std::map<Meeting, Time> last_issue;
    for (const Span& span : spans) {
      if (!is_communication(op_of(span).kind)) continue;
      Time& last = last_issue[meeting_of(span)];
      last = std::max(last, span.issue);
    }
    for (Span& span : spans) {
      if (!is_communication(op_of(span).kind)) continue;
      // A rank may see the end of its own part before another has begun its last: never after its
      // end.
      span.start = std::min(last_issue.at(meeting_of(span)), span.end);
    }
  }

 private:
  const Op& op_of(const Span& span) const {
    return program_of(plan_, span.rank).ops[span.op.index()];
  }

  // Collectives of a group and kind of lane are numbered in issue order, which is the same on all
  // members.
  void name_ops(RankId rank) {
    const RankBinding& binding = plan_.ranks[rank.index()];
    const RankProgram& program = program_of(plan_, rank);
    std::map<std::pair<GroupId, LaneKind>, std::int64_t> collectives;
    auto& names = names_.emplace_back(program.ops.size());
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      const Op& it = program.ops[op];
      if (is_collective(it.kind)) {
        const GroupId group = binding.groups[collective_of(it).group];
        const LaneKind lane = program.lanes[it.lane.index()].kind;
        names[op] = {0, group.value(), kCollective - static_cast<std::uint32_t>(lane),
                     collectives[{group, lane}]++};
      } else if (it.kind == OpKind::send || it.kind == OpKind::receive) {
        const RankId peer = binding.peers[transfer_of(it).peer];
        const bool sends = it.kind == OpKind::send;
        names[op] = {0, (sends ? rank : peer).value(), (sends ? peer : rank).value(),
                     transfer_of(it).tag};
      }
    }
  }

  Meeting meeting_of(const Span& span) const {
    Meeting meeting = names_[span.rank.index()][span.op.index()];
    std::get<0>(meeting) = span.step;
    return meeting;
  }

  // No rank, less the kind of lane: a group's number stands first.
  static constexpr std::uint32_t kCollective = 0xFFFFFFFF;
  const Plan& plan_;
  std::vector<std::vector<Meeting>> names_;  // by rank and op
};

}  // namespace

Timeline gather_spans(const Plan& plan, const std::vector<Span>& own, std::int64_t steps,
                      Transport& transport) {
  const std::vector<std::string> parts = transport.gather(pack_spans(own));
  Timeline timeline;
  timeline.steps = steps;
  for (std::size_t r = 0; r < parts.size(); ++r) {
    const auto spans = unpack_spans(parts[r], RankId(r));
    timeline.spans.insert(timeline.spans.end(), spans.begin(), spans.end());
  }
  Meetings(plan).set_starts(timeline.spans);
  return timeline;
}

}  // namespace rehearse::exec
