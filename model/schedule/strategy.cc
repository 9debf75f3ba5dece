#include "model/schedule/strategy.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <map>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/net/alike.h"
#include "model/net/tensor.h"
#include "model/net/width.h"
#include "model/schedule/deal.h"

namespace rehearse {
namespace {

struct NamedSize {
  std::string_view name;
  AxisSize size;
};

std::vector<NamedSize> axes_of(const StrategySpec& strategy) {
  return {{"data", strategy.data},
          {"pipeline stages", strategy.pipeline ? strategy.pipeline->stages : AxisSize(1)},
          {"tensor", strategy.tensor ? strategy.tensor->ranks : AxisSize(1)},
          {"subnetwork workers", strategy.subnetwork ? strategy.subnetwork->workers : AxisSize(1)}};
}

}  // namespace

std::string_view to_string(Construction construction) {
  switch (construction) {
    case Construction::block:
      return "block";
    case Construction::width:
      return "width";
  }
  REHEARSE_UNREACHABLE("construction");
}

std::string_view to_string(AssignmentKind kind) {
  switch (kind) {
    case AssignmentKind::balanced:
      return "balanced";
    case AssignmentKind::nested:
      return "nested";
    case AssignmentKind::random:
      return "random";
    case AssignmentKind::rolling:
      return "rolling";
  }
  REHEARSE_UNREACHABLE("assignment");
}

std::string_view to_string(Scaling scaling) {
  switch (scaling) {
    case Scaling::at_test:
      return "at-test";
    case Scaling::in_training:
      return "in-training";
    case Scaling::none:
      return "none";
  }
  REHEARSE_UNREACHABLE("scaling");
}

const std::vector<StageRule>& stage_rules() {
  static const std::vector<StageRule> all = {StageRule::cost, StageRule::layers};
  return all;
}

std::string_view to_string(StageRule rule) {
  switch (rule) {
    case StageRule::cost:
      return "cost";
    case StageRule::layers:
      return "layers";
  }
  REHEARSE_UNREACHABLE("stage rule");
}

std::string_view to_string(Balance balance) {
  switch (balance) {
    case Balance::flops:
      return "flops";
    case Balance::parameters:
      return "parameters";
    case Balance::saved:
      return "saved";
  }
  REHEARSE_UNREACHABLE("balance");
}

Result<Mesh> resolve_mesh(const StrategySpec& strategy, std::int64_t devices) {
  std::vector<NamedSize> axes = axes_of(strategy);
  std::int64_t known = 1;
  NamedSize* open = nullptr;
  for (NamedSize& axis : axes) {
    if (axis.size) {
      known *= *axis.size;
    } else if (open != nullptr) {
      return error(
          fmt::format("both {} and {} are auto: at most one axis can be", open->name, axis.name));
    } else {
      open = &axis;
    }
  }
  if (open != nullptr) {
    if (devices % known != 0) {
      return error(
          fmt::format("{} = auto is impossible: the other axes take {} ranks, and the "
                      "cluster has {} devices",
                      open->name, known, devices));
    }
    open->size = devices / known;
  } else if (known != devices) {
    return error(
        fmt::format("the axes multiply to {} ranks, the cluster has {} devices", known, devices));
  }
  return Mesh{.data = *axes[0].size,
              .workers = *axes[3].size,
              .pipeline = *axes[1].size,
              .tensor = *axes[2].size,
              .order = strategy.order};
}

std::int64_t micro_batches_of(const StrategySpec& strategy) {
  return strategy.pipeline ? strategy.pipeline->micro_batches : strategy.micro_batches;
}

Result<std::int64_t> micro_batch_samples(const StrategySpec& strategy, const Mesh& mesh,
                                         std::int64_t batch) {
  const std::int64_t replicas = mesh.data * mesh.workers;
  const std::int64_t parts = replicas * micro_batches_of(strategy);
  if (batch % parts == 0) return batch / parts;
  const std::int64_t below = batch / parts * parts;
  return error(fmt::format(
      "a batch of {} does not divide into {} micro-batches ({} {} with {} each): {}", batch, parts,
      replicas, strategy.subnetwork ? "workers" : "replicas", micro_batches_of(strategy),
      below == 0 ? fmt::format("{} does", parts)
                 : fmt::format("{} and {} do", below, below + parts)));
}

PipelineShape pipeline_shape(const StrategySpec& strategy, const Mesh& mesh) {
  PipelineShape shape{mesh.pipeline, 1, micro_batches_of(strategy), Placement::loop};
  if (!strategy.pipeline) return shape;
  const PipelineSpec& pipeline = *strategy.pipeline;
  if (pipeline.table) return pipeline.table_shape;
  const PipelineSchedule* schedule = find_pipeline_schedule(pipeline.schedule);
  if (schedule == nullptr) return shape;
  shape.placement = schedule->placement;
  shape.chunks = pipeline.chunks.value_or(schedule->fewest_chunks);
  return shape;
}

namespace {

std::optional<StrategyProblem> check_table(const PipelineSpec& pipeline, const Mesh& mesh) {
  const PipelineShape& shape = pipeline.table_shape;
  if (shape.ranks != mesh.pipeline) {
    return StrategyProblem{StrategyKey::stages,
                           fmt::format("the schedule file is for {} ranks, the pipeline has {}",
                                       shape.ranks, mesh.pipeline)};
  }
  if (shape.micro_batches == pipeline.micro_batches) return std::nullopt;
  return StrategyProblem{StrategyKey::micro_batches,
                         fmt::format("the schedule file has {} micro-batches, the pipeline {}",
                                     shape.micro_batches, pipeline.micro_batches)};
}

std::optional<StrategyProblem> check_schedule(const PipelineSpec& pipeline,
                                              const PipelineShape& shape) {
  const PipelineSchedule* schedule = find_pipeline_schedule(pipeline.schedule);
  if (schedule == nullptr) {
    return StrategyProblem{StrategyKey::schedule,
                           fmt::format("there is no pipeline schedule '{}'", pipeline.schedule)};
  }
  if (shape.chunks < schedule->fewest_chunks || shape.chunks > schedule->most_chunks) {
    const bool one = schedule->fewest_chunks == schedule->most_chunks;
    return StrategyProblem{
        StrategyKey::chunks,
        fmt::format("{} has {}{} chunk{} per rank, not {}", schedule->name, schedule->fewest_chunks,
                    one ? "" : " or more", schedule->most_chunks == 1 ? "" : "s", shape.chunks)};
  }
  const Status possible = schedule->check(shape);
  if (!possible)
    return StrategyProblem{StrategyKey::micro_batches, possible.errors().front().message};
  if (!schedule->takes_live_limit || pipeline.live.value_or(1) >= 1) return std::nullopt;
  return StrategyProblem{
      StrategyKey::live,
      fmt::format("{} needs room for one activation, not {:g}", schedule->name, *pipeline.live)};
}

}  // namespace

namespace {

// Shares of messages need messages, and ranks that have the same to send.
std::optional<StrategyProblem> check_scatter(const StrategySpec& strategy, const Mesh& mesh) {
  if (!strategy.pipeline || !strategy.pipeline->scatter_gather) return std::nullopt;
  const auto refuse = [](std::string_view why) {
    return StrategyProblem{StrategyKey::scatter_gather, fmt::format("'scatter_gather' {}", why)};
  };
  if (mesh.pipeline == 1)
    return refuse("shares out messages between stages, of which one stage has none");
  if (mesh.tensor == 1)
    return refuse(
        "shares out what tensor-parallel ranks have alike: a rank alone sends all of it (tensor: 2 "
        "or more)");
  if (strategy.tensor->sequence_parallel)
    return refuse(
        "shares out what tensor-parallel ranks have alike: with 'sequence_parallel' each has rows "
        "of its own, and sends no more than these");
  return std::nullopt;
}

}  // namespace

BlockCount count_blocks(const Net& net) {
  return {net.blocks.size(), longest_run(alike_blocks(net)).size()};
}

std::optional<StrategyProblem> check_pipeline(const StrategySpec& strategy, const Mesh& mesh,
                                              const BlockCount& net) {
  const PipelineShape shape = pipeline_shape(strategy, mesh);
  if (strategy.pipeline) {
    const auto problem = strategy.pipeline->table ? check_table(*strategy.pipeline, mesh)
                                                  : check_schedule(*strategy.pipeline, shape);
    if (problem) return problem;
  }
  if (const auto problem = check_scatter(strategy, mesh)) return problem;
  // Of a rank's several stages micro-batches take turns, and buckets that a worker lacks are no
  // turns of its own.
  const Result<bool> drops =
      strategy.subnetwork ? masks(*strategy.subnetwork, mesh.workers) : Result<bool>(false);
  if (drops && *drops && shape.chunks > 1 && strategy.sharding == Sharding::gradients)
    return StrategyProblem{
        StrategyKey::data,
        "workers that hold different units, with several stages on each rank, would "
        "reduce the gradients of micro-batches in different orders: 'zero: 1' "
        "reduces them once a step"};
  const auto stages = static_cast<std::size_t>(shape.stages());
  if (stages > net.blocks)
    return StrategyProblem{
        StrategyKey::stages,
        fmt::format("{} stages, but the model has only {} blocks", stages, net.blocks)};
  const bool by_layers = strategy.pipeline && strategy.pipeline->cut == StageRule::layers;
  if (!by_layers || net.layers % stages == 0) return std::nullopt;
  return StrategyProblem{
      StrategyKey::stages,
      fmt::format("{} stages do not divide the model's {} layers", stages, net.layers)};
}

namespace {

// The first parameter that layers of two blocks share.
std::optional<ParameterId> shared_parameter(const Net& net) {
  std::map<ParameterId, BlockId> users;
  for (const Layer& layer : net.layers) {
    const BlockId block = net.segments[layer.segment.index()].block;
    for (const ParameterId parameter : layer.parameters) {
      if (users.try_emplace(parameter, block).first->second != block) return parameter;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<StrategyProblem> check_exact(const StrategySpec& strategy, const Mesh& mesh,
                                           const Net& net) {
  if (mesh.tensor > 1) {
    return StrategyProblem{StrategyKey::tensor,
                           "tensor-parallel ranks make sums of their own: their reductions cannot "
                           "be 'exact'"};
  }
  const bool is_other = strategy.collectives != CollectiveAlgorithm::ring &&
                        strategy.collectives != CollectiveAlgorithm::pairwise;
  if (strategy.collectives && is_other) {
    return StrategyProblem{
        StrategyKey::collectives,
        fmt::format("'exact' reductions are by pairwise exchanges, not by {}: leave it out, or "
                    "'auto', which is of the other collectives",
                    to_string(*strategy.collectives))};
  }
  const auto shared = shared_parameter(net);
  if (mesh.pipeline > 1 && shared) {
    return StrategyProblem{
        StrategyKey::stages,
        fmt::format("{} is used by the first stage and the last, whose gradients meet after those "
                    "of their micro-batches: reductions cannot be 'exact' (with 'tied: false' they "
                    "can)",
                    net.parameters[shared->index()].name)};
  }
  const std::int64_t own = micro_batches_of(strategy), replicas = mesh.data * mesh.workers;
  if (replicas == 1 || std::has_single_bit(static_cast<std::uint64_t>(own))) return std::nullopt;
  return StrategyProblem{
      StrategyKey::micro_batches,
      fmt::format("{} micro-batches on each of {} replicas: for 'exact' reductions they are a "
                  "power of two, so that one tree adds up those of a rank and then the ranks",
                  own, replicas)};
}

namespace {

// Whether there are parts of the network that some workers do not hold.
bool leaves_out(const StrategySpec& strategy, const Mesh& mesh) {
  if (!strategy.subnetwork) return false;
  const Result<bool> masked = masks(*strategy.subnetwork, mesh.workers);
  return masked && *masked;
}

bool ends_on_one_rank(const StrategySpec& strategy, const Mesh& mesh) {
  const PipelineShape shape = pipeline_shape(strategy, mesh);
  return rank_of(shape, StageId(0)) == rank_of(shape, StageId(shape.stages() - 1));
}

bool has_terms_on_several_ranks(const StrategySpec& strategy, const Mesh& mesh, const Net& net) {
  if (mesh.tensor == 1) return false;
  const Result<Net> sliced = shard(net, mesh.tensor, strategy.tensor->sequence_parallel);
  return sliced && std::any_of(sliced->parameters.begin(), sliced->parameters.end(),
                               [](const Parameter& p) { return p.spread == Spread::partial; });
}

// What has to be exchanged in every step, whoever trains for itself.
std::optional<StrategyProblem> needed_in_every_step(const StrategySpec& strategy, const Mesh& mesh,
                                                    const Training& training, const Net& net) {
  if (strategy.sharding != Sharding::none)
    return StrategyProblem{StrategyKey::data,
                           "ZeRO's shards need the gradients of every step: with local steps there "
                           "are none (zero: 0)"};
  if (leaves_out(strategy, mesh) && strategy.subnetwork->masking == Masking::backward)
    return StrategyProblem{StrategyKey::masking,
                           "under backward masking those who only read weights need new ones in "
                           "every step: local steps are for forward masking"};
  if (training.reduction == Reduction::exact)
    return StrategyProblem{StrategyKey::local_steps,
                           "with local steps nobody adds up the gradients of the global batch: "
                           "reductions cannot be 'exact'"};
  const auto shared = shared_parameter(net);
  if (shared && !ends_on_one_rank(strategy, mesh))
    return StrategyProblem{
        StrategyKey::stages,
        fmt::format("{} is used by the first stage and the last, which add up its gradients in "
                    "every step: with local steps it has to be 'tied: false'",
                    net.parameters[shared->index()].name)};
  if (has_terms_on_several_ranks(strategy, mesh, net))
    return StrategyProblem{StrategyKey::tensor,
                           "sequence-parallel ranks add up the gradients of norms in every step, "
                           "with those of the replicas: local steps are for tensor parallelism "
                           "without it"};
  return std::nullopt;
}

}  // namespace

std::optional<StrategyProblem> check_local_steps(const StrategySpec& strategy, const Mesh& mesh,
                                                 const Training& training, const Net& net) {
  const auto& subnetwork = strategy.subnetwork;
  if (strategy.local_steps == 1) {
    if (!strategy.outer) return std::nullopt;
    return StrategyProblem{StrategyKey::outer,
                           "an outer optimizer moves what several local steps have changed: "
                           "'local_steps' says how many"};
  }
  if (mesh.data * mesh.workers == 1)
    return StrategyProblem{StrategyKey::local_steps,
                           "there is one replica: it has nobody to come together with"};
  if (auto needed = needed_in_every_step(strategy, mesh, training, net)) return needed;
  if (leaves_out(strategy, mesh) && subnetwork->averaging == Averaging::all)
    return StrategyProblem{StrategyKey::averaging,
                           "with local steps weights are averaged, over those who have them: "
                           "'averaging: all' is of gradients"};
  if (subnetwork && subnetwork->redraw && *subnetwork->redraw % strategy.local_steps != 0)
    return StrategyProblem{
        StrategyKey::redraw,
        fmt::format("holders' copies differ between synchronisations: they can be drawn anew after "
                    "a multiple of {} steps, not after {}",
                    strategy.local_steps, *subnetwork->redraw)};
  const StateSizes sizes = state_sizes(training);
  if (sizes.moment == sizes.gradient || strategy.outer) return std::nullopt;
  return StrategyProblem{
      StrategyKey::local_steps,
      fmt::format("weights averaged in {} would lose the precision of their master copies; 'outer: "
                  "{{lr: 1, momentum: 0}}' is the same mean, of differences, which are small",
                  to_string(training.dtype))};
}

std::optional<StrategyProblem> check_depth(const StrategySpec& strategy, const Mesh& mesh,
                                           const Training& training, const Net& net) {
  if (!strategy.stochastic_depth) return std::nullopt;
  const auto refused = [](std::string why) {
    return StrategyProblem{StrategyKey::stochastic_depth, std::move(why)};
  };
  if (mesh.workers * mesh.pipeline * mesh.tensor > 1 || strategy.subnetwork)
    return refused("every replica leaves out blocks of its own: it goes with 'data' alone");
  if (strategy.sharding >= Sharding::gradients)
    return refused("every replica needs room for all gradients: 'zero' up to 1");
  if (strategy.local_steps > 1)
    return refused("replicas with local steps do not draw blocks in each of them");
  if (training.reduction == Reduction::exact)
    return refused(
        "the same sums in another order cannot be the same here: what replicas leave out "
        "depends on how many there are ('reduction: fast')");
  if (net.units.empty()) return refused("the model has no block that could be left out");
  return std::nullopt;
}

namespace {

// Times another coverage's denominator it fits an int64.
constexpr std::int64_t kLargestDenominator = 1'000'000'000;

std::string wrong_number_of(const std::vector<Fraction>& coverages, std::int64_t workers) {
  return fmt::format("{} coverages for {} workers, of whom each has its own", coverages.size(),
                     workers);
}

Result<std::int64_t> sum_of_coverages(const std::vector<Fraction>& coverages,
                                      std::int64_t workers) {
  if (static_cast<std::int64_t>(coverages.size()) != workers)
    return error(wrong_number_of(coverages, workers));
  Fraction sum{0, 1};
  for (const Fraction& coverage : coverages) {
    sum = sum + coverage;
    if (sum.denominator > kLargestDenominator)
      return error("the coverages have no common denominator below 10^9");
  }
  if (sum.denominator == 1) return sum.numerator;
  const std::int64_t below = sum.numerator / sum.denominator;
  return error(fmt::format(
      "the coverages add up to {:.4g} holders of every unit, which must be an integer: {}",
      sum.value(), below == 0 ? "1" : fmt::format("{} or {}", below, below + 1)));
}

}  // namespace

Result<std::int64_t> holders_of(const SubnetworkSpec& subnetwork, std::int64_t workers) {
  if (subnetwork.holders) {
    if (*subnetwork.holders <= workers) return *subnetwork.holders;
    return error(fmt::format("{} holders, but only {} workers, who can be holders once each",
                             *subnetwork.holders, workers));
  }
  if (!subnetwork.coverages.empty()) return sum_of_coverages(subnetwork.coverages, workers);
  const Fraction& coverage = subnetwork.coverage;
  if (coverage.numerator * workers % coverage.denominator == 0) {
    return coverage.numerator * workers / coverage.denominator;
  }
  const std::int64_t below = coverage.numerator * workers / coverage.denominator;
  const std::string above = to_string(fraction_of(below + 1, workers));
  const std::string nearest =
      below == 0 ? above + " works"
                 : fmt::format("{} or {} work", to_string(fraction_of(below, workers)), above);
  return error(fmt::format(
      "coverage {} of {} workers is {:g} holders, which must be an integer: {}",
      to_string(coverage), workers, coverage.value() * static_cast<double>(workers), nearest));
}

Result<std::vector<Fraction>> coverages_of(const SubnetworkSpec& subnetwork, std::int64_t workers) {
  if (subnetwork.coverages.empty())
    return std::vector<Fraction>(static_cast<std::size_t>(workers), subnetwork.coverage);
  if (std::ssize(subnetwork.coverages) == workers) return subnetwork.coverages;
  return error(wrong_number_of(subnetwork.coverages, workers));
}

Result<bool> masks(const SubnetworkSpec& subnetwork, std::int64_t workers) {
  if (subnetwork.assignment == AssignmentKind::balanced) {
    const Result<std::int64_t> holders = holders_of(subnetwork, workers);
    if (!holders) return holders.errors();
    return *holders < workers;
  }
  const Result<std::vector<Fraction>> coverages = coverages_of(subnetwork, workers);
  if (!coverages) return coverages.errors();
  return std::any_of(coverages->begin(), coverages->end(), [](const Fraction& coverage) {
    return coverage != Fraction{1, 1};
  });
}

namespace {

// Whether a unit may be held by a single worker: those that begin together leave it to the largest,
// if there is one; sets of their own meet for sure where two are of all units.
bool may_be_alone(AssignmentKind kind, std::vector<std::int64_t> counts, std::int64_t all) {
  std::sort(counts.begin(), counts.end(), std::greater<>());
  if (counts.size() < 2) return true;
  return counts[1] < (kind == AssignmentKind::random ? all : counts[0]);
}

}  // namespace

std::optional<StrategyProblem> check_dealing(const SubnetworkSpec& subnetwork, std::int64_t workers,
                                             const Net& net) {
  const AssignmentKind kind = subnetwork.assignment;
  if (kind == AssignmentKind::balanced || net.units.empty()) return std::nullopt;
  const std::int64_t all = units_dealt(net);
  std::vector<std::int64_t> counts;
  const std::vector<Fraction> coverages = *coverages_of(subnetwork, workers);
  for (const Fraction& coverage : coverages)
    counts.push_back(ceiling_of(coverage, all));
  const std::int64_t most = *std::max_element(counts.begin(), counts.end());
  if (subnetwork.masking == Masking::backward && most < all)
    return StrategyProblem{
        StrategyKey::masking,
        fmt::format("under backward masking everybody reads all units, and gets new weights from "
                    "their holders: with 'assignment: {}' all have one if a worker has coverage 1; "
                    "the most that one holds are {} of {} units",
                    to_string(kind), most, all)};
  if (subnetwork.averaging == Averaging::all && may_be_alone(kind, counts, all))
    return StrategyProblem{
        StrategyKey::averaging,
        fmt::format("with one holder nobody adds anything to its gradients: there is nothing to "
                    "average over all workers; with 'assignment: {}' no unit has a single one if "
                    "two workers have {}",
                    to_string(kind),
                    kind == AssignmentKind::random ? "coverage 1" : "the largest coverage")};
  return std::nullopt;
}

Result<std::vector<BlockId>> always_held_blocks(const SubnetworkSpec& subnetwork, const Net& net) {
  std::vector<BlockId> blocks;
  std::vector<std::string> names;
  for (const Block& block : net.blocks)
    names.push_back(block.name);
  for (const std::string& name : subnetwork.always_held) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      const auto guess = nearest(name, names);
      return error(fmt::format("the network has no block '{}'; {}", name,
                               guess ? fmt::format("did you mean '{}'?", *guess)
                                     : fmt::format("its blocks are {}", join(names, ", "))));
    }
    blocks.emplace_back(found - names.begin());
  }
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  return blocks;
}

Result<UnitRule> unit_rule(const StrategySpec& strategy, const Mesh& mesh, const Net& net) {
  if (!strategy.subnetwork) return UnitRule{};
  const SubnetworkSpec& subnetwork = *strategy.subnetwork;
  const Result<bool> masked = masks(subnetwork, mesh.workers);
  if (!masked) return masked.errors();
  const Result<std::vector<BlockId>> blocks = always_held_blocks(subnetwork, net);
  if (!blocks) return blocks.errors();
  if (!*masked) return UnitRule{};
  UnitRule rule{1, {}, *blocks};
  if (subnetwork.construction == Construction::width) {
    if (mesh.tensor > 1)
      return error(
          "tensor parallelism cuts the widths that width-wise subnetworks are made of: with it, "
          "subnetworks are made of blocks");
    rule.of_width = subnetwork.width_units.value_or(mesh.workers);
    if (rule.of_width == 1)
      return error("a width of one unit, as many as workers, is held whole: 'units' says how many");
    rule.axes = subnetwork.axes;
  }
  const Result<Net> cut = cut_units(net, rule);
  if (!cut) return cut.errors();
  return rule;
}

namespace {

Status check_any(const Net& net, const SubnetworkSpec& subnetwork) {
  if (!net.units.empty()) return success();
  if (!subnetwork.always_held.empty())
    return error(
        "'always_held' leaves no unit that a worker could leave out: every worker would hold all "
        "of the model");
  return error(
      "the model has no unit that a worker could leave out, such as a residual block with "
      "an identity skip: every worker would hold all of it");
}

}  // namespace

Status check_units(const StrategySpec& strategy, const Mesh& mesh, const Net& net) {
  const SubnetworkSpec& subnetwork = *strategy.subnetwork;
  if (!*masks(subnetwork, mesh.workers)) return success();
  if (subnetwork.assignment != AssignmentKind::balanced) return check_any(net, subnetwork);
  const std::int64_t holders = *holders_of(subnetwork, mesh.workers);
  if (subnetwork.averaging == Averaging::all && holders == 1)
    return error(
        "with one holder nobody adds anything to its gradients: there is nothing to "
        "average over all workers; 2 holders or more have a sum");
  const auto held = static_cast<std::int64_t>(net.units.size()) * holders;
  if (!net.units.empty() && held < mesh.workers) {
    return error(
        fmt::format("the model has {} units that a worker could leave out: held by {} each, "
                    "they do not go round {} workers",
                    net.units.size(), holders, mesh.workers));
  }
  return check_any(net, subnetwork);
}

}  // namespace rehearse
