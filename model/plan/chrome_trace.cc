#include "model/plan/chrome_trace.h"

#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <tuple>

#include "model/plan/alive_over_time.h"
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

// Events of one timeline; process of rank r: base + r.
class Events {
 public:
  Events(const Plan& plan, const NamedTimeline& timeline, std::int64_t base, Json& events)
      : plan_(plan), timeline_(timeline), base_(base), events_(events) {}

  void add_names() {
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r) {
      const RankProgram& program = program_of(plan_, RankId(r));
      const std::int64_t process = base_ + static_cast<std::int64_t>(r);
      events_.push_back(
          name_event("process_name", process, 0,
                     fmt::format("{}, rank {} ({})", timeline_.name, r, program.name)));
      for (std::size_t lane = 0; lane < program.lanes.size(); ++lane) {
        events_.push_back(name_event("thread_name", process, static_cast<std::int64_t>(lane),
                                     lane_name(program, lane)));
      }
    }
  }

  void add_spans() {
    for (const Span& span : timeline_.timeline->spans) {
      const RankProgram& program = program_of(plan_, span.rank);
      Json event = event_at("X", span, span.start);
      event["name"] = to_string(op_of(span).kind);
      event["dur"] = microseconds(span.end - span.start);
      event["args"] = {{"op", describe_op(program, span.op)},
                       {"step", span.step},
                       {"issue_us", microseconds(span.issue)}};
      events_.push_back(std::move(event));
    }
  }

  // From the start of the one to the start of the other, where both are in the timeline.
  void add_flows(std::int64_t& number) {
    std::map<MessageKey, const Span*> sends;
    for (const Span& span : timeline_.timeline->spans) {
      if (op_of(span).kind == OpKind::send) sends.emplace(key_of(span), &span);
    }
    for (const Span& span : timeline_.timeline->spans) {
      if (op_of(span).kind != OpKind::receive) continue;
      const auto send = sends.find(key_of(span));
      if (send == sends.end()) continue;
      events_.push_back(flow("s", *send->second, number));
      events_.push_back(flow("f", span, number));
      events_.back()["bp"] = "e";  // the op around it, not the next one
      ++number;
    }
  }

 private:
  using MessageKey = std::tuple<std::size_t, std::size_t, std::int64_t, std::int64_t>;

  const Op& op_of(const Span& span) const {
    return program_of(plan_, span.rank).ops[span.op.index()];
  }
  // Sender, receiver, tag and step.
  MessageKey key_of(const Span& span) const {
    const Op& op = op_of(span);
    const Transfer& transfer = transfer_of(op);
    const std::size_t own = span.rank.index(), peer = plan_.ranks[own].peers[transfer.peer].index();
    const bool sends = op.kind == OpKind::send;
    return {sends ? own : peer, sends ? peer : own, transfer.tag, span.step};
  }
  Json event_at(const char* phase, const Span& span, Time time) const {
    return {{"ph", phase},
            {"pid", base_ + static_cast<std::int64_t>(span.rank.index())},
            {"tid", op_of(span).lane.value()},
            {"ts", microseconds(time)}};
  }
  Json flow(const char* phase, const Span& span, std::int64_t number) const {
    Json event = event_at(phase, span, span.start);
    event["cat"] = event["name"] = "message";
    event["id"] = number;
    return event;
  }

  const Plan& plan_;
  const NamedTimeline& timeline_;
  const std::int64_t base_;
  Json& events_;
};

void add_counters(const std::vector<TraceCounter>& counters, std::int64_t machine, Json& events) {
  bool has_machine = false;
  for (const TraceCounter& counter : counters) {
    const std::int64_t process =
        counter.rank ? static_cast<std::int64_t>(counter.rank->index()) : machine;
    if (!counter.rank && !has_machine) {
      events.push_back(name_event("process_name", machine, 0, "links"));
      has_machine = true;
    }
    for (const auto& [time, value] : counter.values) {
      events.push_back({{"ph", "C"},
                        {"pid", process},
                        {"name", counter.name},
                        {"ts", microseconds(time)},
                        {"args", {{counter.unit, value}}}});
    }
  }
}

}  // namespace

// The trace event format's complete ("X"), metadata ("M"), flow ("s", "f") and counter ("C")
// events; times are microseconds.
std::string chrome_trace(const Plan& plan, const std::vector<NamedTimeline>& timelines,
                         const std::vector<TraceCounter>& counters) {
  Json events = Json::array();
  const std::int64_t ranks = std::ssize(plan.ranks);
  std::int64_t flows = 1, base = 0;
  for (const NamedTimeline& timeline : timelines) {
    Events own(plan, timeline, base, events);
    own.add_names();
    own.add_spans();
    own.add_flows(flows);
    base += ranks;
  }
  add_counters(counters, base, events);
  return Json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump() + "\n";
}

std::string chrome_trace(const Plan& plan, const std::vector<NamedTimeline>& timelines) {
  return chrome_trace(plan, timelines, {});
}

std::vector<TraceCounter> memory_counters(const Plan& plan, const Timeline& timeline,
                                          const std::vector<Bytes>& beside) {
  std::vector<TraceCounter> counters;
  std::span<const Span> left(timeline.spans);
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankId rank(r);
    std::size_t own = 0;
    while (own < left.size() && left[own].rank == rank)
      ++own;
    TraceCounter alive{rank, "bytes alive", "bytes", {}}, memory{rank, "memory", "bytes", {}};
    const Bytes more = beside.empty() ? Bytes{} : beside[r];
    for (const ArenaUse& use : arena_use(program_of(plan, rank), left.first(own))) {
      alive.values.emplace_back(use.time, static_cast<double>(use.alive.bytes()));
      memory.values.emplace_back(use.time, static_cast<double>((use.extent + more).bytes()));
    }
    counters.push_back(std::move(alive));
    counters.push_back(std::move(memory));
    left = left.subspan(own);
  }
  return counters;
}

}  // namespace rehearse
