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

// As a word ('28x28x1'); several counts as a list, too.
std::optional<std::vector<std::int64_t>> read_field_value(FieldKind kind, const Value& given,
                                                          Problems& problems) {
  const bool is_list = given.kind == Kind::list && !given.items.empty();
  if (kind == FieldKind::counts && is_list) return read_counts(given, problems);
  if (kind == FieldKind::loss) {
    const auto loss = read_enum(given, "loss", losses(), problems);
    if (!loss) return std::nullopt;
    return std::vector{static_cast<std::int64_t>(*loss)};
  }
  const bool is_word = given.kind == Kind::scalar && !given.quoted;
  auto value = is_word ? parse_field(kind, given.text) : std::nullopt;
  if (!value) expected(describe(kind), given, problems);
  return value;
}

void read_field(const ModelField& field, Map& model, ModelSpec& spec) {
  Problems& problems = model.problems();
  const Value* given = field.preset.empty() ? model.need(field.name) : model.find(field.name);
  if (given == nullptr) return;
  const auto value = read_field_value(field.kind, *given, problems);
  if (!value) return;
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
