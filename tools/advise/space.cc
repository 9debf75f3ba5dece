#include "tools/advise/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/base/text.h"
#include "model/net/tensor.h"
#include "model/net/width.h"

namespace rehearse::advise {
namespace {

constexpr std::int64_t kPresetChunks[] = {2, 4, 8};
constexpr Fraction kPresetCoverages[] = {{1, 1}, {3, 4}, {1, 2}, {1, 4}};

std::vector<std::int64_t> divisors_of(std::int64_t n) {
  std::vector<std::int64_t> divisors;
  for (std::int64_t d = 1; d * d <= n; ++d) {
    if (n % d != 0) continue;
    divisors.push_back(d);
    if (d * d != n) divisors.push_back(n / d);
  }
  std::sort(divisors.begin(), divisors.end());
  return divisors;
}

template <class T>
std::vector<T> chosen(const Choices<T>& asked, std::vector<T> preset) {
  if (!asked.is_given()) return preset;
  std::vector<T> values;
  for (const auto& choice : asked.list)
    values.push_back(choice.value);
  return values;
}

bool has_attention_to_recompute(const Net& net) {
  return std::any_of(net.layers.begin(), net.layers.end(), [](const Layer& layer) {
    const auto* attention = std::get_if<Attention>(&layer.spec);
    return attention != nullptr && !attention->fused && !attention->checkpointed;
  });
}

// Whether it makes no difference which ranks are neighbours.
bool is_symmetric(const ClusterSpec& cluster) {
  if (!cluster.ranks.empty() || !cluster.links.empty()) return false;
  if (cluster.nodes == 1) return cluster.interconnect_kind == InterconnectKind::switched;
  return cluster.devices_per_node == 1 && (cluster.network.kind == NetworkKind::crossbar ||
                                           cluster.network.kind == NetworkKind::full_mesh);
}

AxisOrder with_innermost(Axis axis) {
  AxisOrder order = kAxisOrder;
  std::stable_partition(order.begin(), order.end(), [&](Axis other) { return other != axis; });
  return order;
}

std::int64_t ranks_along(const Family& family, Axis axis) {
  switch (axis) {
    case Axis::data:
      return family.is_subnetwork() ? 1 : family.replicas;
    case Axis::subnetwork:
      return family.is_subnetwork() ? family.replicas : 1;
    case Axis::pipeline:
      return family.pipeline;
    case Axis::tensor:
      return family.tensor;
  }
  REHEARSE_UNREACHABLE("axis");
}

Mesh mesh_of(const Family& family) {
  Mesh mesh;
  mesh.data = ranks_along(family, Axis::data);
  mesh.workers = ranks_along(family, Axis::subnetwork);
  mesh.pipeline = family.pipeline;
  mesh.tensor = family.tensor;
  return mesh;
}

}  // namespace

class SpaceBuilder {
 public:
  SpaceBuilder(const Scenario& scenario, const AdviseSpace& asked, Net net)
      : scenario_(scenario),
        asked_(asked),
        net_(std::move(net)),
        blocks_(count_blocks(net_)),
        ranks_(scenario.cluster.nodes * scenario.cluster.devices_per_node) {}

  Result<SearchSpace> run() {
    const Status filled = fill();
    if (!filled) return filled.errors();
    if (space_.points_.empty()) return is_empty();
    const Status met = check_coverages();
    if (!met) return met.errors();
    return std::move(space_);
  }

 private:
  Status fill() {
    const Status possible = check();
    if (!possible) return possible.errors();
    for (const std::int64_t tensor : chosen(asked_.tensor, divisors_of(ranks_))) {
      for (const bool sequence_parallel : chosen(asked_.sequence_parallel, {false, true})) {
        if (tensor == 1 && sequence_parallel && !only_sequence_parallel()) continue;
        if (!shard(net_, tensor, tensor > 1 && sequence_parallel)) continue;
        add_networks(tensor, tensor > 1 && sequence_parallel);
        if (space_.points_.size() > static_cast<std::size_t>(kMostPoints)) return too_large();
      }
    }
    return success();
  }

  // ---- choices that cannot be ------------------------------------------------------------------

