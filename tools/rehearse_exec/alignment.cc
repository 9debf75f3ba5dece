#include "tools/rehearse_exec/alignment.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model/plan/plan_text.h"
#include "tools/summary/table.h"

namespace rehearse::cli {
namespace {

using exec::Alignment;
using exec::AlignmentAt;
using exec::Cosines;

std::string print(const std::optional<double>& cosine) {
  return cosine ? fmt::format("{:.3f}", *cosine) : "-";
}
std::optional<double> mean_of(const std::optional<Cosines>& cosines) {
  return cosines ? std::optional(cosines->mean) : std::nullopt;
}
std::optional<double> least_of(const std::optional<Cosines>& cosines) {
  return cosines ? std::optional(cosines->least) : std::nullopt;
}

std::string print_line(const std::string& strategy, const AlignmentAt& at) {
  const auto workers = exec::over_workers(at.overall), pairs = exec::over_pairs(at.overall);
  return fmt::format(
      "{}: after {} steps gradients align: workers with the whole network {} (least {}), with each "
      "other {} (least {}), their aggregate with the whole network {}\n",
      strategy, at.step, print(mean_of(workers)), print(least_of(workers)), print(mean_of(pairs)),
      print(least_of(pairs)), print(at.overall.aggregate));
}

std::vector<std::string> row(const std::string& name, const Alignment& alignment) {
  const auto workers = exec::over_workers(alignment), pairs = exec::over_pairs(alignment);
  return {name,
          print(mean_of(workers)),
          print(least_of(workers)),
          print(mean_of(pairs)),
          print(least_of(pairs)),
          print(alignment.aggregate)};
}

// ---- JSON --------------------------------------------------------------------------------------

using Json = nlohmann::ordered_json;

Json json_of(const std::optional<double>& cosine) {
  return cosine ? Json(*cosine) : Json(nullptr);
}

Json json_of(const std::optional<Cosines>& cosines) {
  return {{"mean", json_of(mean_of(cosines))}, {"least", json_of(least_of(cosines))}};
}

// After the fields that `json` begins with.
Json json_of(Json json, const Alignment& alignment) {
  Json workers = json_of(exec::over_workers(alignment));
  workers["by_worker"] = Json::array();
  for (const auto& cosine : alignment.workers)
    workers["by_worker"].push_back(json_of(cosine));
  Json pairs = json_of(exec::over_pairs(alignment));
  pairs["by_pair"] = Json::array();
  for (const Alignment::Pair& pair : alignment.pairs) {
    pairs["by_pair"].push_back(
        {{"workers", {pair.first, pair.second}}, {"cosine", json_of(pair.cosine)}});
  }
  json["workers_with_whole"] = std::move(workers);
  json["workers_with_each_other"] = std::move(pairs);
  json["aggregate_with_whole"] = json_of(alignment.aggregate);
  return json;
}

Json json_of(const AlignmentAt& at, const Net& net) {
  Json blocks = Json::array();
  for (std::size_t b = 0; b < at.blocks.size(); ++b)
    blocks.push_back(json_of({{"block", net.blocks[b].name}}, at.blocks[b]));
  return {{"step", at.step},
          {"overall", json_of(Json::object(), at.overall)},
          {"blocks", std::move(blocks)}};
}

}  // namespace

StyledText print_alignments(const Plan& plan, const Net& net, const exec::TrainingRun& run) {
  if (run.alignments.empty()) return "";
  std::string text;
  for (const AlignmentAt& at : run.alignments)
    text += print_line(plan.strategy, at);
  const AlignmentAt& last = run.alignments.back();
  std::vector<std::vector<std::string>> rows = {{fmt::format("aligned after {} steps", last.step),
                                                 "workers", "least", "pairs", "least",
                                                 "aggregate"}};
  for (std::size_t b = 0; b < last.blocks.size(); ++b)
    rows.push_back(row(net.blocks[b].name, last.blocks[b]));
  return StyledText(text) + align_columns(rows);
}

std::string alignments_json(const std::string& scenario, const Plan& plan, const Net& net,
                            const exec::TrainingRun& run) {
  Json alignments = Json::array();
  for (const AlignmentAt& at : run.alignments)
    alignments.push_back(json_of(at, net));
  const Json json = {{"scenario", scenario},
                     {"strategy", plan.strategy},
                     {"plan_hash", plan_hash(plan)},
                     {"alignments", std::move(alignments)}};
  return json.dump(1) + "\n";
}

}  // namespace rehearse::cli
