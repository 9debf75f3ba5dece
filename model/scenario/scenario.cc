#include "model/scenario/scenario.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/net/tensor.h"
#include "model/scenario/names.h"
#include "model/scenario/sections.h"
#include "model/schedule/scatter.h"

namespace rehearse {

// What was read, by what the files say.
struct PointReader::Memory {
  std::string path;
  ProfilePath profiles;

  struct KnownDevice {
    Result<Device> device;
    std::string hash;
  };
  std::map<std::string, KnownDevice> devices = {};  // by path
  std::string profile_hashes = {};

  struct KnownModel {
    ModelSpec spec;
    Net net;
    BlockCount blocks;
    // What is wrong with its slices, by their number and whether they are sequence parallel.
    std::map<std::pair<std::int64_t, bool>, Status> slices = {};

    const Status& check_slices(std::int64_t ways, bool sequence_parallel) {
      const auto known = slices.find({ways, sequence_parallel});
      if (known != slices.end()) return known->second;
      const Result<Net> slice = shard(net, ways, sequence_parallel);
      return slices
          .emplace(std::pair(ways, sequence_parallel), slice ? success() : Status(slice.errors()))
          .first->second;
    }
  };
  std::map<std::string, std::shared_ptr<KnownModel>> models = {};  // by the section's text

  // Without problems: the last tree's sections that strategies are checked against. Whoever reads
  // one tree only keeps none.
  struct Setting {
    std::shared_ptr<KnownModel> model;
    Training training;
    ClusterSpec cluster;
    std::string profile_hashes;
  };
  bool keeps_setting = false;
  std::string setting_text = {};
  std::optional<Setting> setting = std::nullopt;

  Result<Device> device(const std::string& profile) {
    auto known = devices.find(profile);
    if (known == devices.end()) {
      Result<Device> device = read_device(profile);
      std::string hash = device ? hash_text(print_device(*device)) : "";
      known = devices.emplace(profile, KnownDevice{std::move(device), std::move(hash)}).first;
    }
    profile_hashes += known->second.hash + "\n";
    return known->second.device;
  }

  // None: there are problems, and none of what is read comes to anything.
  std::shared_ptr<KnownModel> model(yaml::Map& scenario) {
    const yaml::Value* section = scenario.find("model");
    const std::string text = section == nullptr ? "" : yaml::print_flow(*section);
    if (const auto known = models.find(text); known != models.end()) return known->second;
    ModelSpec spec = yaml::read_model(scenario, path);
    if (!scenario.problems().empty()) return nullptr;
    Net net = *build_net(spec);
    const BlockCount blocks = count_blocks(net);
    constexpr std::size_t kMostKept = 16;
    if (models.size() == kMostKept) models.clear();
    return models[text] =
               std::make_shared<KnownModel>(KnownModel{std::move(spec), std::move(net), blocks});
  }

  // Whether the sections say what they said last.
  bool has_setting(const yaml::Value& root) {
    if (!keeps_setting) return false;
    std::string text;
    for (const yaml::Entry& entry : root.entries) {
      if (entry.key == "model" || entry.key == "training" || entry.key == "cluster")
        text += entry.key + ": " + yaml::print_flow(entry.value) + "\n";
    }
    if (text == setting_text && setting) return true;
    setting_text = std::move(text);
    setting.reset();
    return false;
  }
};

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
    case StrategyKey::scatter_gather:
      return places.scatter_gather;
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
  StrategyCheck(const Scenario& scenario, PointReader::Memory::KnownModel& model, SourceSpan batch,
                SourceSpan cluster, Problems& problems)
      : scenario_(scenario),
        model_(model),
        net_(model.net),
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
    const auto problem = check_pipeline(spec, *mesh, model_.blocks);
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
      report(model_.check_slices(mesh->tensor, spec.tensor->sequence_parallel),
             entry.places.tensor);
    if (scatters(spec)) report(check_shares(net_, mesh->tensor), entry.places.scatter_gather);
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
  PointReader::Memory::KnownModel& model_;
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
  const auto problem = check_pipeline(spec, *mesh, {stages, stages});
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
  Map map(value, yaml::section("simulation"), std::move(where), problems);
  yaml::read_one_of(map, "collectives", simulation.collectives, fidelities());
  yaml::read(map, "steps", simulation.steps);
  yaml::read_one_of(map, "detail", simulation.detail, yaml::kDetails);
  yaml::read_one_of(map, "replicas", simulation.replicas, yaml::kReplicas);
  map.finish();
  return simulation;
}