  // Points at the keys without any one of which there would be points.
  Diagnostics is_empty() const {
    Diagnostic problem{
        {},
        fmt::format("no strategy of this space goes with the model, a batch of {} and {} devices",
                    human_count(scenario_.training.batch), human_count(ranks_)),
        {}};
    std::vector<std::string> names;
    const auto try_without = [&](std::string_view name, auto key) {
      if (!(asked_.*key).is_given()) return;
      AdviseSpace more = asked_;
      (more.*key).list.clear();
      SpaceBuilder builder(scenario_, more, net_);
      static_cast<void>(builder.fill());
      if (builder.space_.points_.empty()) return;
      if (!problem.where) problem.where = (asked_.*key).list.front().where;
      names.push_back(fmt::format("'{}'", name));
    };
    try_without("tensor", &AdviseSpace::tensor);
    try_without("sequence_parallel", &AdviseSpace::sequence_parallel);
    try_without("pipeline", &AdviseSpace::pipeline);
    try_without("schedule", &AdviseSpace::schedule);
    try_without("chunks", &AdviseSpace::chunks);
    try_without("micro_batch", &AdviseSpace::micro_batch);
    try_without("coverage", &AdviseSpace::coverage);
    if (!names.empty()) problem.message += "; there are some without " + join(names, " or ");
    return {problem};
  }

  Status check() const {
    Diagnostics errors;
    const auto refuse = [&](const SourceSpan& where, std::string message) {
      errors.push_back({where, std::move(message), {}});
    };
    for (const auto* axis : {&asked_.tensor, &asked_.pipeline}) {
      for (const auto& choice : axis->list) {
        if (ranks_ % choice.value != 0)
          refuse(choice.where, fmt::format("{} ranks do not divide the {} devices of the cluster",
                                           choice.value, ranks_));
      }
    }
    for (const auto& choice : asked_.tensor.list) {
      const Result<Net> sharded = shard(net_, choice.value, false);
      if (ranks_ % choice.value == 0 && !sharded)
        refuse(choice.where, sharded.errors().front().message);
    }
    for (const auto& choice : asked_.pipeline.list) {
      if (ranks_ % choice.value == 0 && choice.value > std::ssize(net_.blocks))
        refuse(choice.where, fmt::format("{} stages, but the network has {} blocks", choice.value,
                                         net_.blocks.size()));
    }
    for (const auto& choice : asked_.micro_batch.list) {
      if (scenario_.training.batch % choice.value != 0)
        refuse(choice.where,
               fmt::format("micro-batches of {} samples do not divide the batch of {}",
                           choice.value, scenario_.training.batch));
    }
    for (const auto& choice : asked_.coverage.list) {
      if (choice.value != Fraction{} && net_.units.empty())
        refuse(choice.where, "the network has no blocks that subnetworks may leave out");
    }
    return errors.empty() ? success() : Status(std::move(errors));
  }

  // Whether there are points of each that is asked for: which ones there can be depends on how many
  // replicas there are.
  Status check_coverages() const {
    Diagnostics errors;
    for (const auto& choice : asked_.coverage.list) {
      const auto& families = space_.families_;
      if (std::none_of(families.begin(), families.end(),
                       [&](const Family& it) { return it.coverage == choice.value; }))
        errors.push_back(
            {choice.where,
             fmt::format("no strategy of this space has a coverage of {}", to_string(choice.value)),
             {}});
    }
    return errors.empty() ? success() : Status(std::move(errors));
  }

  // Without tensor parallelism it means nothing: where nothing else is asked for it is passed over.
  bool only_sequence_parallel() const {
    const auto& list = asked_.sequence_parallel.list;
    return list.size() == 1 && list.front().value;
  }

  Diagnostics too_large() const {
    return error(fmt::format("the space has more than {} points: 'advise' can limit it",
                             human_count(kMostPoints)));
  }

  // ---- families ---------------------------------------------------------------------------------

  void add_networks(std::int64_t tensor, bool sequence_parallel) {
    std::vector<Recomputation> ways = {Recomputation::none};
    if (has_attention_to_recompute(net_)) ways.push_back(Recomputation::selective);
    ways.push_back(Recomputation::full);
    for (const Recomputation recompute : chosen(asked_.recompute, ways)) {
      for (const std::int64_t pipeline : chosen(asked_.pipeline, divisors_of(ranks_ / tensor))) {
        if (ranks_ / tensor % pipeline != 0 || pipeline > std::ssize(net_.blocks)) continue;
        Family family;
        family.tensor = tensor;
        family.pipeline = pipeline;
        family.replicas = ranks_ / tensor / pipeline;
        family.sequence_parallel = sequence_parallel;
        family.recompute = recompute;
        add_coverages(family);
      }
    }
  }

