#include "model/plan/alive_over_time.h"

#include <algorithm>
#include <compare>
#include <set>

#include "model/net/pack.h"
#include "model/plan/layout.h"

namespace rehearse {
namespace {

// Of one moment first comes what ends then, of ops that took any time; then op after op what
// begins, and what ends with those that took none.
struct Order {
  Time time;
  bool is_later = false;
  std::int64_t step = 0;
  OpId op;
  friend auto operator<=>(const Order&, const Order&) = default;
};

Order order_of(const LifeEvent& event, const Span& span) {
  const bool ends_early = !event.begins && span.start < span.end;
  return {event.time, !ends_early, span.step, span.op};
}

class Arena {
 public:
  explicit Arena(const RankProgram& program) : program_(program), layout_(lay_out(program)) {
    for (std::size_t b = 0; b < program.buffers.size(); ++b) {
      if (is_persistent(program.buffers[b].kind)) change(BufferId(b), true);
    }
  }

  void change(BufferId id, bool begins) {
    const Bytes size = program_.buffers[id.index()].size;
    const Bytes end = layout_.offsets[id.index()] + align_up(size, kAlignment);
    if (begins) {
      alive_ += size;
      ends_.insert(end);
    } else {
      alive_ -= size;
      ends_.erase(ends_.find(end));
    }
  }

  ArenaUse at(Time time) const { return {time, alive_, ends_.empty() ? Bytes{} : *ends_.rbegin()}; }

 private:
  const RankProgram& program_;
  const Layout layout_;
  Bytes alive_;
  std::multiset<Bytes> ends_;
};

}  // namespace

std::vector<LifeEvent> life_events(const RankProgram& program, std::span<const Span> spans) {
  std::vector<std::pair<Order, LifeEvent>> events;
  for (const Span& span : spans) {
    for (const bool begins : {true, false}) {
      for (const Operand& operand : program.ops[span.op.index()].operands) {
        if (begins ? !operand.allocates : !operand.frees) continue;
        const LifeEvent event{begins ? span.start : span.end, operand.buffer, span.op, begins};
        events.emplace_back(order_of(event, span), event);
      }
    }
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<LifeEvent> ordered;
  ordered.reserve(events.size());
  for (const auto& [order, event] : events)
    ordered.push_back(event);
  return ordered;
}

std::vector<ArenaUse> arena_use(const RankProgram& program, std::span<const Span> spans) {
  const std::vector<LifeEvent> events = life_events(program, spans);
  Arena arena(program);
  std::vector<ArenaUse> uses;
  for (std::size_t e = 0; e < events.size(); ++e) {
    arena.change(events[e].buffer, events[e].begins);
    const bool is_last = e + 1 == events.size() || events[e + 1].time != events[e].time;
    // What lives for no time at all has been there, too.
    const bool is_highest = !is_last && events[e].begins && !events[e + 1].begins;
    if (is_last || is_highest) uses.push_back(arena.at(events[e].time));
  }
  return uses;
}

}  // namespace rehearse
