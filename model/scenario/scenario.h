// A scenario file: the model, its training, the cluster and the strategies to compare.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/cluster/cluster.h"
#include "model/net/model_spec.h"
#include "model/plan/fidelity.h"
#include "model/plan/training.h"
#include "model/scenario/advise.h"
#include "model/scenario/sweep.h"
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
  AdviseSpace advise;
  std::vector<ScenarioStrategy> strategies;
};

// Where device profiles are looked for, by name; first match wins. A profile named with a '/' or
// ending in .yaml is a path relative to the scenario file.
struct ProfilePath {
  std::vector<std::string> directories;
  // Whoever reads many scenarios may have the device already.
  std::function<Result<Device>(const std::string& path)> read = nullptr;  // none: read_device()
};

// Reads and checks a scenario; up to 20 errors, sorted by position.
// device: a profile that replaces the cluster's (the one just calibrated), none: as the file says.
// strategy: the only one that is wanted, so that others, which are left out, may be impossible; all
// if there is none of that name.
Result<Scenario> read_scenario(const std::string& path, const ProfilePath& profiles,
                               const std::optional<std::string>& device = std::nullopt,
                               const std::optional<std::string>& strategy = std::nullopt);
// The same without strategies: those of the file are not looked at, and there may be none.
Result<Scenario> read_setting(const std::string& path, const ProfilePath& profiles,
                              const std::optional<std::string>& device = std::nullopt);
// As read_scenario() from a text (tests, fuzzing); path is used for messages and relative profiles.
Result<Scenario> parse_scenario(const std::string& text, const std::string& path,
                                const ProfilePath& profiles,
                                const std::optional<std::string>& strategy = std::nullopt);

// A file, and what its `sweep` makes of it.
struct SweptScenario {
  // As it stands, with strategies that its own values may make impossible; if it cannot be read at
  // all, at the sweep's first point.
  Scenario scenario;
  yaml::Value root;  // its tree
  Sweep sweep;
};
Result<SweptScenario> read_swept_scenario(const std::string& path, const ProfilePath& profiles);
// The same from a text.
Result<SweptScenario> parse_swept_scenario(const std::string& text, const std::string& path,
                                           const ProfilePath& profiles);

// Reads trees of one file whose values were changed, with every check of read_scenario(); models
// and device profiles that it has read are not read again, nor model, training and cluster where
// the last tree said the same. For one thread.
class PointReader {
 public:
  PointReader(std::string path, ProfilePath profiles);
  PointReader(PointReader&&) noexcept;
  ~PointReader();
  Result<Scenario> read(const yaml::Value& root);
  // Of the device profiles that the last tree names, as they were read: hashes of what they say.
  const std::string& profile_hashes() const;
  // What tells the last tree's model, training and cluster, with their profiles, from others.
  std::string setting() const;

  struct Memory;

 private:
  std::unique_ptr<Memory> memory_;
};

// The whole file, or why it cannot be read.
Result<std::string> read_text_file(const std::string& path);

// Device profiles: scenarios/devices/*.yaml and what `rehearse calibrate` writes. Keys of others'
// are fine here, unlike in scenarios; misspelt ones are not.
Result<Device> read_device(const std::string& path);
Result<Device> parse_device(const std::string& text, const std::string& path);
// The file's text; reads back as the same device.
std::string print_device(const Device& device);

}  // namespace rehearse
