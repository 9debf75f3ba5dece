#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "tools/figures/colors.h"
#include "tools/figures/figures.h"
#include "tools/figures/points.h"
#include "tools/sweep/ranking.h"

namespace rehearse::figures {
namespace {

using sweep::Cell;
using sweep::Row;
using sweep::RowStatus;

std::string text_of(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* truth = std::get_if<bool>(&cell)) return *truth ? "true" : "false";
  const auto value = sweep::number(cell);
  return value ? fmt::format("{:.6g}", *value) : "";
}

Cell value_of(const Row& row, const std::string& axis) {
  const auto found = std::find_if(row.values.begin(), row.values.end(),
                                  [&](const auto& value) { return value.first == axis; });
  return found == row.values.end() ? Cell{} : found->second;
}

class SweepFigures {
 public:
  explicit SweepFigures(const SweptRows& swept)
      : swept_(swept), axes_(sweep::columns_of(swept.manifest)) {
    for (const Row& row : swept.rows) {
      if (std::find(strategies_.begin(), strategies_.end(), row.strategy) == strategies_.end())
        strategies_.push_back(row.strategy);
    }
  }

  std::vector<Figure> run() {
    std::vector<Figure> figures;
    const Points points = pareto();
    const bool has_points = std::any_of(points.series.begin(), points.series.end(),
                                        [](const PointSeries& s) { return !s.points.empty(); });
    if (has_points) figures.push_back({"sweep_pareto", draw(points)});
    const bool any_fits = std::any_of(swept_.rows.begin(), swept_.rows.end(), [](const Row& row) {
      return row.status == RowStatus::played;
    });
    if (!any_fits) return figures;
    for (const std::string& axis : axes_)
      figures.push_back({"sweep_over_" + axis, scaling(axis)});
    if (axes_.size() > 1) figures.push_back({"sweep_heat", heat(axes_[0], axes_[1])});
    return figures;
  }

 private:
  std::size_t number_of(const std::string& strategy) const {
    return static_cast<std::size_t>(std::find(strategies_.begin(), strategies_.end(), strategy) -
                                    strategies_.begin());
  }

  // A cheaper step is no cheaper run: where these differ, runs are compared.
  bool compares_runs() const {
    return std::any_of(swept_.rows.begin(), swept_.rows.end(), [](const Row& row) {
      return figure(row, sweep::kRankedBy) != figure(row, "samples_per_s");
    });
  }

  Points pareto() const {
    const std::string cost = compares_runs() ? std::string(sweep::kRankedBy) : "step_time_s";
    const std::string memory(memory_figure(swept_));
    Points points{"Memory against " + label_of(cost),
                  label_of(cost),
                  memory == "peak_memory_bytes" ? label_of(memory) : "memory, at least",
                  measure_of(cost),
                  Measure::bytes,
                  {},
                  {}};
    for (std::size_t s = 0; s < strategies_.size(); ++s)
      points.series.push_back({strategies_[s], series_color(s), {}, {}});
    PointSeries front{"not beaten in both", kSoft, {}, {}, true, false},
        too_large{"does not fit", "#9aa5b3", {}, {}, false, true, true};
    std::vector<Place> played;
    for (const Row& row : swept_.rows) {
      const auto x = sweep::number(figure(row, cost)), y = sweep::number(figure(row, memory));
      if (row.status == RowStatus::refused || !x || !y) continue;
      const bool fits = row.status == RowStatus::played;
      PointSeries& series = fits ? points.series[number_of(row.strategy)] : too_large;
      series.points.push_back({*x, *y});
      series.told.push_back(told(row, cost, *x) + ", " + human(Measure::bytes, *y));
      if (fits) played.push_back({*x, *y});
    }
    front.points = front_of(std::move(played), cost != "step_time_s");
    points.series.push_back(std::move(front));
    if (!too_large.points.empty()) points.series.push_back(std::move(too_large));
    return points;
  }

  std::string told(const Row& row, const std::string& key, double value) const {
    std::string text = row.strategy + ": ";
    for (const auto& [name, cell] : row.values)
      text += name + " " + text_of(cell) + ", ";
    return text + label_of(key) + " " + human(measure_of(key), value);
  }

  // In the order that the page has them in, too.
  std::vector<std::string> values_of(const std::string& name) const {
    std::vector<std::string> values;
    for (const AxisValues& axis : swept_.axes) {
      if (axis.name != name) continue;
      for (const Cell& value : axis.values)
        values.push_back(text_of(value));
    }
    return values;
  }

  // Of rows that were played, by a key, the one with the most samples per second.
  template <class Key>
  auto best_by(Key key) const {
    std::map<decltype(key(swept_.rows.front())), const Row*> best;
    for (const Row& row : swept_.rows) {
      const auto samples = sweep::number(figure(row, sweep::kRankedBy));
      if (row.status != RowStatus::played || !samples) continue;
      const Row*& known = best[key(row)];
      if (known == nullptr || *samples > samples_of(*known)) known = &row;
    }
    return best;
  }
  static double samples_of(const Row& row) { return *sweep::number(figure(row, sweep::kRankedBy)); }

