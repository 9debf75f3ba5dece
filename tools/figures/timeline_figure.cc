#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/base/text.h"
#include "tools/figures/axis.h"
#include "tools/figures/colors.h"
#include "tools/figures/step_figures.h"
#include "tools/figures/words.h"

namespace rehearse::figures {
namespace {

constexpr double kRow = 15, kLeft = 150, kWidth = 760, kHeading = 20;
constexpr std::size_t kMostRows = 64;

// In the order in which the page has them: compute, what is sent between stages, exchanges.
int order_of(LaneKind lane) {
  if (lane == LaneKind::tensor) return static_cast<int>(LaneKind::collective) * 2 - 1;
  return static_cast<int>(lane) * 2;
}

class TimelineFigure {
 public:
  TimelineFigure(const StrategySummary& summary, std::string source)
      : summary_(summary), source_(std::move(source)) {
    for (std::size_t s = 0; s < summary.picture.size(); ++s) {
      const PictureSpan& span = summary.picture[s];
      rows_[{span.rank, order_of(span.lane), span.lane}].push_back(s);
    }
    for (auto& [key, spans] : rows_) {
      std::sort(spans.begin(), spans.end(), [&](std::size_t a, std::size_t b) {
        return summary.picture[a].start < summary.picture[b].start;
      });
    }
    shown_ = std::min(rows_.size(), kMostRows);
  }

  double height() const { return kHeading + kRow * static_cast<double>(shown_); }

  void draw(Svg& svg, double top, const Axis& axis) const {
    std::string heading = source_;
    if (shown_ < rows_.size())
      heading += fmt::format(", the first {} of {} lanes", shown_, rows_.size());
    svg.text({10, top + 13}, heading, {Anchor::start, 12, kInk});
    const Box area{kLeft, top + kHeading, kWidth - kLeft - 16, kRow * static_cast<double>(shown_)};
    std::size_t r = 0;
    std::optional<std::int64_t> rank;
    for (const auto& [key, spans] : rows_) {
      if (r == shown_) break;
      const double y = area.y + kRow * static_cast<double>(r++);
      const auto& [own, order, lane] = key;
      if (rank != own) {
        svg.line({10, y}, {area.right(), y}, kLine);
        svg.text({10, y + 11}, fmt::format("rank {}", own), {Anchor::start, 10});
      }
      rank = own;
      svg.text({kLeft - 6, y + 11}, words_of(to_string(lane)), {Anchor::end, 10});
      draw_spans(svg, {area.x, y, area.width, kRow}, spans, axis);
    }
    draw_path(svg, area, axis);
    draw_step(svg, area, axis);
  }

 private:
  using Key = std::tuple<std::int64_t, int, LaneKind>;

  // What is narrower than a tenth of a pixel behind what is drawn is not seen.
  void draw_spans(Svg& svg, const Box& row, const std::vector<std::size_t>& spans,
                  const Axis& axis) const {
    double drawn = row.x - 1;
    for (const std::size_t s : spans) {
      const PictureSpan& span = summary_.picture[s];
      const double begin = row.x + axis.share(span.start.seconds()) * row.width,
                   end = row.x + axis.share(span.end.seconds()) * row.width;
      if (end < drawn + 0.1) continue;
      svg.rect({begin, row.y + 2, std::max(end - begin, 0.1), row.height - 4}, color_of(span.kind),
               fmt::format("{}: {}", span.label, rehearse::human(span.end - span.start)));
      drawn = end;
    }
  }

  // Where the step is over that all figures are of: its last ops may end in the next one.
  void draw_step(Svg& svg, const Box& area, const Axis& axis) const {
    const double x = area.x + axis.share(summary_.step_time.seconds()) * area.width;
    svg.line({x, area.y - 4}, {x, area.bottom()}, kInk, 1.2, true);
    const std::string text = "step time " + rehearse::human(summary_.step_time);
    svg.text({std::max(x, area.x + text_width(text)), area.y - 7}, text, {Anchor::end});
  }

  // A line below the ops that the step's end waited for.
  void draw_path(Svg& svg, const Box& area, const Axis& axis) const {
    if (!summary_.pictures.path) return;
    std::map<std::pair<std::int64_t, LaneKind>, std::size_t> numbers;
    std::size_t next = 0;
    for (const auto& [key, spans] : rows_)
      numbers.emplace(std::pair(std::get<0>(key), std::get<2>(key)), next++);
    for (const PathPicture::Part& part : summary_.pictures.path->parts) {
      if (!part.span) continue;
      const PictureSpan& span = summary_.picture[static_cast<std::size_t>(*part.span)];
      const std::size_t row = numbers.at({span.rank, span.lane});
      if (row >= shown_) continue;
      const double y = area.y + kRow * static_cast<double>(row) + kRow - 2.5;
      svg.line({area.x + axis.share(part.start.seconds()) * area.width, y},
               {area.x + axis.share(part.end.seconds()) * area.width, y}, kPath, 2.5);
    }
  }

  const StrategySummary& summary_;
  const std::string source_;
  std::map<Key, std::vector<std::size_t>> rows_;  // numbers of spans, by start
  std::size_t shown_;
};

}  // namespace

std::optional<Svg> timeline_figure(const std::string& name, const StrategySummary* predicted,
                                   const StrategySummary* measured) {
  std::vector<TimelineFigure> figures;
  Seconds horizon;
  std::map<OpKind, std::string> kinds;
  bool has_path = false;
  const std::pair<const StrategySummary*, const char*> both[] = {{predicted, "predicted"},
                                                                 {measured, "measured"}};
  for (const auto& [summary, source] : both) {
    if (summary == nullptr || summary->picture.empty()) continue;
    figures.emplace_back(*summary, source);
    has_path = has_path || summary->pictures.path.has_value();
    horizon = std::max(horizon, summary->step_time);
    for (const PictureSpan& span : summary->picture) {
      horizon = std::max(horizon, span.end);
      kinds.emplace(span.kind, color_of(span.kind));
    }
  }
  if (figures.empty()) return std::nullopt;
  std::vector<LegendEntry> legend;
  for (const auto& [kind, color] : kinds)
    legend.push_back({words_of(to_string(kind)), color});
  if (has_path) legend.push_back({"critical path", kPath});
  double y = 38 + legend_height(kWidth - 20, legend), height = 0;
  for (const TimelineFigure& figure : figures)
    height += figure.height();
  Svg svg(kWidth, y + height + 44, name + ": one step");
  draw_title(svg, name + ": one step");
  draw_legend(svg, {10, 30}, kWidth - 20, legend);
  const Axis axis("time", Measure::time, 0, horizon.seconds());
  draw_bottom(svg, {kLeft, y + kHeading, kWidth - kLeft - 16, height - kHeading}, axis);
  for (const TimelineFigure& figure : figures) {
    figure.draw(svg, y, axis);
    y += figure.height();
  }
  return svg;
}

}  // namespace rehearse::figures
