#include <nlohmann/json.hpp>

#include "model/plan/timeline.h"
#include "model/plan/verify.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;

double microseconds(Time time) {
  return static_cast<double>(time.picoseconds()) * 1e-6;
}

Json name_event(const char* what, std::int64_t process, std::int64_t thread,
                const std::string& name) {
  return {
      {"ph", "M"}, {"pid", process}, {"tid", thread}, {"name", what}, {"args", {{"name", name}}}};
}

// "send_forward 1", where a rank has several stages.
std::string lane_name(const RankProgram& program, std::size_t lane) {
  const Lane& it = program.lanes[lane];
  std::string name(to_string(it.kind));
  const bool between_stages = it.kind != LaneKind::compute && it.kind < LaneKind::collective;
  if (between_stages && program.stages.size() > 1) name += fmt::format(" {}", it.stage.value());
  return name;
}

}  // namespace

// The trace event format's complete ("X") and metadata ("M") events; times are microseconds.
std::string chrome_trace(const Plan& plan, const std::vector<NamedTimeline>& timelines) {
  Json events = Json::array();
  const auto ranks = static_cast<std::int64_t>(plan.ranks.size());
  for (std::size_t t = 0; t < timelines.size(); ++t) {
    const std::int64_t base = static_cast<std::int64_t>(t) * ranks;
    for (std::int64_t r = 0; r < ranks; ++r) {
      const RankProgram& program = program_of(plan, RankId(r));
      events.push_back(
          name_event("process_name", base + r, 0,
                     fmt::format("{}, rank {} ({})", timelines[t].name, r, program.name)));
      for (std::size_t lane = 0; lane < program.lanes.size(); ++lane) {
        events.push_back(name_event("thread_name", base + r, static_cast<std::int64_t>(lane),
                                    lane_name(program, lane)));
      }
    }
    for (const Span& span : timelines[t].timeline->spans) {
      const RankProgram& program = program_of(plan, span.rank);
      const Op& op = program.ops[span.op.index()];
      events.push_back({{"ph", "X"},
                        {"pid", base + static_cast<std::int64_t>(span.rank.index())},
                        {"tid", op.lane.value()},
                        {"name", to_string(op.kind)},
                        {"ts", microseconds(span.start)},
                        {"dur", microseconds(span.end - span.start)},
                        {"args",
                         {{"op", describe_op(program, span.op)},
                          {"step", span.step},
                          {"issue_us", microseconds(span.issue)}}}});
    }
  }
  return Json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump() + "\n";
}

}  // namespace rehearse
