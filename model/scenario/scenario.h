// A scenario file: the model, its training, the cluster and the strategies to compare.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/cluster/cluster.h"
#include "model/net/model_spec.h"
#include "model/plan/fidelity.h"
#include "model/plan/training.h"
#include "model/schedule/strategy.h"

namespace rehearse {

struct ScenarioStrategy {
  StrategySpec spec;
  Mesh mesh;         // resolved for the cluster
  SourceSpan where;  // of its name, for errors found later
};

// Seconds per rank of a pipeline and micro-batch, as papers state them: one entry for all ranks, or
// one for each. A rank with v chunks takes 1/v of its times for each. A message between stages on
// different ranks takes `transfer` and occupies neither's compute.
struct StatedPrices {
  std::vector<Seconds> forward, backward_input, backward_weight;
  Seconds transfer;
};

// How it is simulated.
struct Simulation {
  Fidelity collectives = Fidelity::stepwise;
  Detail detail = Detail::segment;
  Replicas replicas = Replicas::all;
  std::int64_t steps = 6;
};

struct Scenario {
  std::string name;
  std::string path;
  ModelSpec model;  // resolved
  Training training;
  ClusterSpec cluster;
  // Given: pipelines are played by them, and there are no model, training and cluster.
  std::optional<StatedPrices> prices;
  Simulation simulation;
  std::vector<ScenarioStrategy> strategies;
};

// Where device profiles are looked for, by name; first match wins. A profile named with a '/' or
// ending in .yaml is a path relative to the scenario file.
struct ProfilePath {
  std::vector<std::string> directories;
};

// Reads and checks a scenario; up to 20 errors, sorted by position.
// device: a profile that replaces the cluster's (the one just calibrated), none: as the file says.
Result<Scenario> read_scenario(const std::string& path, const ProfilePath& profiles,
                               const std::optional<std::string>& device = std::nullopt);
// The same from a text (tests, fuzzing); path is used for messages and relative profiles.
Result<Scenario> parse_scenario(const std::string& text, const std::string& path,
                                const ProfilePath& profiles);

// The whole file, or why it cannot be read.
Result<std::string> read_text_file(const std::string& path);

// Device profiles: scenarios/devices/*.yaml and what `rehearse calibrate` writes. Keys of others'
// are fine here, unlike in scenarios; misspelt ones are not.
Result<Device> read_device(const std::string& path);
Result<Device> parse_device(const std::string& text, const std::string& path);
// The file's text; reads back as the same device.
std::string print_device(const Device& device);

}  // namespace rehearse
