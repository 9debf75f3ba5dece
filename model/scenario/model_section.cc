#include "model/scenario/sections.h"

namespace rehearse::yaml {

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
    for (const ModelBuilder& row : model_builders()) names.emplace_back(row.kind);
    unknown_name("model kind", *map.find("kind"), names, problems);
    return {};
  }
  bool complete = true;
  for (const ModelField& field : builder->fields) {
    const Value* given = field.preset.empty() ? map.need(field.name) : map.find(field.name);
    if (given == nullptr) {
      complete = complete && !field.preset.empty();
      continue;
    }
    const auto parsed = given->kind == Kind::scalar ? parse_field(field.kind, given->text) : std::nullopt;
    if (parsed) {
      spec.fields.emplace(field.name, *parsed);
    } else {
      expected(describe(field.kind), *given, problems);
      complete = false;
    }
  }
  map.finish();
  if (!complete) return {};
  Result<ModelSpec> resolved = resolve(spec);
  if (!resolved) return problems.add(map.where(), resolved.errors().front().message), ModelSpec{};
  const Result<Net> net = build_net(*resolved);
  if (net) return *resolved;
  problems.add(map.where(), net.errors().front().message);
  return {};
}

}  // namespace rehearse::yaml
