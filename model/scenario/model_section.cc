#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

void read_field(const ModelField& field, Map& model, ModelSpec& spec) {
  Problems& problems = model.problems();
  const Value* given = field.preset.empty() ? model.need(field.name) : model.find(field.name);
  if (given == nullptr) return;
  const auto value = given->kind == Kind::scalar && !given->quoted
                         ? parse_field(field.kind, given->text)
                         : std::nullopt;
  if (!value) return expected(describe(field.kind), *given, problems);
  const Status good = check_field(field, *value);
  if (!good) return problems.add(given->where, good.errors().front().message);
  spec.fields.emplace(field.name, *value);
}

}  // namespace

ModelSpec read_model(Map& scenario) {
  ModelSpec spec;
  const Value* value = scenario.need("model");
  if (value == nullptr) return spec;
  Problems& problems = scenario.problems();
  Map map(*value, "model", scenario.where("model"), problems);
  read_needed(map, "kind", spec.kind, read_text);
  if (spec.kind.empty()) return spec;
  const ModelBuilder* builder = find_model_builder(spec.kind);
  if (builder == nullptr) {
    std::vector<std::string> names;
    for (const ModelBuilder& row : model_builders())
      names.emplace_back(row.kind);
    unknown_name("model kind", *map.find("kind"), names, problems);
    return {};
  }
  const std::size_t before = problems.size();
  for (const ModelField& field : builder->fields)
    read_field(field, map, spec);
  map.finish();
  if (problems.size() > before) return {};
  Result<ModelSpec> resolved = resolve(spec);
  if (!resolved) return problems.add(map.where(), resolved.errors().front().message), ModelSpec{};
  const Result<Net> net = build_net(*resolved);
  if (net) return *resolved;
  problems.add(map.where(), net.errors().front().message);
  return {};
}

}  // namespace rehearse::yaml
