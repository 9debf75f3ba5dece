#include <algorithm>
#include <map>

#include "model/base/text.h"
#include "tools/figures/bars.h"
#include "tools/figures/colors.h"
#include "tools/figures/figures.h"
#include "tools/figures/points.h"
#include "tools/figures/step_figures.h"
#include "tools/figures/words.h"
#include "tools/summary/diff.h"
#include "tools/summary/subnetworks.h"

namespace rehearse::figures {
namespace {

// Of one strategy, as far as there is one.
struct Entry {
  std::string name;
  const StrategySummary *predicted = nullptr, *measured = nullptr;
};

// One row of the comparisons: "ddp", or "ddp, measured" where anything was.
struct Run {
  std::string name;
  const StrategySummary* summary;
};

std::vector<Entry> entries_of(const std::vector<Summary>& summaries) {
  std::vector<Entry> entries;
  for (const char* source : {"predicted", "measured"}) {
    for (const Summary& summary : summaries) {
      if (summary.source != source) continue;
      for (const StrategySummary& own : summary.strategies) {
        auto entry = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& known) { return known.name == own.strategy; });
        if (entry == entries.end()) entry = entries.insert(entries.end(), {own.strategy});
        (summary.source == "predicted" ? entry->predicted : entry->measured) = &own;
      }
    }
  }
  return entries;
}

std::vector<Run> runs_of(const std::vector<Entry>& entries) {
  const bool any_measured = std::any_of(
      entries.begin(), entries.end(), [](const Entry& entry) { return entry.measured != nullptr; });
  std::vector<Run> runs;
  for (const Entry& entry : entries) {
    if (entry.predicted)
      runs.push_back({entry.name + (any_measured ? ", predicted" : ""), entry.predicted});
    const bool is_other =
        entry.measured && entry.predicted && !have_same_plan(*entry.predicted, *entry.measured);
    if (entry.measured)
      runs.push_back({entry.name + (is_other ? ", measured with another plan" : ", measured"),
                      entry.measured});
  }
  return runs;
}

Bars step_time_bars(const std::vector<Run>& runs) {
  Bars bars{"One step, on the rank that computes longest",
            "step time",
            Measure::time,
            {{"compute", color_of(OpKind::forward)},
             {"exposed communication", color_of(OpKind::send)},
             {"idle", kIdle}},
            {}};
  for (const auto& [name, s] : runs) {
    BarRow row{name, {s->compute.seconds(), s->exposed_communication.seconds(), s->idle.seconds()}};
    if (s->step_time_band)
      row.band = {s->step_time_band->low.seconds(), s->step_time_band->high.seconds()};
    bars.rows.push_back(std::move(row));
  }
  if (std::any_of(bars.rows.begin(), bars.rows.end(),
                  [](const BarRow& row) { return row.band.has_value(); }))
    bars.label += ", and where 90 % of runs are";
  return bars;
}

// Pools of the worst rank, and what none of them has of its peak.
Bars memory_bars(const std::vector<Run>& runs, const std::vector<Summary>& summaries) {
  Bars bars{"Memory on the worst rank", "peak memory", Measure::bytes, {}, {}};
  std::map<std::string, std::size_t> numbers;
  for (const auto& [name, s] : runs) {
    for (const PoolSummary& pool : s->pools) {
      const auto [place, is_new] = numbers.try_emplace(pool.name, bars.parts.size());
      if (is_new)
        bars.parts.push_back({words_of(pool.name), color_of_pool(pool.name, place->second)});
    }
  }
  bars.parts.push_back({"unused between tensors", kIdle});
  for (const auto& [name, s] : runs) {
    if (!s->memory) continue;
    BarRow row{name, std::vector<double>(bars.parts.size(), 0)};
    auto rest = static_cast<double>(s->memory->peak.bytes());
    for (const PoolSummary& pool : s->pools) {
      row.values[numbers.at(pool.name)] = static_cast<double>(pool.size.bytes());
      rest -= static_cast<double>(pool.size.bytes());
    }
    row.values.back() = std::max(rest, 0.0);
    bars.rows.push_back(std::move(row));
  }
  for (const Summary& summary : summaries) {
    if (summary.device_memory) {
      bars.limit = {static_cast<double>(summary.device_memory->bytes()),
                    "device: " + rehearse::human(*summary.device_memory)};
    }
  }
  return bars;
}

