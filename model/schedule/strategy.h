// One strategy entry of a scenario, and the way from it to a plan.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/base/units.h"
#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse {

// An exact fraction of the workers: 0.5 is 1/2, "2/3" stays 2/3.
struct Fraction {
  std::int64_t numerator = 1, denominator = 1;
  friend bool operator==(const Fraction&, const Fraction&) = default;
};
std::string to_string(const Fraction& fraction);
// An exact decimal ("0.25") or a fraction ("2/3") in (0, 1].
std::optional<Fraction> parse_fraction(std::string_view text);

// A number of ranks along one axis; none: auto, what the other axes leave.
using AxisSize = std::optional<std::int64_t>;

struct PipelineSpec {
  AxisSize stages;
  std::string schedule = "1f1b";  // a row of pipeline_schedules()
  std::int64_t micro_batches = 1;  // per data-parallel replica and step
};

enum class Construction { block };
enum class Masking { forward };
enum class Scaling { at_test, in_training, none };
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

// Ranks along each axis; errors: they do not multiply to the number of devices.
Result<Mesh> resolve_mesh(const StrategySpec& strategy, std::int64_t devices);

// The whole way. costs: relative time of each block, forward and backward, by which stages are cut
// (one per block). Errors name the strategy's key they are about.
Result<Plan> build_plan(const StrategySpec& strategy, const ModelSpec& model,
                        const Training& training, std::int64_t devices,
                        const std::vector<double>& costs);

// Names of pipeline schedules, sorted, with help.
struct PipelineSchedule {
  std::string_view name, help;
};
const std::vector<PipelineSchedule>& pipeline_schedules();

}  // namespace rehearse
