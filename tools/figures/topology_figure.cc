#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "model/base/human_number.h"
#include "model/base/text.h"
#include "tools/figures/axis.h"
#include "tools/figures/colors.h"
#include "tools/figures/step_figures.h"

namespace rehearse::figures {
namespace {

using Vertex = TopologyPicture::Vertex;
using Cable = TopologyPicture::Cable;

constexpr double kTop = 62, kLevel = 96, kBottom = 40, kLetter = 6.8;

std::string name_of(const Vertex& vertex) {
  return vertex.members > 1 ? fmt::format("{} x {}", human_count(vertex.members), vertex.name)
                            : vertex.name;
}

struct Layout {
  double width = 760, height = 0;
  std::vector<Place> places;  // by vertex
};

// Vertices that are joined with one another only: a torus of two dimensions as a grid, others
// around a circle.
Layout direct_layout(const TopologyPicture& topology) {
  Layout layout;
  const std::size_t count = topology.vertices.size();
  const bool is_grid = topology.dims.size() == 2 &&
                       topology.dims[0] * topology.dims[1] == static_cast<std::int64_t>(count);
  if (is_grid) {
    const auto columns = static_cast<std::size_t>(topology.dims[0]);
    const double step = std::min(90.0, (layout.width - 80) / static_cast<double>(columns));
    const double left = (layout.width - step * static_cast<double>(columns - 1)) / 2;
    for (std::size_t v = 0; v < count; ++v)
      layout.places.push_back({left + step * static_cast<double>(v % columns),
                               kTop + 20 + step * static_cast<double>(v / columns)});
  } else {
    const double radius = std::min(layout.width / 2 - 60, 60 + 5 * static_cast<double>(count));
    for (std::size_t v = 0; v < count; ++v) {
      const double angle =
          2 * std::numbers::pi * static_cast<double>(v) / static_cast<double>(count) -
          std::numbers::pi / 2;
      layout.places.push_back({layout.width / 2 + radius * std::cos(angle),
                               kTop + 20 + radius + radius * std::sin(angle)});
    }
  }
  for (const Place& place : layout.places)
    layout.height = std::max(layout.height, place.y + kBottom);
  return layout;
}

// The ranks below, level by level; in a level in the order of what is joined below.
class Layers {
 public:
  explicit Layers(const TopologyPicture& topology)
      : vertices_(topology.vertices), below_(vertices_.size()) {
    for (const Cable& cable : topology.cables) {
      const std::int64_t from = vertices_[cable.from].level, to = vertices_[cable.to].level;
      if (from < to) below_[cable.to].push_back(cable.from);
      if (to < from) below_[cable.from].push_back(cable.to);
    }
    for (std::size_t v = 0; v < vertices_.size(); ++v) {
      const auto level = static_cast<std::size_t>(vertices_[v].level);
      levels_.resize(std::max(levels_.size(), level + 1));
      levels_[level].push_back(v);
    }
  }

  Layout lay_out() {
    Layout layout;
    for (const auto& level : levels_)
      layout.width = std::max(layout.width, 14 * static_cast<double>(level.size()));
    layout.places.resize(vertices_.size());
    const auto last = static_cast<double>(levels_.size() - 1);
    layout.height = kTop + 20 + kLevel * last + kBottom;
    for (std::size_t l = 0; l < levels_.size(); ++l) {
      std::vector<std::size_t>& own = levels_[l];
      std::stable_sort(own.begin(), own.end(), [&](std::size_t a, std::size_t b) {
        return mean_below(a, layout) < mean_below(b, layout);
      });
      for (std::size_t k = 0; k < own.size(); ++k)
        layout.places[own[k]] = {
            (static_cast<double>(k) + 0.5) / static_cast<double>(own.size()) * layout.width,
            kTop + 20 + kLevel * (last - static_cast<double>(l))};
    }
    return layout;
  }

 private:
  double mean_below(std::size_t vertex, const Layout& layout) const {
    const auto& below = below_[vertex];
    if (below.empty()) return vertices_[vertex].level == 0 ? 0 : std::numeric_limits<double>::max();
    const double sum =
        std::accumulate(below.begin(), below.end(), 0.0,
                        [&](double x, std::size_t other) { return x + layout.places[other].x; });
    return sum / static_cast<double>(below.size());
  }

