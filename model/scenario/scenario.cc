#include "model/scenario/scenario.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "model/base/check.h"
#include "model/net/tensor.h"
#include "model/scenario/sections.h"

namespace rehearse {
namespace {

using yaml::Map;
using yaml::Problems;
using yaml::StrategyEntry;

SourceSpan place_of(StrategyKey key, const yaml::StrategyPlaces& places) {
  switch (key) {
    case StrategyKey::stages:
      return places.stages;
    case StrategyKey::schedule:
      return places.schedule;
    case StrategyKey::chunks:
      return places.chunks;
    case StrategyKey::micro_batches:
      return places.micro_batches;
    case StrategyKey::live:
      return places.live;
    case StrategyKey::tensor:
      return places.tensor;
    case StrategyKey::data:
      return places.data;
    case StrategyKey::masking:
      return places.masking;
    case StrategyKey::averaging:
      return places.averaging;
    case StrategyKey::redraw:
      return places.redraw;
    case StrategyKey::local_steps:
      return places.local_steps;
    case StrategyKey::outer:
      return places.outer;
    case StrategyKey::stochastic_depth:
      return places.stochastic_depth;
    case StrategyKey::collectives:
      return places.collectives;
  }
  REHEARSE_UNREACHABLE("strategy key");
}

// What the numbers of a strategy have to do with the model, the batch and the cluster.
class StrategyCheck {
 public:
  StrategyCheck(const Scenario& scenario, const Net& net, SourceSpan batch, SourceSpan cluster,
                Problems& problems)
      : scenario_(scenario),
        net_(net),
        batch_(std::move(batch)),
        cluster_(std::move(cluster)),
        problems_(problems) {}

  ScenarioStrategy run(const StrategyEntry& entry) {
    const StrategySpec& spec = entry.spec;
    ScenarioStrategy strategy{spec, {}, entry.places.entry};
    const std::int64_t devices = scenario_.cluster.nodes * scenario_.cluster.devices_per_node;
    const Result<Mesh> mesh = resolve_mesh(spec, devices);
    if (!report(mesh, entry.places.entry,
                {{cluster_, fmt::format("the cluster has {} devices", devices)}}))
      return strategy;
    strategy.mesh = *mesh;
    const auto problem = check_pipeline(spec, *mesh, net_.blocks.size());
    if (problem) problems_.add(place_of(problem->key, entry.places), problem->message);
    const auto inexact = scenario_.training.reduction == Reduction::exact
                             ? check_exact(spec, *mesh, net_)
                             : std::nullopt;
    if (inexact) problems_.add(place_of(inexact->key, entry.places), inexact->message);
    const auto not_local = check_local_steps(spec, *mesh, scenario_.training, net_);
    if (not_local) problems_.add(place_of(not_local->key, entry.places), not_local->message);
    const auto not_deep = check_depth(spec, *mesh, scenario_.training, net_);
    if (not_deep) problems_.add(place_of(not_deep->key, entry.places), not_deep->message);
    if (mesh->tensor > 1)
      report(shard(net_, mesh->tensor, spec.tensor->sequence_parallel), entry.places.tensor);
    report(micro_batch_samples(spec, *mesh, scenario_.training.batch), entry.places.micro_batches,
           {{batch_, "the batch is here"}});
    if (!spec.subnetwork) return strategy;
    check_subnetwork(entry, *mesh);
    return strategy;
  }

 private:
  void check_subnetwork(const StrategyEntry& entry, const Mesh& mesh) {
    const StrategySpec& spec = entry.spec;
    const Result<bool> masked = masks(*spec.subnetwork, mesh.workers);
    if (!report(masked, entry.places.coverage)) return;
    if (spec.subnetwork->redraw && !*masked)
      problems_.add(entry.places.redraw, "every worker holds everything: there is nothing to draw");
    if (!report(always_held_blocks(*spec.subnetwork, net_), entry.places.always_held)) return;
    const Result<UnitRule> rule = unit_rule(spec, mesh, net_);
    const bool by_width = spec.subnetwork->construction == Construction::width;
    if (!report(rule, by_width ? entry.places.construction : entry.places.always_held)) return;
    const Net net = *cut_units(net_, *rule);
    const bool averages = spec.subnetwork->averaging == Averaging::all &&
                          spec.subnetwork->assignment == AssignmentKind::balanced &&
                          *holders_of(*spec.subnetwork, mesh.workers) == 1;
    report(check_units(spec, mesh, net), averages ? entry.places.averaging : entry.places.coverage);
    const auto undealt =
        *masked ? check_dealing(*spec.subnetwork, mesh.workers, net) : std::nullopt;
    if (undealt) problems_.add(place_of(undealt->key, entry.places), undealt->message);
  }

  template <class T>
  bool report(const Result<T>& result, const SourceSpan& where, std::vector<Note> notes = {}) {
    if (result) return true;
    problems_.add(where, result.errors().front().message, std::move(notes));
    return false;
  }

