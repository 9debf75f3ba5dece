#include <filesystem>

#include "model/scenario/import_config.h"
#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

std::optional<std::vector<std::int64_t>> read_counts(const Value& list, Problems& problems) {
  std::vector<std::int64_t> counts;
  for (const Value& item : list.items) {
    const auto count = read_count(item, problems, Range{});
    if (!count) return std::nullopt;
    counts.push_back(*count);
  }
  return counts;
}

template <class Enum>
std::optional<std::vector<std::int64_t>> read_name_of(const Value& given, std::string_view what,
                                                      const std::vector<Enum>& all,
                                                      Problems& problems) {
  const auto name = read_enum(given, what, all, problems);
  if (!name) return std::nullopt;
  return std::vector{static_cast<std::int64_t>(*name)};
}

// As a word ('28x28x1'); several counts as a list, too.
std::optional<std::vector<std::int64_t>> read_field_value(FieldKind kind, const Value& given,
                                                          Problems& problems) {
  const bool is_list = given.kind == Kind::list && !given.items.empty();
  if (kind == FieldKind::counts && is_list) return read_counts(given, problems);
  if (kind == FieldKind::loss) return read_name_of(given, "loss", losses(), problems);
  if (kind == FieldKind::activation)
    return read_name_of(given, "activation", activations(), problems);
  if (kind == FieldKind::kernels)
    return read_name_of(given, "kernels", kernels_there_are(), problems);
  const bool is_word = given.kind == Kind::scalar && !given.quoted;
  auto value = is_word ? parse_field(kind, given.text) : std::nullopt;
  if (!value) expected(describe(kind), given, problems);
  return value;
}

void read_field(const ModelField& field, Map& model, ModelSpec& spec) {
  Problems& problems = model.problems();
  const bool is_needed = field.preset.empty() && spec.fields.count(std::string(field.name)) == 0;
  const Value* given = is_needed ? model.need(field.name) : model.find(field.name);
  if (given == nullptr) return;
  const auto value = read_field_value(field.kind, *given, problems);
  if (!value) return;
  const Status good = check_field(field, *value);
  if (!good) return problems.add(given->where, good.errors().front().message);
  spec.fields.insert_or_assign(std::string(field.name), *value);
}

const ModelBuilder* find_kind(Map& map, const std::string& kind) {
  if (const ModelBuilder* builder = find_model_builder(kind)) return builder;
  std::vector<std::string> names;
  for (const ModelBuilder& row : model_builders())
    names.emplace_back(row.kind);
  unknown_name("model kind", *map.find("kind"), names, map.problems());
  return nullptr;
}

// The config that `hf_config` names, relative to the scenario.
std::optional<ImportedModel> read_import(const Value& value, const std::string& scenario_path,
                                         RopeScaling scaling, Problems& problems) {
  const auto name = read_text(value, problems);
  if (!name) return std::nullopt;
  const std::filesystem::path path = std::filesystem::path(scenario_path).parent_path() / *name;
  Result<ImportedModel> imported = import_config(path.string(), scaling);
  if (imported) return *std::move(imported);
  const bool is_placed = imported.errors().front().where.has_value();
  if (is_placed) {
    problems.add(imported.errors());
  } else {
    problems.add(value.where, imported.errors().front().message);
  }
  return std::nullopt;
}

RopeScaling read_rope_scaling(Map& map) {
  const Value* value = map.find("rope_scaling");
  if (value == nullptr) return RopeScaling::refused;
  const std::vector<std::string>& names = map.row("rope_scaling").type.names;
  const auto name = read_text(*value, map.problems());
  if (name && *name != names.front())
    unknown_name("scaling of positions", *value, names, map.problems());
  return RopeScaling::left_out;
}

// The spec so far: a kind alone, or all that was imported.
struct Start {
  ModelSpec spec;
  std::optional<ImportedModel> imported;
};

std::optional<Start> read_start(Map& map, const std::string& scenario_path) {
  const RopeScaling scaling = read_rope_scaling(map);
  if (const Value* config = map.find("hf_config")) {
    if (map.find("kind") != nullptr) {
      map.problems().add(map.where("kind"), "a model that is imported has its kind already");
      return std::nullopt;
    }
    auto imported = read_import(*config, scenario_path, scaling, map.problems());
    if (!imported) return std::nullopt;
    return Start{imported->spec, imported};
  }
  if (scaling == RopeScaling::left_out)
    map.problems().add(map.where("rope_scaling"),
                       "'rope_scaling' is about the config that 'hf_config' names");
  Start start;
  read_needed(map, "kind", start.spec.kind, read_text);
  if (start.spec.kind.empty()) return std::nullopt;
  return start;
}

}  // namespace

ModelSpec read_model(Map& scenario, const std::string& scenario_path) {
  const Value* value = scenario.need("model");
  if (value == nullptr) return {};
  Problems& problems = scenario.problems();
  Map map(*value, section("model"), scenario.where("model"), problems);
  auto start = read_start(map, scenario_path);
  if (!start) return {};
  ModelSpec& spec = start->spec;
  const ModelBuilder* builder = find_kind(map, spec.kind);
  if (builder == nullptr) return {};
  const std::size_t before = problems.size();
  for (const ModelField& field : builder->fields)
    read_field(field, map, spec);
  map.finish();
  if (problems.size() > before) return {};
  Result<ModelSpec> resolved = resolve(spec);
  if (!resolved) return problems.add(map.where(), resolved.errors().front().message), ModelSpec{};
  const Status seen = start->imported ? check_window(*start->imported, *resolved) : success();
  if (!seen) {
    const Diagnostic& problem = seen.errors().front();
    problems.add(map.where("sequence"), problem.message, problem.notes);
    return {};
  }
  const Result<Net> net = build_net(*resolved);
  if (net) return *resolved;
  problems.add(map.where(), net.errors().front().message);
  return {};
}

}  // namespace rehearse::yaml
