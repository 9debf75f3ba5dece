#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "model/collective/steps.h"
#include "model/scenario/scenario.h"
#include "tools/predict/collectives.h"
#include "tools/predict/predict.h"
#include "tools/scoreboard/cases.h"
#include "tools/scoreboard/csv.h"

namespace rehearse {
namespace {

// A scenario for the sake of its cluster.
Result<Scenario> on_machine(const std::string& directory, const std::string& machine,
                            std::int64_t devices) {
  const Result<std::string> cluster = cluster_text(directory, machine, devices);
  if (!cluster) return cluster.errors();
  const std::string path = directory + "/" + machine + ".yaml";
  return parse_scenario(
      "name: collectives\nmodel: {kind: mlp, image: 1x1x1, hidden: [1], classes: 2}\n"
      "training: {data: synthetic, batch: " +
          std::to_string(devices) + ", optimizer: {kind: sgd, lr: 1}}\n" + *cluster +
          "strategies:\n  - {name: all, data: auto}\n",
      path, profile_path(path));
}

// As NCCL chooses: a ring, or switches that add where they can.
const std::string kEither = "ring or in-network";

Result<std::vector<CollectiveShape>> shapes_of(const CsvRow& row, std::int64_t members) {
  CollectiveShape shape;
  shape.members = static_cast<std::size_t>(members);
  shape.node_members = static_cast<std::size_t>(std::min(members, kDevicesPerNode));
  std::vector<CollectiveShape> shapes;
  for (const CollectiveAlgorithmRow& algorithm : collective_algorithms()) {
    const bool is_either = algorithm.algorithm == CollectiveAlgorithm::ring ||
                           algorithm.algorithm == CollectiveAlgorithm::in_network;
    const bool is_asked =
        row.text("algorithm") == algorithm.name || (row.text("algorithm") == kEither && is_either);
    if (!is_asked) continue;
    shape.algorithm = algorithm.algorithm;
    shapes.push_back(shape);
  }
  if (shapes.empty())
    return error_at(row.where, fmt::format("unknown algorithm '{}'", row.text("algorithm")));
  return shapes;
}

// The fastest of the shapes.
Result<double> collective_seconds(const ClusterSpec& spec,
                                  const std::vector<CollectiveShape>& shapes, Bytes bytes) {
  const Result<Cluster> cluster = Cluster::build(spec);
  if (!cluster) return cluster.errors();
  const CollectivePrice price = collective_price(*cluster);
  std::vector<RankId> members;
  for (std::size_t m = 0; m < shapes.front().members; ++m)
    members.emplace_back(m);
  double least = std::numeric_limits<double>::infinity();
  for (const CollectiveShape& shape : shapes)
    least = std::min(least, price(members, shape, bytes.bytes() / 2, 2).seconds());
  return least;
}

Result<Case> collective_case(const std::string& directory, const CsvRow& row) {
  const auto gpus = row.count("gpus"), size = row.count("size_mib");
  const auto bus = row.number("bus_gb_per_s");
  if (!gpus) return gpus.errors();
  if (!size) return size.errors();
  if (!bus) return bus.errors();
  const auto shapes = shapes_of(row, *gpus);
  if (!shapes) return shapes.errors();
  const Result<Scenario> scenario = on_machine(directory, row.text("machine"), *gpus);
  if (!scenario) return scenario.errors();
  const Bytes bytes = Bytes::mib(*size);
  const double n = static_cast<double>(*gpus);
  const double measured = static_cast<double>(bytes.bytes()) * 2 * (n - 1) / n / (*bus * 1e9);
  const auto predict = [spec = scenario->cluster, shapes = *shapes,
                        bytes](const Factors& factors) -> Result<double> {
    ClusterSpec changed = spec;
    apply(factors, changed);
    return collective_seconds(changed, shapes, bytes);
  };
  const std::string group =
      fmt::format("{} {} x{}", row.text("source"), row.text("machine"), *gpus);
  Case made{"collectives", fmt::format("{} {} {} MiB", group, row.text("algorithm"), *size), "",
            group};
  made.device = scenario->cluster.device.name;
  const Messaging& messaging = scenario->cluster.device.messaging;
  made.constants = {"launch"};
  if (messaging.first_per_byte > Seconds{}) made.constants.push_back("first");
  if (!messaging.protocols.empty()) made.constants.push_back("protocol");
  made.is_fitted = row.text("fit") == "yes";
  made.measured = measured;
  made.predict = predict;
  return made;
}

// A schedule of the paper's table 5, by the times of its table 9.
struct Schedule {
  std::string column, text;
};
const std::vector<Schedule> kSchedules = {
    {"bubble_1f1b", "schedule: 1f1b"},
    {"bubble_interleaved", "schedule: interleaved, chunks: 3"},
    {"bubble_zb_h1", "schedule: zb-h1"},
    {"bubble_zb_h2", "schedule: zb-h2"},
    {"bubble_zb_1p", "schedule: zb-auto, live: {stages}, kept_after_input: 0.3665"},
    {"bubble_zb_2p", "schedule: zb-auto, live: {twice}, kept_after_input: 0.3665"}};

Result<Case> bubble_case(const std::string& directory, const CsvRow& row,
                         const Schedule& schedule) {
  const auto stages = row.count("stages");
  const auto bubble = row.number(schedule.column);
  if (!stages) return stages.errors();
  if (!bubble) return bubble.errors();
  const std::string how = fmt::format(fmt::runtime(schedule.text), fmt::arg("stages", *stages),
                                      fmt::arg("twice", 2 * *stages));
  const std::string name = fmt::format("{} {} {}", row.text("model"), row.text("micro_batches"),
                                       schedule.column.substr(7));
  const std::string text = fmt::format(
      "name: \"{}\"\nprices: {{forward: {} ms, input_gradient: {} ms, weight_gradient: {} ms, "
      "transfer: {} ms}}\nstrategies:\n  - {{name: published, pipeline: {{stages: {}, "
      "micro_batches: {}, {}}}}}\n",
      name, row.text("tf_ms"), row.text("tb_ms"), row.text("tw_ms"), row.text("tcomm_ms"), *stages,
      row.text("micro_batches"), how);
  const std::string path = directory + "/zero_bubble.yaml";
  const Result<Scenario> scenario = parse_scenario(text, path, profile_path(path));
  if (!scenario) return scenario.errors();
  const auto predict = [scenario = *scenario](const Factors&) -> Result<double> {
    const Result<Prediction> made = rehearse::predict(scenario, scenario.strategies.front());
    if (!made) return made.errors();
    return 1 / (1 - made->summary.bubble_fraction);
  };
  Case made{"zero-bubble bubbles", name,
            fmt::format("{} {}", row.text("model"), row.text("micro_batches"))};
  made.measured = 1 / (1 - *bubble);
  made.scenario = text;
  made.predict = predict;
  return made;
}

}  // namespace

Result<std::vector<Case>> collective_cases(const std::string& directory) {
  return cases_of_rows(
      directory + "/collectives.csv",
      {"source", "machine", "algorithm", "gpus", "size_mib", "bus_gb_per_s", "fit"},
      [&](const CsvRow& row) { return collective_case(directory, row); });
}

Result<std::vector<Case>> bubble_cases(const std::string& directory) {
  std::vector<std::string> columns = {"model", "stages", "micro_batches", "tf_ms",
                                      "tb_ms", "tw_ms",  "tcomm_ms"};
  for (const Schedule& schedule : kSchedules)
    columns.push_back(schedule.column);
  const auto rows = read_csv(directory + "/zero_bubble.csv", columns);
  if (!rows) return rows.errors();
  std::vector<Case> cases;
  for (const CsvRow& row : *rows) {
    for (const Schedule& schedule : kSchedules) {
      Result<Case> made = bubble_case(directory, row, schedule);
      if (!made) return made.errors();
      cases.push_back(*std::move(made));
    }
  }
  return cases;
}

}  // namespace rehearse
