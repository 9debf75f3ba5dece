#include "model/scenario/keys/keys.h"

#include <algorithm>
#include <utility>

#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::yaml {
namespace {

std::string describe(const Range& range) {
  if (range.most == Range{}.most) return fmt::format("a whole number of at least {}", range.least);
  return fmt::format("a whole number from {} to {}", range.least, range.most);
}

std::string describe_list(const Type& type) {
  std::string items = describe(type.of.front());
  if (type.fewest == type.most) return fmt::format("a list of {}, each {}", type.most, items);
  return fmt::format("a list, each item {}", items);
}

std::string describe_either(const Type& type) {
  std::vector<std::string> parts;
  for (const Type& one : type.of)
    parts.push_back(describe(one));
  return join(parts, ", or ");
}

}  // namespace

bool Bounds::has(double number) const {
  const bool high_enough = is_above_least ? number > least : number >= least;
  const bool low_enough = is_below_most ? number < most : number <= most;
  return high_enough && low_enough;
}

std::string describe(const Bounds& bounds) {
  const bool has_least = bounds.least != kNoLeast, has_most = bounds.most != Bounds{}.most;
  const std::string below = fmt::format("below {:g}", bounds.most);
  if (!has_least && !has_most) return "a number";
  if (!has_least) return "a number " + below;
  if (!has_most)
    return fmt::format("a number {} {:g}", bounds.is_above_least ? "above" : "of at least",
                       bounds.least);
  const std::string from =
      fmt::format("a number {} {:g}", bounds.is_above_least ? "above" : "from", bounds.least);
  if (bounds.is_below_most) return from + " to " + below;
  return fmt::format("{}{} to {:g}", from, bounds.is_above_least ? ", up" : "", bounds.most);
}

std::string describe(const Type& type) {
  switch (type.form) {
    case Form::text:
      return "a text";
    case Form::name:
      return "a name";
    case Form::yes_no:
      return "true or false";
    case Form::count:
      return describe(type.range);
    case Form::number:
      return describe(type.bounds);
    case Form::bytes:
      return "an amount of bytes such as 256 KiB";
    case Form::seconds:
      return "a time such as 5 us";
    case Form::bandwidth:
      return "a bandwidth such as 400 Gb/s or 50 GB/s";
    case Form::flop_rate:
      return "a rate such as 312 TFLOP/s";
    case Form::one_of:
      return join(type.names, ", ");
    case Form::written:
      return std::string(type.what);
    case Form::map:
      return fmt::format("a map ({})", type.section);
    case Form::list:
      return describe_list(type);
    case Form::either:
      return describe_either(type);
  }
  REHEARSE_UNREACHABLE("form");
}

Type basic(Form form) {
  return {form};
}

Type count(Range range) {
  return {Form::count, range};
}

Type number(Bounds bounds) {
  return {Form::number, {}, bounds};
}

Type one_of(std::string_view what, std::vector<std::string> names) {
  Type type{Form::one_of};
  type.names = std::move(names);
  type.what = what;
  return type;
}

Type word(std::string_view text) {
  return one_of(text, {std::string(text)});
}

Type written(std::string_view what, std::string_view pattern) {
  Type type{Form::written};
  type.what = what;
  type.pattern = pattern;
  return type;
}

Type map_of(std::string_view section) {
  Type type{Form::map};
  type.section = section;
  return type;
}

Type list_of(Type item, std::size_t fewest, std::size_t most) {
  Type type{Form::list};
  type.of.push_back(std::move(item));
  type.fewest = fewest;
  type.most = most;
  return type;
}

Type either(std::vector<Type> types) {
  Type type{Form::either};
  type.of = std::move(types);
  return type;
}

Key needed(std::string_view name, Type type, std::string_view meaning, std::string example) {
  return {name, std::move(type), "", meaning, std::move(example), true};
}

Key optional(std::string_view name, Type type, std::string preset, std::string_view meaning,
             std::string example) {
  return {name, std::move(type), std::move(preset), meaning, std::move(example)};
}

const std::vector<Section>& sections() {
  static const std::vector<Section> all = [] {
    std::vector<Section> joined;
    for (auto part : {whole_file_sections, training_sections, cluster_sections, network_sections,
                      strategy_sections}) {
      for (Section& one : part())
        joined.push_back(std::move(one));
    }
    return joined;
  }();
  return all;
}

const Section& section(std::string_view name) {
  const auto& all = sections();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Section& s) { return s.name == name; });
  REHEARSE_CHECK(found != all.end(), "there is a section '{}'", name);
  return *found;
}

const Key* find_key(const Section& section, std::string_view name) {
  const auto found = std::find_if(section.keys.begin(), section.keys.end(),
                                  [&](const Key& key) { return key.name == name; });
  return found == section.keys.end() ? nullptr : &*found;
}

}  // namespace rehearse::yaml