Bars sent_bars(const std::vector<Run>& runs) {
  Bars bars{"Most bytes that a worker sends in a step",
            "sent",
            Measure::bytes,
            {{"sent", color_of(OpKind::all_reduce)}},
            {}};
  for (const auto& [name, s] : runs) {
    if (const auto sent = most_sent(*s))
      bars.rows.push_back({name, {static_cast<double>(sent->bytes())}});
  }
  return bars;
}

Bars path_bars(const std::vector<Run>& runs) {
  Bars bars{"Critical path: what the step's end waited for", "step time", Measure::time, {}, {}};
  std::map<std::optional<OpKind>, std::size_t> numbers;
  for (const auto& [name, s] : runs) {
    if (!s->pictures.path) continue;
    for (const PathPicture::Share& share : s->pictures.path->shares) {
      if (!numbers.try_emplace(share.kind, bars.parts.size()).second) continue;
      bars.parts.push_back(
          share.kind ? LegendEntry{words_of(to_string(*share.kind)), color_of(*share.kind)}
                     : LegendEntry{"nothing in the plan", kIdle});
    }
  }
  for (const auto& [name, s] : runs) {
    if (!s->pictures.path) continue;
    BarRow row{name, std::vector<double>(bars.parts.size(), 0)};
    for (const PathPicture::Share& share : s->pictures.path->shares)
      row.values[numbers.at(share.kind)] = share.time.seconds();
    bars.rows.push_back(std::move(row));
  }
  return bars;
}

// Predictions by what they take and what they need; runs, not steps, are compared.
Points pareto(const std::vector<Entry>& entries) {
  Points points{"Memory against time",
                "time per step of data parallelism's run",
                "peak memory",
                Measure::time,
                Measure::bytes,
                {},
                {}};
  PointSeries front{"not beaten in both", kSoft, {}, {}, true, false};
  std::vector<Place> fitting;
  for (const Entry& entry : entries) {
    if (!entry.predicted || !entry.predicted->memory) continue;
    const StrategySummary& s = *entry.predicted;
    const Place place{run_time_per_step(s).seconds(), static_cast<double>(s.memory->peak.bytes())};
    const bool fits = s.fits.value_or(true);
    points.series.push_back({entry.name + (fits ? "" : " (does not fit)"),
                             series_color(points.series.size()),
                             {place},
                             {entry.name + ": " + human(Measure::time, place.x) + ", " +
                              human(Measure::bytes, place.y)},
                             false,
                             true,
                             !fits});
    if (fits) fitting.push_back(place);
  }
  front.points = front_of(std::move(fitting), false);
  // Below its points.
  points.series.insert(points.series.begin(), std::move(front));
  return points;
}

// The machine that the predictions are for; null: no file has one.
const TopologyPicture* topology_of(const std::vector<Summary>& summaries) {
  for (const Summary& summary : summaries) {
    if (summary.source == "predicted" && summary.topology) return &*summary.topology;
  }
  return nullptr;
}

void add(std::vector<Figure>& figures, std::string name, std::optional<Svg> picture) {
  if (picture) figures.push_back({std::move(name), std::move(*picture)});
}

}  // namespace

std::vector<Figure> figures_of(const std::vector<Summary>& summaries) {
  const std::vector<Entry> entries = entries_of(summaries);
  const std::vector<Run> runs = runs_of(entries);
  std::vector<Figure> figures;
  const std::pair<const char*, Bars> comparisons[] = {{"step_time", step_time_bars(runs)},
                                                      {"memory", memory_bars(runs, summaries)},
                                                      {"bytes_sent", sent_bars(runs)},
                                                      {"critical_path", path_bars(runs)}};
  for (const auto& [name, bars] : comparisons) {
    if (!bars.rows.empty()) figures.push_back({name, draw(bars)});
  }
  const Points by_both = pareto(entries);
  if (by_both.series.size() > 2) figures.push_back({"pareto", draw(by_both)});
  const TopologyPicture* const topology = topology_of(summaries);
  for (const Entry& entry : entries) {
    add(figures, entry.name + "_timeline",
        timeline_figure(entry.name, entry.predicted, entry.measured));
    if (entry.predicted == nullptr) continue;
    add(figures, entry.name + "_memory_over_time", memory_figure(*entry.predicted));
    add(figures, entry.name + "_links_over_time", links_figure(*entry.predicted));
    add(figures, entry.name + "_topology", topology_figure(*entry.predicted, topology));
    add(figures, entry.name + "_grid", grid_figure(*entry.predicted));
    add(figures, entry.name + "_assignment", assignment_figure(*entry.predicted));
  }
  return figures;
}

}  // namespace rehearse::figures