  void add_coverages(Family family) {
    std::vector<Fraction> coverages(std::begin(kPresetCoverages), std::end(kPresetCoverages));
    if (net_.units.empty()) coverages.resize(1);
    for (const Fraction& coverage : chosen(asked_.coverage, coverages)) {
      family.coverage = coverage;
      if (family.is_subnetwork() && !can_leave_out(family)) continue;
      add_family(family);
    }
  }

  bool can_leave_out(const Family& family) const {
    StrategySpec spec = base_spec(family);
    const Mesh mesh = mesh_of(family);
    const Result<bool> masked = masks(*spec.subnetwork, mesh.workers);
    if (!masked || !*masked) return false;
    const Result<UnitRule> rule = unit_rule(spec, mesh, net_);
    if (!rule) return false;
    const Result<Net> cut = cut_units(net_, *rule);
    return cut && check_units(spec, mesh, *cut);
  }

  void add_family(const Family& family) {
    if (scenario_.training.batch % family.replicas != 0) return;
    const auto number = static_cast<std::uint32_t>(space_.families_.size());
    const std::size_t before = space_.points_.size();
    for (const Sharding zero : shardings(family)) {
      if (family.pipeline == 1) {
        add_micro_batches(family, {number, zero, nullptr, 1, 1, 1});
        continue;
      }
      for (const PipelineSchedule& schedule : pipeline_schedules())
        add_schedule(family, {number, zero, &schedule, 1, 1, 1});
    }
    if (space_.points_.size() == before) return;
    space_.families_.push_back(family);
    space_.placements_.push_back(placements_of(family));
  }

  std::vector<Sharding> shardings(const Family& family) const {
    const std::vector<Sharding> all = {Sharding::none, Sharding::optimizer_state,
                                       Sharding::gradients, Sharding::parameters};
    std::vector<Sharding> asked = chosen(asked_.zero, all);
    if (family.holders() > 1) return asked;
    // One holder shares out nothing: the stages are all the same.
    return {Sharding::none};
  }

  std::vector<AxisOrder> placements_of(const Family& family) const {
    if (is_symmetric(scenario_.cluster)) return {kAxisOrder};
    std::vector<AxisOrder> orders;
    bool is_preset = true;  // of the axes that have several ranks the first here is the innermost
    for (const Axis axis : {Axis::tensor, Axis::pipeline, Axis::subnetwork, Axis::data}) {
      if (ranks_along(family, axis) == 1) continue;
      if (may_be_innermost(axis)) orders.push_back(is_preset ? kAxisOrder : with_innermost(axis));
      is_preset = false;
    }
    return orders.empty() ? std::vector{kAxisOrder} : orders;
  }

  bool may_be_innermost(Axis axis) const {
    const auto& list = asked_.innermost.list;
    return list.empty() || std::any_of(list.begin(), list.end(),
                                       [&](const auto& choice) { return choice.value == axis; });
  }

  // ---- points -----------------------------------------------------------------------------------

  void add_schedule(const Family& family, Point point) {
    const PipelineSchedule& schedule = *point.schedule;
    const auto& asked = asked_.schedule.list;
    const bool is_asked = std::any_of(asked.begin(), asked.end(), [&](const auto& choice) {
      return choice.value == schedule.name;
    });
    if (!asked.empty() && !is_asked) return;
    if (schedule.fewest_chunks == schedule.most_chunks) {
      point.chunks = schedule.fewest_chunks;
      return add_micro_batches(family, point);
    }
    for (const std::int64_t chunks :
         chosen(asked_.chunks, {std::begin(kPresetChunks), std::end(kPresetChunks)})) {
      if (chunks < schedule.fewest_chunks || chunks > schedule.most_chunks) continue;
      point.chunks = chunks;
      add_micro_batches(family, point);
    }
  }

