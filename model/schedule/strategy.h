// One strategy entry of a scenario: how the training is split over the ranks.
//
// The functions that turn its numbers into shapes say what is wrong with them, one key each, so
// that whoever read the key can say where it stands.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/base/diagnostic.h"
#include "model/base/units.h"
#include "model/plan/plan.h"
#include "model/schedule/fraction.h"

namespace rehearse {

// A number of ranks along one axis; none: auto, what the other axes leave.
using AxisSize = std::optional<std::int64_t>;

struct PipelineSpec {
  AxisSize stages;
  std::string schedule = "1f1b";   // a row of pipeline_schedules() (pipeline.h)
  std::int64_t micro_batches = 1;  // per data-parallel replica and step
};

enum class Construction { block };
enum class Masking { forward };
// How a branch that only C of the workers train is weighted: C times at evaluation (the default, as
// in dropout's original form), 1/C times in training, or not at all.
enum class Scaling { at_test, in_training, none };
// The load that the assignment of units to workers levels.
enum class Balance { flops, parameters, saved };
std::string_view to_string(Construction construction);
std::string_view to_string(Masking masking);
std::string_view to_string(Scaling scaling);
std::string_view to_string(Balance balance);

struct SubnetworkSpec {
  AxisSize workers;
  Construction construction = Construction::block;
  Fraction coverage;                    // of the workers that hold a unit
  std::optional<std::int64_t> holders;  // given instead of coverage
  Masking masking = Masking::forward;
  Scaling scaling = Scaling::at_test;
  Balance balance = Balance::flops;
};

struct StrategySpec {
  std::string name;
  AxisSize data = 1;
  std::optional<PipelineSpec> pipeline;
  std::optional<SubnetworkSpec> subnetwork;
  std::int64_t micro_batches = 1;  // gradient accumulation, without a pipeline
  Bytes bucket = Bytes::mib(25);   // gradients per all-reduce (PyTorch's default)
};

// Ranks along each axis. Errors: several axes are auto, or they do not multiply to the devices.
Result<Mesh> resolve_mesh(const StrategySpec& strategy, std::int64_t devices);

// Micro-batches of one rank and step.
std::int64_t micro_batches_of(const StrategySpec& strategy);
// Errors: the global batch does not divide among replicas and micro-batches.
Result<std::int64_t> micro_batch_samples(const StrategySpec& strategy, const Mesh& mesh,
                                         std::int64_t batch);
// Errors: more stages than blocks.
Status check_stages(const Mesh& mesh, std::size_t blocks);
// c = C N, workers that hold each unit. Errors: not an integer, or more holders than workers.
Result<std::int64_t> holders_of(const SubnetworkSpec& subnetwork, std::int64_t workers);
// Errors: fewer holders than workers of a network without units (net.h), which all would hold
// whole, or with so few that some workers would hold none.
Status check_units(std::int64_t holders, std::int64_t workers, std::size_t units);

}  // namespace rehearse
