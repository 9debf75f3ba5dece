// The sections of a scenario file, one function and one file each.
#pragma once

#include <string>
#include <vector>

#include "model/scenario/advise.h"
#include "model/scenario/reader.h"
#include "model/scenario/scenario.h"
#include "model/scenario/sweep.h"

namespace rehearse::yaml {

// Fills `model` with its resolved form. Whether it is right stands in the problems.
// scenario_path: imported configs are relative to it.
ModelSpec read_model(Map& scenario, const std::string& scenario_path);
Training read_training(Map& scenario);
// device: the profile that replaces the file's.
ClusterSpec read_cluster(Map& scenario, const std::string& scenario_path,
                         const ProfilePath& profiles, const std::optional<std::string>& device);
// Parts of a cluster.
void read_kernel_rates(Map& cluster, Device& device);
NetworkSpec read_network(const Value& value, SourceSpan where, Problems& problems);
LinkSpec read_link(const Value& value, const std::string& name, SourceSpan where,
                   Problems& problems);
std::optional<std::vector<EfficiencyPoint>> read_efficiency(const Value& value, Problems& problems);

// Times of ops that the file states itself, instead of a model on a cluster.
std::optional<StatedPrices> read_prices(Map& scenario);

// A strategy and where its keys stand, for errors found when everything has been read.
struct StrategyPlaces {
  SourceSpan entry, data, stages, schedule, chunks, live, micro_batches, tensor, workers, coverage,
      construction, always_held, averaging, redraw, masking, local_steps, outer, stochastic_depth,
      collectives, scatter_gather;
};
struct StrategyEntry {
  StrategySpec spec;
  StrategyPlaces places;
};
// scenario_path: schedule files are relative to it.
std::vector<StrategyEntry> read_strategies(Map& scenario, const std::string& scenario_path);

// Which strategies are searched.
AdviseSpace read_advise(Map& scenario);

// Which values of the file are varied; root: the file, in which they stand.
Sweep read_sweep(Map& scenario, const Value& root);
// The file with the first of all that is varied in place of its own values; none: nothing is, or
// what it says of that is wrong.
std::optional<Value> with_first_values(const Value& root, const SourceSpan& where);

}  // namespace rehearse::yaml