  const std::vector<Vertex>& vertices_;
  std::vector<std::vector<std::size_t>> below_, levels_;
};

Layout lay_out(const TopologyPicture& topology) {
  const bool is_direct = topology.vertices.size() > 1 &&
                         std::all_of(topology.vertices.begin(), topology.vertices.end(),
                                     [](const Vertex& vertex) { return vertex.level == 0; });
  return is_direct ? direct_layout(topology) : Layers(topology).lay_out();
}

// Straight, or around what would be in the way; of a cable inside one vertex a loop below it.
void draw_cable(Svg& svg, const Layout& layout, const Cable& cable, const std::string& color,
                double width, const std::string& told) {
  const Place from = layout.places[cable.from], to = layout.places[cable.to];
  if (cable.from == cable.to)
    return svg.curve({from.x - 8, from.y + 4}, {from.x, from.y + 34}, {from.x + 8, from.y + 4},
                     color, width, told);
  const double length = std::hypot(to.x - from.x, to.y - from.y);
  const double ux = (to.x - from.x) / length, uy = (to.y - from.y) / length;
  const bool is_blocked =
      std::any_of(layout.places.begin(), layout.places.end(), [&](const Place& p) {
        const double along = (p.x - from.x) * ux + (p.y - from.y) * uy;
        const double aside = (p.x - from.x) * uy - (p.y - from.y) * ux;
        return along > 1 && along < length - 1 && std::abs(aside) < 4;
      });
  const double bend = is_blocked ? std::min(40.0, 10 + 0.12 * length) : 0;
  svg.curve(from, {(from.x + to.x) / 2 + uy * bend, (from.y + to.y) / 2 - ux * bend}, to, color,
            width, told);
}

void draw_cables(Svg& svg, const Layout& layout, const TopologyPicture& topology,
                 const std::vector<CableLoad>& loads) {
  std::vector<std::size_t> order(loads.size());
  std::iota(order.begin(), order.end(), 0U);
  // The busiest above the others.
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return loads[a].most < loads[b].most; });
  for (const std::size_t k : order) {
    const Cable& cable = topology.cables[k];
    const double share = std::min(1.0, loads[k].most);
    draw_cable(svg, layout, cable, color_of_load(share), 1.2 + 3 * share,
               fmt::format("{}: {}, used {} at most", cable.name, rehearse::human(loads[k].bytes),
                           human(Measure::share, loads[k].most)));
  }
}

void draw_vertices(Svg& svg, const Layout& layout, const std::vector<Vertex>& vertices) {
  std::vector<std::size_t> sizes, longest;
  for (const Vertex& vertex : vertices) {
    const auto level = static_cast<std::size_t>(vertex.level);
    sizes.resize(std::max(sizes.size(), level + 1)), longest.resize(sizes.size());
    ++sizes[level];
    longest[level] = std::max(longest[level], name_of(vertex).size());
  }
  for (std::size_t v = 0; v < vertices.size(); ++v) {
    const Vertex& vertex = vertices[v];
    const auto [x, y] = layout.places[v];
    if (vertex.kind == "switch")
      svg.rect({x - 9, y - 6, 18, 12}, kSoft, "switch " + name_of(vertex));
    else
      svg.circle({x, y}, vertex.kind == "node" ? 7 : 5, kSoft,
                 fmt::format("{} {}", vertex.kind, name_of(vertex)));
    const auto level = static_cast<std::size_t>(vertex.level);
    const double room = layout.width / static_cast<double>(sizes[level]);
    if (kLetter * static_cast<double>(longest[level]) + 4 <= room)
      svg.text({x, vertex.level > 0 ? y - 12 : y + 22}, name_of(vertex), {Anchor::middle});
  }
}

// What the colours mean, as a row of them.
void draw_scale(Svg& svg, Place at) {
  constexpr int kSteps = 24;
  constexpr double kStep = 5;
  constexpr std::string_view kBegin = "used at most, of what a link can carry: 0 %";
  svg.text({at.x, at.y + 10}, kBegin);
  const double left = at.x + text_width(kBegin) + 8;
  for (int k = 0; k < kSteps; ++k)
    svg.rect({left + k * kStep, at.y, kStep, 12},
             color_of_load(static_cast<double>(k) / (kSteps - 1)));
  svg.text({left + kSteps * kStep + 8, at.y + 10}, "100 %");
}

}  // namespace

std::optional<Svg> topology_figure(const StrategySummary& predicted,
                                   const TopologyPicture* topology) {
  const std::vector<CableLoad>& loads = predicted.pictures.cables;
  if (topology == nullptr || loads.empty() || loads.size() != topology->cables.size())
    return std::nullopt;
  const Layout layout = lay_out(*topology);
  const std::string title = predicted.strategy + ": the links and what they carry";
  Svg svg(layout.width, layout.height, title);
  draw_title(svg, title);
  draw_scale(svg, {10, 32});
  draw_cables(svg, layout, *topology, loads);
  draw_vertices(svg, layout, topology->vertices);
  return svg;
}

}  // namespace rehearse::figures