  void add_micro_batches(const Family& family, Point point) {
    const std::int64_t share = scenario_.training.batch / family.replicas;
    for (const std::int64_t samples : chosen(asked_.micro_batch, divisors_of(share))) {
      if (share % samples != 0) continue;
      point.samples = samples;
      point.micro_batches = share / samples;
      if (can_be(family, point)) space_.points_.push_back(point);
    }
  }

  bool can_be(const Family& family, const Point& point) const {
    const bool exact = scenario_.training.reduction == Reduction::exact;
    if (point.schedule == nullptr && !exact) return true;
    StrategySpec spec = spec_of(family, point);
    const Mesh mesh = mesh_of(family);
    if (check_pipeline(spec, mesh, blocks_)) return false;
    return !exact || !check_exact(spec, mesh, net_);
  }

  friend class SearchSpace;
  static StrategySpec base_spec(const Family& family);
  static StrategySpec spec_of(const Family& family, const Point& point);

  const Scenario& scenario_;
  const AdviseSpace& asked_;
  const Net net_;
  const BlockCount blocks_;
  const std::int64_t ranks_;
  SearchSpace space_;
};

StrategySpec SpaceBuilder::base_spec(const Family& family) {
  StrategySpec spec;
  spec.data = ranks_along(family, Axis::data);
  spec.recomputation = family.recompute;
  if (family.tensor > 1) spec.tensor = TensorSpec{family.tensor, family.sequence_parallel};
  if (family.is_subnetwork()) {
    spec.subnetwork.emplace();
    spec.subnetwork->workers = family.replicas;
    spec.subnetwork->coverage = family.coverage;
  }
  return spec;
}

StrategySpec SpaceBuilder::spec_of(const Family& family, const Point& point) {
  StrategySpec spec = base_spec(family);
  spec.sharding = point.zero;
  if (point.schedule == nullptr) {
    spec.micro_batches = point.micro_batches;
    return spec;
  }
  spec.pipeline.emplace();
  spec.pipeline->stages = family.pipeline;
  spec.pipeline->schedule = point.schedule->name;
  spec.pipeline->micro_batches = point.micro_batches;
  if (point.schedule->most_chunks > 1) spec.pipeline->chunks = point.chunks;
  return spec;
}

Result<SearchSpace> SearchSpace::make(const Scenario& scenario, const AdviseSpace& asked) {
  if (scenario.prices)
    return error(
        "strategies are searched for a model on a cluster: the scenario states its prices");
  Result<Net> net = build_net(scenario.model);
  if (!net) return net.errors();
  return SpaceBuilder(scenario, asked, *std::move(net)).run();
}

const std::vector<AxisOrder>& SearchSpace::placements(const Point& point) const {
  return placements_[point.family];
}

StrategySpec SearchSpace::spec(const Point& point, const AxisOrder& placement) const {
  StrategySpec spec = SpaceBuilder::spec_of(family_of(point), point);
  spec.order = placement;
  spec.name = name_of(family_of(point), point, placement);
  return spec;
}

std::string name_of(const Family& family, const Point& point, const AxisOrder& placement) {
  std::vector<std::string> parts;
  if (family.tensor > 1)
    parts.push_back(
        fmt::format("tensor{}{}", family.tensor, family.sequence_parallel ? "-sequence" : ""));
  if (point.schedule != nullptr) {
    parts.push_back(fmt::format("pipeline{}-{}", family.pipeline, point.schedule->name));
    if (point.schedule->most_chunks > point.schedule->fewest_chunks)
      parts.push_back(fmt::format("chunks{}", point.chunks));
  }
  if (family.is_subnetwork()) {
    parts.push_back(
        fmt::format("subnetwork{}-{}of{}", family.replicas, family.holders(), family.replicas));
  } else if (family.replicas > 1 || parts.empty()) {
    parts.push_back(fmt::format("data{}", family.replicas));
  }
  if (point.zero != Sharding::none)
    parts.push_back(fmt::format("zero{}", static_cast<int>(point.zero)));
  if (point.micro_batches > 1) parts.push_back(fmt::format("m{}", point.micro_batches));
  if (family.recompute != Recomputation::none)
    parts.push_back(std::string(to_string(family.recompute)));
  if (placement != kAxisOrder)
    parts.push_back(fmt::format("{}-innermost", to_string(placement.back())));
  return join(parts, "-");
}

}  // namespace rehearse::advise
