#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>

#include "model/base/text.h"
#include "model/scenario/names.h"
#include "model/scenario/sections.h"
#include "model/schedule/pipeline.h"

namespace rehearse::yaml {
namespace {

// A number of ranks, or auto.
std::optional<AxisSize> read_axis(const Value& value, Problems& problems) {
  if (value.kind == Kind::scalar && value.text == "auto") return AxisSize{};
  if (value.kind != Kind::scalar)
    return expected("a number of ranks or 'auto'", value, problems), std::nullopt;
  const auto number = read_count(value, problems, {1, kMostDevices});
  return number ? std::optional(AxisSize(*number)) : std::nullopt;
}

std::optional<Fraction> read_fraction(const Value& value, Problems& problems) {
  const auto fraction = value.kind == Kind::scalar ? parse_fraction(value.text) : std::nullopt;
  if (fraction && fraction->denominator <= kMostDevices) return fraction;
  const auto number = value.kind == Kind::scalar ? parse_number(value.text) : std::nullopt;
  if (fraction || (number && *number > 0 && *number <= 1)) {
    expected(
        fmt::format("a share of up to {} workers exactly, such as 1/3 for 0.333...", kMostDevices),
        value, problems);
  } else {
    expected("a fraction above 0 and up to 1, such as 0.5 or 2/3", value, problems);
  }
  return std::nullopt;
}

// A schedule of PyTorch's, as a file.
void read_table(const Value& value, const std::string& scenario_path, PipelineSpec& spec,
                Problems& problems) {
  const std::string path =
      (std::filesystem::path(scenario_path).parent_path() / value.text).string();
  const Result<std::string> text = read_text_file(path);
  if (!text) return problems.add(value.where, text.errors().front().message);
  Result<ScheduleTable> table = parse_schedule_csv(*text, path);
  if (!table) return problems.add(table.errors());
  const Result<PipelineShape> shape = shape_of(*table);
  if (!shape) return problems.add(shape.errors());
  spec.table = std::move(*table);
  spec.table_shape = *shape;
}

bool is_schedule_file(std::string_view name) {
  return name.ends_with(".csv");
}

// Schedules as their papers call them, where a name of ours with its settings gives them.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"zb-1p", "'schedule: zb-auto', with 'live' as many as there are stages (its default)"},
    {"zb-2p", "'schedule: zb-auto', with 'live' twice as many as there are stages"},
};

std::optional<std::string> read_schedule(const Value& value, Problems& problems) {
  const auto name = read_text(value, problems);
  if (!name || is_schedule_file(*name) || find_pipeline_schedule(*name) != nullptr) return name;
  for (const auto& [other, ours] : kOtherNames) {
    if (other != *name) continue;
    problems.add(value.where, fmt::format("'{}' is {}", other, ours));
    return std::nullopt;
  }
  std::vector<std::string> names;
  for (const PipelineSchedule& row : pipeline_schedules())
    names.emplace_back(row.name);
  unknown_name("pipeline schedule", value, names, problems);
  return std::nullopt;
}

// A number of ranks, or a map with the sharding.
void read_data(Map& strategy, StrategySpec& spec) {
  const Value* data = strategy.find("data");
  if (data == nullptr) return;
  if (data->kind != Kind::map) return read(strategy, "data", spec.data, read_axis);
  Map map(*data, section("data"), strategy.where("data"), strategy.problems());
  read_needed(map, "ranks", spec.data, read_axis);
  std::int64_t zero = 0;
  read(map, "zero", zero);
  spec.sharding = static_cast<Sharding>(zero);
  read(map, "prefetch", spec.prefetch);
  if (map.find("prefetch") != nullptr && spec.sharding != Sharding::parameters)
    map.problems().add(map.where("prefetch"),
                       "'prefetch' is for weights that are gathered block by block: zero: 3");
  map.finish();
}

// A number of ranks, or a map.
void read_tensor(Map& strategy, StrategyEntry& entry) {
  const Value* tensor = strategy.find("tensor");
  if (tensor == nullptr) return;
  entry.places.tensor = strategy.where("tensor");
  entry.spec.tensor.emplace();
  if (tensor->kind != Kind::map)
    return read(strategy, "tensor", entry.spec.tensor->ranks, read_axis);
  Map map(*tensor, section("tensor"), strategy.where("tensor"), strategy.problems());
  read_needed(map, "ranks", entry.spec.tensor->ranks, read_axis);
  read(map, "sequence_parallel", entry.spec.tensor->sequence_parallel);
  read(map, "overlap", entry.spec.tensor->overlap);
  map.finish();
}

// The axes from the outermost to the innermost; those not named stay outside, in their own order.
std::optional<AxisOrder> read_order(const Value& value, Problems& problems) {
  if (value.kind != Kind::list)
    return expected("a list of axes, the innermost last", value, problems), std::nullopt;
  std::vector<Axis> named;
  for (const Value& item : value.items) {
    const auto axis = read_enum(item, "axis", kAxisOrder, problems);
    if (!axis) return std::nullopt;
    if (std::find(named.begin(), named.end(), *axis) != named.end())
      return problems.add(item.where, "this axis stands here twice"), std::nullopt;
    named.push_back(*axis);
  }
  std::vector<Axis> order;
  for (const Axis axis : kAxisOrder) {
    if (std::find(named.begin(), named.end(), axis) == named.end()) order.push_back(axis);
  }
  order.insert(order.end(), named.begin(), named.end());
  AxisOrder result = kAxisOrder;
  std::copy(order.begin(), order.end(), result.begin());
  return result;
}

// Keys that a schedule does not take.
void refuse_unused(Map& map, const PipelineSpec& spec, Problems& problems) {
  const auto refuse = [&](std::string_view key, std::string_view why) {
    if (map.find(key) != nullptr) problems.add(map.where(key), fmt::format("'{}' {}", key, why));
  };
  if (is_schedule_file(spec.schedule)) {
    for (const std::string_view key : {"chunks", "live", "kept_after_input"})
      refuse(key, "says what the schedule file says already");
    if (spec.table && spec.table->has_messages)
      refuse(
          "exchange",
          "says where messages are exchanged, which the schedule file says already: it has them");
    return;
  }
  const PipelineSchedule* schedule = find_pipeline_schedule(spec.schedule);
  if (schedule == nullptr || schedule->takes_live_limit) return;
  for (const std::string_view key : {"live", "kept_after_input"})
    refuse(key,
           fmt::format("is for schedules that place passes under a limit, such as zb-auto: how "
                       "many activations {} keeps follows from its stages",
                       schedule->name));
}

PipelineSpec read_pipeline(const Value& value, SourceSpan where, const std::string& scenario_path,
                           Problems& problems, StrategyPlaces& places) {
  PipelineSpec spec;
  Map map(value, section("pipeline"), std::move(where), problems);
  read_needed(map, "stages", spec.stages, read_axis);
  read(map, "schedule", spec.schedule, read_schedule);
  const Value* schedule_name = map.find("schedule");
  if (schedule_name != nullptr && is_schedule_file(spec.schedule))
    read_table(*schedule_name, scenario_path, spec, problems);
  read(map, "micro_batches", spec.micro_batches);
  read(map, "chunks", spec.chunks);
  read_one_of(map, "cut", spec.cut, stage_rules());
  read_one_of(map, "exchange", spec.exchange, stage_exchanges());
  read(map, "scatter_gather", spec.scatter_gather);
  read(map, "live", spec.live);
  read(map, "kept_after_input", spec.kept_after_input);
  refuse_unused(map, spec, problems);
  places.chunks = map.where("chunks");
  places.live = map.where("live");
  places.schedule = map.where("schedule");
  places.scatter_gather = map.where("scatter_gather");
  places.stages = map.where("stages");
  places.micro_batches = map.where("micro_batches");
  map.finish();
  return spec;
}

// One for all workers, or a list with one for each.
void read_coverage(const Value& value, SubnetworkSpec& spec, Problems& problems) {
  if (value.kind != Kind::list) {
    if (const auto fraction = read_fraction(value, problems)) spec.coverage = *fraction;
    return;
  }
  for (const Value& item : value.items) {
    const auto fraction = read_fraction(item, problems);
    if (!fraction) return;
    spec.coverages.push_back(*fraction);
  }
  if (spec.coverages.empty()) expected("a coverage for every worker", value, problems);
}

std::optional<std::vector<std::string>> read_names(const Value& value, Problems& problems) {
  std::vector<std::string> names;
  if (value.kind != Kind::list)
    return expected("a list of blocks, such as [block1]", value, problems), std::nullopt;
  for (const Value& item : value.items) {
    const auto name = read_name(item, problems);
    if (!name) return std::nullopt;
    names.push_back(*name);
  }
  return names;
}

std::optional<std::vector<WidthAxis>> read_width_axes(const Value& value, Problems& problems) {
  if (value.kind != Kind::list || value.items.empty())
    return expected("a list of width axes, such as [hidden, heads]", value, problems), std::nullopt;
  std::vector<WidthAxis> axes;
  for (const Value& item : value.items) {
    const auto axis = read_enum(item, "width axis", kWidthAxes, problems);
    if (!axis) return std::nullopt;
    axes.push_back(*axis);
  }
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  return axes;
}

// A number of holders, or coverages.
void read_holders(Map& map, SubnetworkSpec& spec, StrategyPlaces& places) {
  Problems& problems = map.problems();
  const Value* holders = map.find("holders");
  const Value* coverage = holders == nullptr ? map.need("coverage") : map.find("coverage");
  places.coverage = map.where(holders != nullptr ? "holders" : "coverage");
  if (holders != nullptr && coverage != nullptr) {
    problems.add(map.where("holders"), "'holders' and 'coverage' say the same: give one of them",
                 {{map.where("coverage"), "'coverage' is here"}});
  }
  if (holders != nullptr) {
    if (const auto count = read_count(*holders, problems, Range{})) spec.holders = *count;
  } else if (coverage != nullptr) {
    read_coverage(*coverage, spec, problems);
  }
}

// Who holds which units, and of how many of each width.
void read_assignment(Map& map, SubnetworkSpec& spec) {
  read_one_of(map, "assignment", spec.assignment, kAssignments);
  read(map, "units", spec.width_units);
  // HeteroFL scales activations in training, and tests the whole network as it is.
  if (spec.assignment == AssignmentKind::nested) spec.scaling = Scaling::in_training;
}

// What only one of the ways of assigning units takes.
void refuse_of_assignment(Map& map, const SubnetworkSpec& spec, Problems& problems) {
  const auto refuse = [&](std::string_view key, std::string why) {
    std::vector<Note> notes;
    if (map.find("assignment") != nullptr)
      notes.push_back({map.where("assignment"), "the assignment is here"});
    problems.add(map.where(key), std::move(why), std::move(notes));
  };
  if (spec.assignment == AssignmentKind::balanced) {
    if (map.find("units") != nullptr)
      refuse("units",
             "a balanced assignment has as many units of every width as workers: 'units' is for "
             "'assignment: nested', 'random' and 'rolling'");
    return;
  }
  if (map.find("holders") != nullptr)
    refuse("holders",
           fmt::format("with 'assignment: {}' units have different numbers of holders: give each "
                       "worker's share of the units, 'coverage'",
                       to_string(spec.assignment)));
  if (map.find("balance") != nullptr)
    refuse("balance",
           fmt::format("what a worker has with 'assignment: {}' follows from its coverage: nothing "
                       "is levelled",
                       to_string(spec.assignment)));
  if (spec.assignment == AssignmentKind::nested && map.find("redraw") != nullptr)
    refuse("redraw",
           "with 'assignment: nested' a worker always holds the first units: there is nothing to "
           "draw anew, as there is with 'random' and 'rolling'");
  if (spec.construction == Construction::block && map.find("units") != nullptr)
    refuse("units", "'units' says into how many each width is cut: 'construction: width'");
}

// What only one of the constructions can do.
void refuse_of_construction(Map& map, const SubnetworkSpec& spec, Problems& problems) {
  const bool by_width = spec.construction == Construction::width;
  if (!by_width && map.find("axes") != nullptr)
    problems.add(map.where("axes"), "'axes' says which widths are cut: 'construction: width'");
  if (by_width && !spec.coverages.empty() && spec.assignment == AssignmentKind::balanced)
    problems.add(map.where("coverage"),
                 "made width-wise, all workers hold the same share of every width: coverages by "
                 "worker are for 'construction: block', or for 'assignment: nested', 'random' and "
                 "'rolling'");
}

SubnetworkSpec read_subnetwork(const Value& value, SourceSpan where, Problems& problems,
                               StrategyPlaces& places) {
  SubnetworkSpec spec;
  Map map(value, section("subnetwork"), std::move(where), problems);
  read_needed(map, "workers", spec.workers, read_axis);
  places.construction = map.where("construction");
  read_one_of(map, "construction", spec.construction, kConstructions);
  read_holders(map, spec, places);
  read_assignment(map, spec);
  read_one_of(map, "masking", spec.masking, kMaskings);
  if (spec.masking == Masking::backward && map.find("scaling") != nullptr)
    problems.add(map.where("scaling"),
                 "under backward masking the whole network runs: no branch is scaled",
                 {{map.where("masking"), "the masking is here"}});
  read_one_of(map, "scaling", spec.scaling, kScalings);
  read_one_of(map, "balance", spec.balance, kBalances);
  read_one_of(map, "averaging", spec.averaging, kAveragings);
  read(map, "always_held", spec.always_held, read_names);
  read(map, "axes", spec.axes, read_width_axes);
  read(map, "redraw", spec.redraw);
  places.redraw = map.where("redraw");
  if (!spec.redraw && map.find("moments") != nullptr)
    problems.add(map.where("moments"),
                 "'moments' says what becomes of them when masks are redrawn: 'redraw'");
  read_one_of(map, "moments", spec.moments, kMoments);
  read(map, "step_multiplier", spec.step_multiplier);
  refuse_of_construction(map, spec, problems);
  refuse_of_assignment(map, spec, problems);
  places.masking = map.where("masking");
  places.workers = map.where("workers");
  places.always_held = map.where("always_held");
  places.averaging = map.where("averaging");
  map.finish();
  return spec;
}

// A schedule file gathers weights only of a strategy that shards them.
void refuse_unsaid_sharding(const StrategyEntry& entry, Problems& problems) {
  if (!entry.spec.pipeline || !entry.spec.pipeline->table) return;
  if (entry.spec.sharding == Sharding::parameters) return;
  for (const auto& rank : entry.spec.pipeline->table->ranks) {
    for (const Action& action : rank) {
      if (action.kind != ActionKind::unshard && action.kind != ActionKind::reshard) continue;
      return problems.add(entry.places.schedule,
                          fmt::format("the schedule file has {}: weights are gathered where "
                                      "'data' has 'zero: 3'",
                                      to_string(action)));
    }
  }
}

// Micro-batches without a pipeline.
void read_accumulation(Map& strategy, StrategyEntry& entry) {
  if (strategy.find("micro_batches") == nullptr) return;
  const SourceSpan where = strategy.where("micro_batches");
  if (entry.spec.pipeline) {
    strategy.problems().add(where, "with a pipeline, 'micro_batches' stands in it",
                            {{strategy.where("pipeline"), "the pipeline is here"}});
    return;
  }
  entry.places.micro_batches = where;
  read(strategy, "micro_batches", entry.spec.micro_batches);
}

// How many steps replicas train each for itself, and how they come together then.
void read_local_steps(Map& strategy, StrategyEntry& entry) {
  StrategySpec& spec = entry.spec;
  read(strategy, "local_steps", spec.local_steps);
  entry.places.local_steps = strategy.where("local_steps");
  if (spec.local_steps > 1 && strategy.find("overlap") != nullptr)
    strategy.problems().add(strategy.where("overlap"),
                            "with local steps nothing is exchanged while backward goes on",
                            {{entry.places.local_steps, "the local steps are here"}});
  const Value* outer = strategy.find("outer");
  if (outer == nullptr) return;
  entry.places.outer = strategy.where("outer");
  spec.outer.emplace();
  Map map(*outer, section("outer"), entry.places.outer, strategy.problems());
  read(map, "lr", spec.outer->lr);
  read(map, "momentum", spec.outer->momentum);
  map.finish();
}

void read_stochastic_depth(Map& strategy, StrategyEntry& entry) {
  const Value* depth = strategy.find("stochastic_depth");
  if (depth == nullptr) return;
  entry.places.stochastic_depth = strategy.where("stochastic_depth");
  entry.spec.stochastic_depth.emplace();
  Map map(*depth, section("stochastic_depth"), entry.places.stochastic_depth, strategy.problems());
  read(map, "keep", entry.spec.stochastic_depth->keep);
  map.finish();
}

// The name of an algorithm, or auto.
void read_collectives(Map& strategy, StrategyEntry& entry) {
  entry.places.collectives = strategy.where("collectives");
  const Value* value = strategy.find("collectives");
  const auto name = value == nullptr ? std::nullopt : read_text(*value, strategy.problems());
  if (!name) return;
  std::vector<std::string> names = {"auto"};
  for (const CollectiveAlgorithmRow& row : collective_algorithms()) {
    if (row.name == *name) entry.spec.collectives = row.algorithm;
    names.emplace_back(row.name);
  }
  if (*name == "auto") entry.spec.collectives.reset();
  if (std::find(names.begin(), names.end(), *name) == names.end())
    unknown_name("collective algorithm", *value, names, strategy.problems());
}

StrategyEntry read_strategy(const Value& value, const std::string& scenario_path,
                            Problems& problems) {
  StrategyEntry entry;
  Map map(value, section("strategy"), value.where, problems);
  read(map, "name", entry.spec.name);
  const Value* name = map.find("name");
  entry.places.entry = name == nullptr ? value.where : name->where;
  read_data(map, entry.spec);
  read_tensor(map, entry);
  read(map, "overlap", entry.spec.overlap);
  read_one_of(map, "recompute", entry.spec.recomputation, kRecomputations);
  read(map, "order", entry.spec.order, read_order);
  read(map, "bucket", entry.spec.bucket);
  read_collectives(map, entry);
  entry.places.data = map.where("data");
  entry.places.micro_batches = entry.places.stages = entry.places.workers = entry.places.coverage =
      entry.places.construction = entry.places.always_held = entry.places.masking =
          entry.places.averaging = entry.places.entry;
  if (const Value* pipeline = map.find("pipeline")) {
    entry.spec.pipeline =
        read_pipeline(*pipeline, map.where("pipeline"), scenario_path, problems, entry.places);
  }
  read_local_steps(map, entry);
  read_stochastic_depth(map, entry);
  refuse_unsaid_sharding(entry, problems);
  read_accumulation(map, entry);
  if (const Value* subnetwork = map.find("subnetwork")) {
    entry.spec.subnetwork =
        read_subnetwork(*subnetwork, map.where("subnetwork"), problems, entry.places);
  }
  const bool masks_backward =
      entry.spec.subnetwork && entry.spec.subnetwork->masking == Masking::backward;
  if (masks_backward && entry.spec.sharding == Sharding::parameters)
    problems.add(entry.places.data,
                 "under backward masking everybody reads all weights: they cannot be sharded "
                 "('zero: 3'); 'zero: 2' shards gradients and optimizer state",
                 {{map.where("subnetwork"), "the subnetworks are here"}});
  if (entry.spec.subnetwork && entry.spec.subnetwork->redraw &&
      entry.spec.sharding != Sharding::none)
    problems.add(entry.places.redraw,
                 "masks are not redrawn where holders share out their state ('zero')",
                 {{entry.places.data, "shared out here"}});
  if (entry.spec.bucket <= Bytes{})
    problems.add(map.where("bucket"), "a bucket holds one byte or more");
  map.finish();
  return entry;
}

}  // namespace

std::vector<StrategyEntry> read_strategies(Map& scenario, const std::string& scenario_path) {
  std::vector<StrategyEntry> entries;
  const Value* list = scenario.need("strategies");
  if (list == nullptr) return entries;
  Problems& problems = scenario.problems();
  if (list->kind != Kind::list || list->items.empty()) {
    problems.add(list->kind == Kind::empty ? scenario.where("strategies") : list->where,
                 fmt::format("'strategies' expects a list with one strategy or more, got {}",
                             list->kind == Kind::list ? "an empty one" : describe(list->kind)));
    return entries;
  }
  std::map<std::string, SourceSpan> names;
  for (const Value& item : list->items) {
    entries.push_back(read_strategy(item, scenario_path, problems));
    const StrategyEntry& entry = entries.back();
    const auto [known, is_new] = names.try_emplace(entry.spec.name, entry.places.entry);
    if (is_new || entry.spec.name.empty()) continue;
    problems.add(entry.places.entry, fmt::format("there are two strategies '{}'", entry.spec.name),
                 {{known->second, "the first is here"}});
  }
  return entries;
}

}  // namespace rehearse::yaml
