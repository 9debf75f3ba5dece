#include "tools/summary/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/base/text.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

using Row = std::vector<std::string>;

// How far the prediction is off, in percent of the measurement.
std::string off_by(double predicted, double measured) {
  if (measured == 0) return predicted == 0 ? "equal" : "-";
  if (predicted == measured) return "equal";
  return fmt::format("{:+.1f} %", 100 * (predicted / measured - 1));
}

Row row(std::string what, Seconds predicted, Seconds measured) {
  return {std::move(what), human(predicted), human(measured),
          off_by(predicted.seconds(), measured.seconds())};
}

Row row(std::string what, std::optional<Bytes> predicted, std::optional<Bytes> measured) {
  const auto text = [](std::optional<Bytes> bytes) { return bytes ? human(*bytes) : "-"; };
  const bool both = predicted && measured;
  return {
      std::move(what), text(predicted), text(measured),
      both ? off_by(static_cast<double>(predicted->bytes()), static_cast<double>(measured->bytes()))
           : "-"};
}

std::optional<Bytes> memory_of(const StrategySummary& s, Bytes MemorySummary::*figure) {
  return s.memory ? std::optional((*s.memory).*figure) : std::nullopt;
}

// Kinds that compute add up to what ranks compute in the mean; messages are under way beside them,
// and beside one another.
void add_kinds(std::vector<Row>& rows, const StrategySummary& p, const StrategySummary& m) {
  Seconds predicted, measured;
  std::vector<Row> computing, communicating;
  for (const KindSummary& kind : p.kinds) {
    const auto same = std::find_if(m.kinds.begin(), m.kinds.end(),
                                   [&](const KindSummary& k) { return k.kind == kind.kind; });
    if (same == m.kinds.end()) continue;
    const std::string what = fmt::format("{} ({} ops)", to_string(kind.kind), kind.ops);
    if (is_communication(kind.kind)) {
      communicating.push_back(row(what + " under way", kind.busy, same->busy));
      continue;
    }
    computing.push_back(row("  " + what, kind.busy, same->busy));
    predicted += kind.busy;
    measured += same->busy;
  }
  rows.push_back(row("compute, mean of ranks", predicted, measured));
  rows.insert(rows.end(), computing.begin(), computing.end());
  rows.insert(rows.end(), communicating.begin(), communicating.end());
}

// What the two are called.
struct Sides {
  std::string one, other, other_only;
};
Sides sides_of(const Summary& predicted, const Summary& measured) {
  if (predicted.source == measured.source) return {"first", "second", "in the second only"};
  return {predicted.source, measured.source,
          fmt::format("{}, not {}", measured.source, predicted.source)};
}

StyledText compare_ranks(const StrategySummary& p, const StrategySummary& m,
                         const std::string& other) {
  std::vector<Row> rows = {{"rank", "compute", other, "exposed comm", other, "idle", other}};
  for (std::size_t r = 0; r < std::min(p.ranks.size(), m.ranks.size()); ++r) {
    const RankSummary &x = p.ranks[r], &y = m.ranks[r];
    rows.push_back({std::to_string(r), human(x.compute), human(y.compute),
                    human(x.exposed_communication), human(y.exposed_communication), human(x.idle),
                    human(y.idle)});
  }
  return align_columns(rows);
}

// Ranks whose bytes differ, if any: they should not.
std::string differing_ranks(const StrategySummary& p, const StrategySummary& m) {
  std::vector<std::string> ranks;
  for (std::size_t r = 0; r < std::min(p.ranks.size(), m.ranks.size()); ++r) {
    const bool equal = p.ranks[r].traffic == m.ranks[r].traffic;
    if (!equal) ranks.push_back(std::to_string(r));
  }
  return ranks.empty() ? "bytes of every rank: equal\n"
                       : fmt::format("bytes differ on ranks {}\n", join(ranks, ", "));
}

// By a rank in one of so many redraws: what is predicted of just these, or of those that are known.
Bytes received_in(const SubnetworkSummary::Redraw& redraw, std::int64_t count, std::size_t ranks) {
  if (count > std::ssize(redraw.by_redraw)) return redraw.received;
  const auto end = redraw.by_redraw.begin() + count;
  return std::accumulate(redraw.by_redraw.begin(), end, Bytes{}) /
         (count * static_cast<std::int64_t>(ranks));
}

StyledText compare(const StrategySummary& p, const StrategySummary& m, const Sides& sides) {
  std::vector<Row> rows = {{m.strategy, sides.one, sides.other, "off by"}};
  rows.push_back(row("step time", p.step_time, m.step_time));
  rows.push_back(row("  compute", p.compute, m.compute));
  rows.push_back(row("  exposed communication", p.exposed_communication, m.exposed_communication));
  rows.push_back(row("  idle", p.idle, m.idle));
  add_kinds(rows, p, m);
  rows.push_back(row("bytes sent, all ranks", total_sent(p), total_sent(m)));
  rows.push_back(row("tensor arena", memory_of(p, &MemorySummary::arena),
                     memory_of(m, &MemorySummary::arena)));
  rows.push_back(
      row("peak memory", memory_of(p, &MemorySummary::peak), memory_of(m, &MemorySummary::peak)));
  const bool redraws = p.subnetwork && p.subnetwork->redraw;
  if (redraws && m.transitions) {
    rows.push_back(row("redraw, bytes to a rank",
                       received_in(*p.subnetwork->redraw, m.transitions->count, m.ranks.size()),
                       m.transitions->received));
    rows.push_back(row("redraw, time", p.subnetwork->redraw->time, m.transitions->time));
  }
  // Every draw deals the parts out anew: what one rank sends in the first another sends in the
  // next.
  return align_columns(rows) + (redraws ? "" : differing_ranks(p, m)) + "\n" +
         compare_ranks(p, m, sides.other);
}

}  // namespace

bool have_same_plan(const StrategySummary& predicted, const StrategySummary& measured) {
  return predicted.plan_hash == measured.plan_hash;
}

std::string differing_plans(const StrategySummary& predicted, const StrategySummary& measured) {
  return fmt::format(
      "strategy '{}' was predicted with plan {}, measured with plan {}: not the same plan",
      measured.strategy, predicted.plan_hash, measured.plan_hash);
}

Result<StyledText> print_diff(const Summary& predicted, const Summary& measured) {
  const Sides sides = sides_of(predicted, measured);
  StyledText text;
  std::string unpredicted;
  for (const StrategySummary& m : measured.strategies) {
    const auto p = std::find_if(predicted.strategies.begin(), predicted.strategies.end(),
                                [&](const StrategySummary& s) { return s.strategy == m.strategy; });
    if (p == predicted.strategies.end()) {
      unpredicted += fmt::format("\n{}: {}\n", m.strategy, sides.other_only);
      continue;
    }
    if (!have_same_plan(*p, m)) {
      return error(
          predicted.source == measured.source
              ? fmt::format("strategy '{}': plan {} in the first, {} in the second: not the same",
                            m.strategy, p->plan_hash, m.plan_hash)
              : differing_plans(*p, m),
          {{std::nullopt,
            "the plan follows from the scenario and, where stages are cut, from the device "
            "profile: "
            "give both commands the same ones"}});
    }
    text += (text.empty() ? "" : "\n") + compare(*p, m, sides);
  }
  if (text.empty()) return error("the two files have no strategy in common");
  return text + unpredicted;
}

}  // namespace rehearse
