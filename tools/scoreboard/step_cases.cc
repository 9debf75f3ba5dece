#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "model/scenario/scenario.h"
#include "tools/predict/predict.h"
#include "tools/scoreboard/cases.h"
#include "tools/scoreboard/csv.h"
#include "tools/scoreboard/training_step.h"

namespace rehearse {
namespace {

const std::vector<std::string> kColumns = {"source",         "row",       "group",
                                           "model",          "layers",    "width",
                                           "heads",          "kv_heads",  "hidden",
                                           "vocabulary",     "sequence",  "fused",
                                           "kernels",        "dropout",   "cut",
                                           "dtype",          "gradients", "machine",
                                           "gpus",           "tensor",    "sequence_parallel",
                                           "tensor_overlap", "pipeline",  "chunks",
                                           "schedule",       "exchange",  "scatter_gather",
                                           "zero",           "overlap",   "micro_batch",
                                           "batch",          "recompute", "metric",
                                           "value",          "fit"};

bool is_of_memory(const CsvRow& row) {
  return row.text("metric").ends_with("_gib");
}

std::string model_text(const CsvRow& row) {
  std::string text = fmt::format(
      "model: {{kind: {}, layers: {}, width: {}, heads: {}, vocabulary: {}, sequence: {}, fused: "
      "{}, kernels: {}",
      row.text("model"), row.text("layers"), row.text("width"), row.text("heads"),
      row.text("vocabulary"), row.text("sequence"), row.text("fused"), row.text("kernels"));
  if (row.text("model") == "gpt")
    text += fmt::format(", positions: {}, tied: false", row.text("sequence"));
  for (const std::string key : {"kv_heads", "hidden"}) {
    if (!row.text(key).empty()) text += fmt::format(", {}: {}", key, row.text(key));
  }
  if (row.text("dropout") != "0")
    text += fmt::format(", dropout: {0}, attention_dropout: {0}", row.text("dropout"));
  return text + "}\n";
}

Result<std::int64_t> data_of(const CsvRow& row) {
  const auto gpus = row.count("gpus"), tensor = row.count("tensor"),
             pipeline = row.count("pipeline");
  for (const auto& number : {gpus, tensor, pipeline}) {
    if (!number) return number.errors();
  }
  return *gpus / (*tensor * *pipeline);
}

Result<std::string> strategy_text(const CsvRow& row) {
  const auto replicas = data_of(row), tensor = row.count("tensor"),
             pipeline = row.count("pipeline"), batch = row.count("batch"),
             micro_batch = row.count("micro_batch"), zero = row.count("zero");
  for (const auto& number : {replicas, tensor, pipeline, batch, micro_batch, zero}) {
    if (!number) return number.errors();
  }
  const std::int64_t data = *replicas;
  const std::int64_t micro_batches = *batch / (data * *micro_batch);
  std::string text = fmt::format("  - {{name: published, recompute: {}", row.text("recompute"));
  text += *zero > 0 ? fmt::format(", data: {{ranks: {}, zero: {}}}", data, *zero)
                    : fmt::format(", data: {}", data);
  text += fmt::format(", overlap: {}", row.text("overlap"));
  if (*tensor > 1)
    text += fmt::format(", tensor: {{ranks: {}, sequence_parallel: {}, overlap: {}}}", *tensor,
                        row.text("sequence_parallel"), row.text("tensor_overlap"));
  if (*pipeline > 1) {
    text += fmt::format(", pipeline: {{stages: {}, schedule: {}, micro_batches: {}", *pipeline,
                        row.text("schedule"), micro_batches);
    text += fmt::format(", cut: {}, exchange: {}", row.text("cut"), row.text("exchange"));
    if (row.text("scatter_gather") == "true") text += ", scatter_gather: true";
    if (row.text("chunks") != "1") text += fmt::format(", chunks: {}", row.text("chunks"));
    text += "}";
  } else if (micro_batches > 1) {
    text += fmt::format(", micro_batches: {}", micro_batches);
  }
  return text + "}\n";
}

Result<std::string> scenario_text(const std::string& directory, const CsvRow& row) {
  const auto gpus = row.count("gpus");
  if (!gpus) return gpus.errors();
  const Result<std::string> cluster = cluster_text(directory, row.text("machine"), *gpus);
  if (!cluster) return cluster;
  const Result<std::string> strategy = strategy_text(row);
  if (!strategy) return strategy;
  const Result<std::int64_t> replicas = data_of(row);
  if (!replicas) return replicas.errors();
  // Norms are summed by doubling, in which replicas are alike only among a power of two of them.
  const bool clips = std::has_single_bit(static_cast<std::uint64_t>(*replicas));
  return fmt::format("name: \"{}, {}\"\n", row.text("source"), row.text("row")) + model_text(row) +
         fmt::format(
             "training: {{data: synthetic, batch: {}, optimizer: {{kind: adamw, lr: 0.0001"
             "{}}}, dtype: {}{}, steps: 100}}\n",
             row.text("batch"), clips ? ", clip: 1.0" : "", row.text("dtype"),
             row.text("gradients") == row.text("dtype") ? "" : ", gradients: fp32") +
         *cluster +
         fmt::format("simulation: {{collectives: fluid, detail: block, replicas: {}, steps: 3}}\n",
                     *replicas > 1 ? "first" : "all") +
         "strategies:\n" + *strategy;
}

Result<double> measured(const CsvRow& row) {
  const auto value = row.number("value"), gpus = row.number("gpus"), batch = row.number("batch"),
             sequence = row.number("sequence");
  for (const auto& number : {value, gpus, batch, sequence}) {
    if (!number) return number.errors();
  }
  const std::string& metric = row.text("metric");
  if (metric == "step_s") return *value;
  const bool is_known =
      metric == "allocated_gib" || metric == "layer_state_gib" || metric == "layer_activations_gib";
  if (is_known) return *value * static_cast<double>(Bytes::gib(1).bytes());
  const double samples = *batch / (*gpus * *value);
  if (metric == "samples_per_s_per_gpu") return samples;
  if (metric == "tokens_per_s_per_gpu") return samples * *sequence;
  return error_at(row.where, fmt::format("unknown metric '{}'; they are step_s, "
                                         "samples_per_s_per_gpu, tokens_per_s_per_gpu, "
                                         "allocated_gib, layer_state_gib, "
                                         "layer_activations_gib",
                                         metric));
}

Result<Case> case_of(const std::string& directory, const CsvRow& row) {
  const Result<double> value = measured(row);
  if (!value) return value.errors();
  const Result<std::string> text = scenario_text(directory, row);
  if (!text) return text.errors();
  const std::string path = directory + "/" + row.text("source") + ".yaml";
  Result<Scenario> scenario = parse_scenario(*text, path, profile_path(path));
  if (!scenario) return scenario.errors();
  const std::string device = scenario->cluster.device.name;
  const std::optional<PredictionErrors> errors = scenario->cluster.device.errors;
  const auto step = std::make_shared<TrainingStep>(*std::move(scenario));
  Case made{row.text("source"), row.text("row"), row.text("group"), row.text("source")};
  made.measured = *value;
  made.scenario = *text;
  if (is_of_memory(row)) {  // which depends on no constant
    const std::string metric = row.text("metric");
    made.predict = [step, metric](const Factors&) {
      if (metric == "allocated_gib") return step->allocated();
      return metric == "layer_state_gib" ? step->layer_state() : step->layer_activations();
    };
    return made;
  }
  made.device = device;
  made.errors = errors;
  made.constants = {"memory", "products"};
  made.is_fitted = row.text("fit") == "yes";
  made.is_apart = row.text("fit") == "never";
  made.is_estimated = step->is_estimated();
  made.predict = [step](const Factors& factors) { return step->seconds(factors); };
  return made;
}

Result<std::vector<Case>> training_cases(const std::string& directory, const std::string& file) {
  return cases_of_rows(directory + "/" + file, kColumns,
                       [&](const CsvRow& row) { return case_of(directory, row); });
}

}  // namespace

Result<std::vector<Case>> step_cases(const std::string& directory) {
  return training_cases(directory, "steps.csv");
}

Result<std::vector<Case>> memory_cases(const std::string& directory) {
  return training_cases(directory, "memory.csv");
}

}  // namespace rehearse
