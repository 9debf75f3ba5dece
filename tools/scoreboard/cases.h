// Published measurements as cases: what was measured, and what predicts it.
//
// bench/published holds the rows (steps.csv, memory.csv, collectives.csv, products.csv,
// zero_bubble.csv) and the machines (machines/NAME.yaml: keys of a scenario's cluster, with their
// sources).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/base/units.h"
#include "model/cluster/cluster.h"
#include "tools/scoreboard/csv.h"

namespace rehearse {

// Factors on what a profile says, by name of the constant; what is not there is 1.
//   products   speed of matrix products, convolutions and attention
//   memory     speed of what is bound by memory
//   launch     seconds from a collective's start to its first message
//   first      seconds of a pass over the first range of a collective
//   protocol   the same as launch of the device's other protocols
//   links      bandwidth between the devices of a node
using Factors = std::map<std::string, double>;
void apply(const Factors& factors, ClusterSpec& cluster);

struct Case {
  std::string source, name = {};
  std::string group = {};     // the same training, split in several ways; empty: alone
  std::string hold_out = {};  // what is left out with it where constants are fitted without it
  std::string device = {};    // whose constants it depends on; empty: on none
  std::vector<std::string> constants = {};  // that may be fitted to it, if it is_fitted
  bool is_fitted = false;
  bool is_apart = false;  // predicted and counted; what bands say is none of its business, either
  bool is_estimated = false;  // in closed form, not simulated
  double measured = 0;        // seconds; bytes; a number: whatever predict() gives
  std::optional<PredictionErrors> errors = {};  // of the device's profile
  std::string scenario = {};                    // its text, where it is a training
  std::function<Result<double>(const Factors&)> predict = {};
};

// The steps of a training, by how many samples or tokens each device was seen to train, or by the
// seconds of a step; or the bytes of tensors on the rank that has most. Plans are built once, by
// the profile's own prices.
Result<std::vector<Case>> step_cases(const std::string& directory);
Result<std::vector<Case>> memory_cases(const std::string& directory);
// All-reduces by their bus bandwidth: bytes times 2 (n - 1) / n by the time (nccl-tests).
Result<std::vector<Case>> collective_cases(const std::string& directory);
// Pipelines played by published times of their passes: cost by busy time, 1 / (1 - bubble).
Result<std::vector<Case>> bubble_cases(const std::string& directory);
// Matrix products of bf16 by the share of the device's peak that they reach.
Result<std::vector<Case>> product_cases(const std::string& directory);
// All of them, in this order.
Result<std::vector<Case>> read_cases(const std::string& directory);

// A case for each row of a file of bench/published, by its name there. Errors: those of the file,
// and of the first row that makes none.
using CaseOfRow = std::function<Result<Case>(const CsvRow&)>;
Result<std::vector<Case>> cases_of_rows(const std::string& path,
                                        const std::vector<std::string>& columns,
                                        const CaseOfRow& case_of_row);

// The text of a scenario's cluster: a machine of bench/published, with so many devices.
Result<std::string> cluster_text(const std::string& directory, const std::string& machine,
                                 std::int64_t devices);
inline constexpr std::int64_t kDevicesPerNode = 8;  // of every machine there is

}  // namespace rehearse
