#include "tools/keys/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/base/text.h"
#include "model/scenario/keys/keys.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;
using yaml::Bounds;
using yaml::Form;
using yaml::Key;
using yaml::Section;
using yaml::Type;

Json pattern(std::string_view text) {
  return {{"type", "string"}, {"pattern", fmt::format("^{}$", text)}};
}

// A number and its unit. YAML reads them as one text.
Json quantity(const std::vector<std::string_view>& units) {
  std::vector<std::string> names(units.begin(), units.end());
  return pattern(
      fmt::format("([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)? ?({})", join(names, "|")));
}

Json bounded(const Bounds& bounds) {
  Json json = {{"type", "number"}};
  if (bounds.least != yaml::kNoLeast)
    json[bounds.is_above_least ? "exclusiveMinimum" : "minimum"] = bounds.least;
  if (bounds.most != Bounds{}.most)
    json[bounds.is_below_most ? "exclusiveMaximum" : "maximum"] = bounds.most;
  return json;
}

Json schema_of(const Type& type);

Json schema_of_list(const Type& type) {
  Json json = {{"type", "array"}, {"items", schema_of(type.of.front())}};
  if (type.fewest > 0) json["minItems"] = type.fewest;
  if (type.most != std::numeric_limits<std::size_t>::max()) json["maxItems"] = type.most;
  return json;
}

Json schema_of_either(const Type& type) {
  Json json;
  for (const Type& one : type.of)
    json["anyOf"].push_back(schema_of(one));
  return json;
}

Json schema_of(const Type& type) {
  switch (type.form) {
    case Form::text:
      // An unquoted text may look like a number.
      return {{"type", Json::array({"string", "number"})}};
    case Form::name:
      return {{"type", Json::array({"string", "number"})}, {"pattern", "^[A-Za-z0-9_.-]+$"}};
    case Form::yes_no:
      return {{"type", "boolean"}};
    case Form::count:
      return {{"type", "integer"}, {"minimum", type.range.least}, {"maximum", type.range.most}};
    case Form::number:
      return bounded(type.bounds);
    case Form::bytes:
      return quantity({"B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "PiB"});
    case Form::seconds:
      return quantity({"s", "ms", "us", "ns", "ps"});
    case Form::bandwidth:
      return quantity({"B/s", "kB/s", "MB/s", "GB/s", "TB/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s",
                       "b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s"});
    case Form::flop_rate:
      return quantity({"FLOP/s", "MFLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s"});
    case Form::one_of:
      return {{"enum", type.names}};
    case Form::written:
      return pattern(type.pattern);
    case Form::map:
      return {{"$ref", fmt::format("#/$defs/{}", type.section)}};
    case Form::list:
      return schema_of_list(type);
    case Form::either:
      return schema_of_either(type);
  }
  return {};
}

std::string description(const Key& key) {
  std::string text(key.meaning);
  if (!key.preset.empty()) text += fmt::format(" (default: {})", key.preset);
  return text;
}

// Rows of one name: its value has one of their types.
Json schema_of_rows(const std::vector<const Key*>& rows) {
  Json json = {{"description", description(*rows.front())}};
  std::vector<Json> types;
  for (const Key* row : rows) {
    Json type = schema_of(row->type);
    if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
  }
  if (types.size() == 1) {
    json.update(types.front());
  } else {
    json["anyOf"] = types;
  }
  return json;
}

// If the key that decides has one of the values, the rest holds. A key that is left out has its
// default.
Json rule(const Section& section, const std::string& key, const std::vector<std::string>& values,
          Json then) {
  const Key* decides = yaml::find_key(section, key);
  const bool has_default = std::find(values.begin(), values.end(), decides->preset) != values.end();
  Json condition = {{"properties", {{key, {{"enum", values}}}}}};
  if (!has_default) condition["required"] = {key};
  return {{"if", std::move(condition)}, {"then", std::move(then)}};
}

// For each value of the key that decides: names that may not be there, and those that have to.
void add_rules(const Section& section, Json& json) {
  const auto conditional = std::find_if(section.keys.begin(), section.keys.end(),
                                        [](const Key& k) { return !k.only.applies_always(); });
  if (conditional == section.keys.end()) return;
  const std::string decides(conditional->only.key);
  for (const std::string& value : yaml::find_key(section, decides)->type.names) {
    Json refused = Json::object(), required = Json::array();
    const auto goes = [&](const Key& key) {
      return std::find(key.only.values.begin(), key.only.values.end(), value) !=
             key.only.values.end();
    };
    for (const Key& key : section.keys) {
      if (key.only.applies_always()) continue;
      const bool some_row =
          std::any_of(section.keys.begin(), section.keys.end(),
                      [&](const Key& other) { return other.name == key.name && goes(other); });
      if (!some_row) refused[std::string(key.name)] = false;
      if (goes(key) && key.is_needed) required.push_back(key.name);
    }
    Json then = Json::object();
    if (!refused.empty()) then["properties"] = std::move(refused);
    if (!required.empty()) then["required"] = std::move(required);
    if (!then.empty()) json["allOf"].push_back(rule(section, decides, {value}, std::move(then)));
  }
}

Json schema_of(const Section& section) {
  Json json = {{"description", section.meaning}, {"type", "object"}};
  Json properties = Json::object(), required = Json::array();
  for (const Key& key : section.keys) {
    if (properties.contains(key.name)) continue;
    std::vector<const Key*> rows;
    for (const Key& other : section.keys) {
      if (other.name == key.name) rows.push_back(&other);
    }
    properties[std::string(key.name)] = schema_of_rows(rows);
    if (key.is_needed && key.only.applies_always()) required.push_back(key.name);
  }
  json["properties"] = std::move(properties);
  if (!required.empty()) json["required"] = std::move(required);
  for (const auto& set : section.choices)
    json["oneOf"].push_back({{"required", set}});
  if (!section.is_open) json["additionalProperties"] = false;
  add_rules(section, json);
  return json;
}

}  // namespace

std::string json_schema() {
  Json json = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
               {"title", "A scenario of rehearse"},
               {"$ref", "#/$defs/scenario"}};
  for (const Section& section : yaml::sections())
    json["$defs"][std::string(section.name)] = schema_of(section);
  return json.dump(1) + "\n";
}

}  // namespace rehearse
