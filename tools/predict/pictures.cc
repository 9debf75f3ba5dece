#include "tools/predict/pictures.h"

#include <fmt/format.h>

#include <map>

#include "model/base/text.h"
#include "tools/predict/link_use.h"

namespace rehearse {
namespace {

void add_curves(const Scenario& scenario, const Cluster& cluster, Prediction& prediction) {
  StrategyPictures& pictures = prediction.summary.pictures;
  if (scenario.simulation.detail == Detail::block) {
    pictures.left_out.push_back(
        "memory over time: passes are played with what they exchange folded into them "
        "(simulation: {detail: block}), and what is alive inside them is not known");
    return;
  }
  const Plan& plan = prediction.plan;
  std::map<std::pair<std::size_t, std::size_t>, std::vector<std::int64_t>> kinds;
  std::vector<const std::vector<std::int64_t>*> in_order;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    auto& ranks = kinds[{plan.ranks[r].program.index(), cluster.device_number(RankId(r))}];
    if (ranks.empty()) in_order.push_back(&ranks);
    ranks.push_back(static_cast<std::int64_t>(r));
  }
  const std::size_t shown = std::min(in_order.size(), kMostCurves);
  for (std::size_t k = 0; k < shown; ++k) {
    const std::int64_t rank = in_order[k]->front();
    const auto& memory = prediction.summary.ranks[static_cast<std::size_t>(rank)].memory;
    pictures.memory.push_back(
        curve_picture(plan, prediction.timeline, kWarmUp,
                      {rank, std::ssize(*in_order[k]), memory->peak - memory->arena}));
  }
  if (shown < in_order.size()) {
    pictures.left_out.push_back(
        fmt::format("memory over time of {} more kinds of ranks, beyond the first {}",
                    human_count(static_cast<std::int64_t>(in_order.size() - shown)), shown));
  }
}

void add_links(const Scenario& scenario, const Cluster& cluster, Prediction& prediction) {
  StrategyPictures& pictures = prediction.summary.pictures;
  if (prediction.summary.links.empty()) return;
  if (!is_played_whole(scenario)) {
    pictures.left_out.push_back(
        "links over time: what is sent was played in part, and counted for all");
    return;
  }
  pictures.links = link_curves(prediction, cluster, kPartsOfLinkCurve);
}

void add_grids(const Scenario& scenario, Prediction& prediction) {
  if (prediction.plan.mesh.pipeline == 1) return;
  StrategyPictures& pictures = prediction.summary.pictures;
  if (scenario.simulation.detail == Detail::block) {
    pictures.left_out.push_back(
        "grids of the pipelines: passes are played with what they exchange folded into them; "
        "'rehearse plan --format grid' prints them");
    return;
  }
  std::size_t cells = 0;
  for (Grid& grid : grids_of(prediction.plan)) {
    for (const auto& row : grid.rows)
      cells += row.size();
    if (cells <= kMostGridCells) pictures.grids.push_back(std::move(grid));
  }
  if (cells <= kMostGridCells) return;
  pictures.left_out.push_back(
      fmt::format("grids of the pipelines, beyond {} cells of {}: 'rehearse plan --format grid' "
                  "prints them",
                  human_count(static_cast<std::int64_t>(kMostGridCells)),
                  human_count(static_cast<std::int64_t>(cells))));
}

void add_assignment(Prediction& prediction) {
  if (!prediction.summary.subnetwork) return;
  StrategyPictures& pictures = prediction.summary.pictures;
  if (prediction.plan.ranks.size() == prediction.summary.ranks.size()) {
    pictures.assignment = summarize_assignment(prediction.plan, *whole_net(prediction.plan));
  } else {
    pictures.left_out.push_back("loads of the workers: one replica was played for all");
  }
}

}  // namespace

void add_pictures(const Scenario& scenario, const std::optional<Topology>& topology,
                  Prediction& prediction) {
  StrategyPictures& pictures = prediction.summary.pictures;
  pictures.path = path_picture(prediction.plan, prediction.timeline, kWarmUp);
  if (topology) {
    const Cluster cluster = Cluster::build(scenario.cluster).value();
    pictures.cables = topology->loads(prediction.summary.links);
    add_curves(scenario, cluster, prediction);
    add_links(scenario, cluster, prediction);
  }
  add_grids(scenario, prediction);
  add_assignment(prediction);
}

}  // namespace rehearse