  Svg scaling(const std::string& axis) const {
    const std::string key(sweep::kRankedBy);
    Points points{"Best of each strategy over " + axis,
                  axis,
                  label_of(key),
                  Measure::plain,
                  Measure::plain,
                  values_of(axis),
                  {}};
    for (std::size_t s = 0; s < strategies_.size(); ++s)
      points.series.push_back({strategies_[s], series_color(s), {}, {}, true});
    const auto best = best_by(
        [&](const Row& row) { return std::pair(row.strategy, text_of(value_of(row, axis))); });
    for (std::size_t v = 0; v < points.x_texts.size(); ++v) {
      for (const std::string& strategy : strategies_) {
        const auto found = best.find({strategy, points.x_texts[v]});
        if (found == best.end()) continue;
        PointSeries& series = points.series[number_of(strategy)];
        series.points.push_back({static_cast<double>(v), samples_of(*found->second)});
        series.told.push_back(told(*found->second, key, samples_of(*found->second)));
      }
    }
    return draw(points);
  }

  // The best row at each two values: its strategy, and how it stands among all cells.
  Svg heat(const std::string& down, const std::string& across) const {
    const std::vector<std::string> rows = values_of(down), columns = values_of(across);
    const auto best = best_by([&](const Row& row) {
      return std::pair(text_of(value_of(row, down)), text_of(value_of(row, across)));
    });
    double most = 0;
    std::size_t longest = 6;
    for (const auto& [key, row] : best)
      most = std::max(most, samples_of(*row));
    for (const std::string& strategy : strategies_)
      longest = std::max(longest, strategy.size());
    double cell = std::clamp(0.62 * 10 * static_cast<double>(longest) + 10, 64.0, kWidestCell);
    const double height = 34;
    double left = 30;
    for (const std::string& row : rows)
      left = std::max(left, text_width(row) + 36);
    for (const std::string& column : columns)
      cell = std::max(cell, std::min(text_width(column) + 12, kWidestCell));
    const double width = left + cell * static_cast<double>(columns.size()) + 20;
    // The name of what goes down stands along the left side, that of what goes across at the top.
    const double high = height * static_cast<double>(rows.size());
    const double half_name = text_width(down, 12) / 2;
    const double middle = std::max(68 + high / 2, 34 + half_name);
    Svg svg(std::max({width, left + text_width(across, 12) + 20, 360.0}),
            std::max(90 + high, middle + half_name + 10),
            "Most samples/s of a run, and the strategy that has them");
    draw_title(svg, "Best samples/s of a run");
    svg.text({left, 42}, across, {Anchor::start, 12, kInk});
    svg.text({14, middle}, down, {Anchor::middle, 12, kInk, false, -90});
    for (std::size_t c = 0; c < columns.size(); ++c)
      svg.text({left + cell * (static_cast<double>(c) + 0.5), 60}, shortened(columns[c], cell - 6),
               {Anchor::middle});
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const double y = 68 + height * static_cast<double>(r);
      svg.text({left - 8, y + 21}, rows[r], {Anchor::end});
      for (std::size_t c = 0; c < columns.size(); ++c) {
        const auto found = best.find({rows[r], columns[c]});
        const Box box{left + cell * static_cast<double>(c), y, cell - 1, height - 1};
        draw_cell(svg, box, found == best.end() ? nullptr : found->second, most);
      }
    }
    return svg;
  }

  void draw_cell(Svg& svg, const Box& box, const Row* row, double most) const {
    if (row == nullptr) {
      svg.rect(box, "#f4f5f7", "nothing that fits");
      svg.text({box.x + box.width / 2, box.y + 21}, "-", {Anchor::middle});
      return;
    }
    const double samples = samples_of(*row), share = most > 0 ? samples / most : 0;
    svg.rect(box, color_of_share(share), told(*row, std::string(sweep::kRankedBy), samples));
    const std::string ink = share > 0.75 ? "#ffffff" : kInk;
    svg.text({box.x + box.width / 2, box.y + 15}, human(Measure::plain, samples),
             {Anchor::middle, 11, ink});
    svg.text({box.x + box.width / 2, box.y + 28}, shortened(row->strategy, box.width - 6, 10),
             {Anchor::middle, 10, ink});
  }

  static constexpr double kWidestCell = 180;

  const SweptRows& swept_;
  const std::vector<std::string> axes_;
  std::vector<std::string> strategies_;
};

}  // namespace

std::vector<Figure> figures_of(const SweptRows& swept) {
  return swept.rows.empty() ? std::vector<Figure>{} : SweepFigures(swept).run();
}

}  // namespace rehearse::figures