  const Scenario& scenario_;
  const Net& net_;
  SourceSpan batch_, cluster_;
  Problems& problems_;
};

// What a strategy needs to be played by stated prices: a pipeline, and nothing beside it.
ScenarioStrategy check_stated(const StatedPrices& prices, const StrategyEntry& entry,
                              Problems& problems) {
  const StrategySpec& spec = entry.spec;
  ScenarioStrategy strategy{spec, {}, entry.places.entry};
  const auto refuse = [&](const SourceSpan& where, std::string message) {
    problems.add(where, std::move(message));
    return strategy;
  };
  const bool alone = spec.pipeline && spec.data == AxisSize(1) && !spec.tensor &&
                     !spec.subnetwork && spec.recomputation == Recomputation::none &&
                     spec.local_steps == 1 && !spec.outer && !spec.stochastic_depth;
  if (!alone)
    return refuse(entry.places.entry,
                  "stated prices are those of a pipeline's passes and messages: a strategy is a "
                  "pipeline and nothing else");
  if (!spec.pipeline->stages)
    return refuse(entry.places.stages, "with stated prices there are no devices to fill");
  const Result<Mesh> mesh = resolve_mesh(spec, *spec.pipeline->stages);
  if (!mesh) return refuse(entry.places.stages, mesh.errors().front().message);
  strategy.mesh = *mesh;
  const auto stages = static_cast<std::size_t>(pipeline_shape(spec, *mesh).stages());
  const auto problem = check_pipeline(spec, *mesh, stages);
  if (problem) return refuse(place_of(problem->key, entry.places), problem->message);
  for (const auto* times : {&prices.forward, &prices.backward_input, &prices.backward_weight}) {
    if (times->size() == 1 || static_cast<std::int64_t>(times->size()) == mesh->pipeline) continue;
    return refuse(entry.places.stages, fmt::format("{} stages, but the prices are for {}",
                                                   mesh->pipeline, times->size()));
  }
  return strategy;
}

SourceSpan place_in(const yaml::Value& root, const std::string& section, const std::string& key) {
  for (const yaml::Entry& entry : root.entries) {
    if (entry.key != section) continue;
    for (const yaml::Entry& inner : entry.value.entries) {
      if (inner.key == key) return inner.key_where;
    }
    return entry.key_where;
  }
  return root.where;
}

Simulation read_simulation(const yaml::Value& value, SourceSpan where, Problems& problems) {
  Simulation simulation;
  Map map(value, "simulation", std::move(where), problems);
  yaml::read(map, "collectives", simulation.collectives,
             [](const yaml::Value& name, Problems& own) {
               return yaml::read_enum(name, "way to play collectives", fidelities(), own);
             });
  constexpr std::int64_t kWarmUpAndOne = 3, kMostSteps = 1'000'000;
  yaml::read(map, "steps", simulation.steps, yaml::read_count,
             yaml::Range{kWarmUpAndOne, kMostSteps});
  yaml::read(map, "detail", simulation.detail, [](const yaml::Value& name, Problems& own) {
    return yaml::read_enum<Detail>(name, "detail", {Detail::block, Detail::segment}, own);
  });
  yaml::read(map, "replicas", simulation.replicas, [](const yaml::Value& name, Problems& own) {
    return yaml::read_enum<Replicas>(name, "choice of replicas", {Replicas::all, Replicas::first},
                                     own);
  });
  map.finish();
  return simulation;
}

Result<Scenario> read(const std::string& text, const std::string& path, const ProfilePath& profiles,
                      const std::optional<std::string>& device) {
  const auto source = std::make_shared<SourceText>(path, text);
  Result<yaml::Document> document = yaml::parse(source);
  if (!document) return document.errors();
  Problems problems;
  problems.add(std::move(document->duplicates));
  const yaml::Value& root = document->root;
  Map map(root, "scenario", {source, 1, 1, 0}, problems);
  Scenario scenario;
  scenario.path = path;
  yaml::read_needed(map, "name", scenario.name, yaml::read_text);
  scenario.prices = yaml::read_prices(map);
  if (!scenario.prices) {
    scenario.model = yaml::read_model(map, path);
    scenario.training = yaml::read_training(map);
    scenario.cluster = yaml::read_cluster(map, path, profiles, device);
  }
  if (const yaml::Value* simulation = map.find("simulation"))
    scenario.simulation = read_simulation(*simulation, map.where("simulation"), problems);
  const std::vector<StrategyEntry> entries = yaml::read_strategies(map, path);
  map.finish();
  if (!problems.empty()) return problems.take();
  if (scenario.prices) {
    for (const StrategyEntry& entry : entries)
      scenario.strategies.push_back(check_stated(*scenario.prices, entry, problems));
    if (!problems.empty()) return problems.take();
    return scenario;
  }
  const Status priced = set_type(scenario.cluster.device, scenario.training.dtype);
  if (!priced) problems.add(place_in(root, "training", "dtype"), priced.errors().front().message);
  for (RankException& exception : scenario.cluster.ranks) {
    const Status typed =
        exception.device ? set_type(*exception.device, scenario.training.dtype) : success();
    if (!typed) problems.add(*exception.device_where, typed.errors().front().message);
  }
  const Net net = *build_net(scenario.model);
  StrategyCheck check(scenario, net, place_in(root, "training", "batch"),
                      place_in(root, "cluster", "devices_per_node"), problems);
  for (const StrategyEntry& entry : entries)
    scenario.strategies.push_back(check.run(entry));
  if (!problems.empty()) return problems.take();
  return scenario;
}

}  // namespace

Result<std::string> read_text_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // Copying nothing counts as a failure of the copy: an empty file has to be asked for.
  const bool is_empty = file && file.peek() == std::ifstream::traits_type::eof() && !file.bad();
  if (is_empty || (file && text << file.rdbuf())) return text.str();
  return error(fmt::format("cannot read '{}': {}", path, std::strerror(errno)));
}

Result<Scenario> parse_scenario(const std::string& text, const std::string& path,
                                const ProfilePath& profiles) {
  return read(text, path, profiles, std::nullopt);
}

Result<Scenario> read_scenario(const std::string& path, const ProfilePath& profiles,
                               const std::optional<std::string>& device) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  return read(*text, path, profiles, device);
}

}  // namespace rehearse