// A device that computes in the training's type.
void take_types(Scenario& scenario, const yaml::Value& root, Problems& problems) {
  const Status priced = set_type(scenario.cluster.device, scenario.training.dtype);
  if (!priced) problems.add(place_in(root, "training", "dtype"), priced.errors().front().message);
  for (RankException& exception : scenario.cluster.ranks) {
    const Status typed =
        exception.device ? set_type(*exception.device, scenario.training.dtype) : success();
    if (!typed) problems.add(*exception.device_where, typed.errors().front().message);
  }
}

// The strategies, one by one; what is wrong stands in the problems.
void check_strategies(Scenario& scenario, PointReader::Memory::KnownModel& model,
                      const std::vector<StrategyEntry>& entries, const yaml::Value& root,
                      Problems& problems) {
  StrategyCheck check(scenario, model, place_in(root, "training", "batch"),
                      place_in(root, "cluster", "devices_per_node"), problems);
  for (const StrategyEntry& entry : entries)
    scenario.strategies.push_back(check.run(entry));
}

// What the last tree said of them.
std::shared_ptr<PointReader::Memory::KnownModel> take_setting(Scenario& scenario, Map& map,
                                                              PointReader::Memory& memory) {
  for (const char* section : {"model", "training", "cluster"})
    map.find(section);
  const PointReader::Memory::Setting& setting = *memory.setting;
  scenario.model = setting.model->spec;
  scenario.training = setting.training;
  scenario.cluster = setting.cluster;
  memory.profile_hashes = setting.profile_hashes;
  return setting.model;
}

struct Read {
  Scenario scenario;
  Sweep sweep;
};

// What of a file is asked for; none: all that it says.
struct Wanted {
  std::optional<std::string> device, strategy;
  bool strategies = true;
};

void leave_out_others(std::vector<StrategyEntry>& entries,
                      const std::optional<std::string>& strategy) {
  const auto is_other = [&](const StrategyEntry& entry) { return entry.spec.name != strategy; };
  if (strategy && !std::all_of(entries.begin(), entries.end(), is_other))
    entries.erase(std::remove_if(entries.begin(), entries.end(), is_other), entries.end());
}

// What becomes of strategies that the file's own values make impossible. Those values are none of
// its sweep's: each point has its say.
enum class Impossible { refused, left_to_sweep };

Result<Read> read(const yaml::Value& root, const SourceSpan& where, const std::string& path,
                  const ProfilePath& profiles, const Wanted& wanted, PointReader::Memory& memory,
                  Problems problems, Impossible impossible = Impossible::refused) {
  Map map(root, yaml::section("scenario"), where, problems);
  Scenario scenario;
  scenario.path = path;
  yaml::read(map, "name", scenario.name);
  scenario.prices = yaml::read_prices(map);
  std::shared_ptr<PointReader::Memory::KnownModel> model;
  const bool is_known = !scenario.prices && memory.has_setting(root);
  if (is_known) {
    model = take_setting(scenario, map, memory);
  } else if (!scenario.prices) {
    model = memory.model(map);
    if (model != nullptr) scenario.model = model->spec;
    scenario.training = yaml::read_training(map);
    scenario.cluster = yaml::read_cluster(map, path, profiles, wanted.device);
  }
  if (const yaml::Value* simulation = map.find("simulation"))
    scenario.simulation = read_simulation(*simulation, map.where("simulation"), problems);
  std::vector<StrategyEntry> entries;
  if (wanted.strategies)
    entries = yaml::read_strategies(map, path);
  else
    map.find("strategies");
  leave_out_others(entries, wanted.strategy);
  scenario.advise = yaml::read_advise(map);
  if (scenario.prices && map.find("advise") != nullptr)
    problems.add(map.where("advise"),
                 "strategies are searched for a model on a cluster, not for stated prices");
  Sweep sweep = yaml::read_sweep(map, root);
  map.finish();
  if (!problems.empty()) return problems.take();
  if (model != nullptr) {
    if (!is_known) take_types(scenario, root, problems);
    if (!is_known && problems.empty() && memory.keeps_setting)
      memory.setting = {model, scenario.training, scenario.cluster, memory.profile_hashes};
    check_strategies(scenario, *model, entries, root, problems);
  } else {
    for (const StrategyEntry& entry : entries)
      scenario.strategies.push_back(check_stated(*scenario.prices, entry, problems));
  }
  const bool is_left = impossible == Impossible::left_to_sweep && !sweep.axes.empty();
  if (!problems.empty() && !is_left) return problems.take();
  return Read{std::move(scenario), std::move(sweep)};
}

Result<SweptScenario> read(const std::string& text, const std::string& path,
                           const ProfilePath& profiles, const Wanted& wanted = {},
                           Impossible impossible = Impossible::refused) {
  const auto source = std::make_shared<SourceText>(path, text);
  Result<yaml::Document> document = yaml::parse(source);
  if (!document) return document.errors();
  Problems problems;
  problems.add(std::move(document->duplicates));
  PointReader::Memory memory{path, profiles};
  Result<Read> file = read(document->root, {source, 1, 1, 0}, path, profiles, wanted, memory,
                           std::move(problems), impossible);
  if (!file) return file.errors();
  return SweptScenario{std::move(file->scenario), std::move(document->root),
                       std::move(file->sweep)};
}

// The file at its sweep's first point, if that can be read.
std::optional<SweptScenario> read_first_point(const std::string& text, const std::string& path,
                                              const ProfilePath& profiles, Impossible impossible) {
  const auto source = std::make_shared<SourceText>(path, text);
  Result<yaml::Document> document = yaml::parse(source);
  if (!document || !document->duplicates.empty()) return std::nullopt;
  const SourceSpan where{source, 1, 1, 0};
  const std::optional<yaml::Value> first = yaml::with_first_values(document->root, where);
  if (!first) return std::nullopt;
  PointReader::Memory memory{path, profiles};
  Result<Read> point = read(*first, where, path, profiles, {}, memory, {}, impossible);
  if (!point) return std::nullopt;
  return SweptScenario{std::move(point->scenario), std::move(document->root),
                       std::move(point->sweep)};
}

// Of a file whose own values are wrong, those of its sweep's first point: its own are none of the
// sweep's. Where neither goes with all strategies, other points may.
Result<SweptScenario> read_swept(const std::string& text, const std::string& path,
                                 const ProfilePath& profiles) {
  Result<SweptScenario> file = read(text, path, profiles);
  if (file) return file;
  if (auto first = read_first_point(text, path, profiles, Impossible::refused))
    return *std::move(first);
  Result<SweptScenario> left = read(text, path, profiles, {}, Impossible::left_to_sweep);
  if (left) return left;
  if (auto first = read_first_point(text, path, profiles, Impossible::left_to_sweep))
    return *std::move(first);
  return file;
}

Result<Scenario> without_sweep(Result<SweptScenario> file) {
  if (!file) return file.errors();
  return std::move(file->scenario);
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
                                const ProfilePath& profiles,
                                const std::optional<std::string>& strategy) {
  return without_sweep(read(text, path, profiles, {{}, strategy}));
}

Result<Scenario> read_scenario(const std::string& path, const ProfilePath& profiles,
                               const std::optional<std::string>& device,
                               const std::optional<std::string>& strategy) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  return without_sweep(read(*text, path, profiles, {device, strategy}));
}

Result<Scenario> read_setting(const std::string& path, const ProfilePath& profiles,
                              const std::optional<std::string>& device) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  return without_sweep(read(*text, path, profiles, {device, {}, false}));
}

Result<SweptScenario> read_swept_scenario(const std::string& path, const ProfilePath& profiles) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  return read_swept(*text, path, profiles);
}

Result<SweptScenario> parse_swept_scenario(const std::string& text, const std::string& path,
                                           const ProfilePath& profiles) {
  return read_swept(text, path, profiles);
}

PointReader::PointReader(std::string path, ProfilePath profiles)
    : memory_(std::make_unique<Memory>(Memory{std::move(path), std::move(profiles)})) {
  memory_->keeps_setting = true;
  memory_->profiles.read = [memory = memory_.get()](const std::string& profile) {
    return memory->device(profile);
  };
}

PointReader::PointReader(PointReader&&) noexcept = default;
PointReader::~PointReader() = default;

const std::string& PointReader::profile_hashes() const {
  return memory_->profile_hashes;
}

std::string PointReader::setting() const {
  return memory_->path + "\n" + memory_->profile_hashes + memory_->setting_text;
}

Result<Scenario> PointReader::read(const yaml::Value& root) {
  memory_->profile_hashes.clear();
  Result<Read> point =
      rehearse::read(root, root.where, memory_->path, memory_->profiles, {}, *memory_, {});
  if (!point) return point.errors();
  return std::move(point->scenario);
}

}  // namespace rehearse
