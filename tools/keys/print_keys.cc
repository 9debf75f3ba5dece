#include "tools/keys/print_keys.h"

#include <algorithm>
#include <span>
#include <utility>

#include "model/base/text.h"
#include "model/scenario/keys/keys.h"

namespace rehearse {
namespace {

using yaml::Key;
using yaml::Section;

constexpr std::size_t kWidth = 100;

// Words in lines of at most kWidth characters, each indented.
std::string wrap(std::string_view text, std::size_t indent) {
  std::string lines, line(indent, ' ');
  for (const std::string_view word : split(text, ' ')) {
    const bool is_first = line.size() == indent;
    if (!is_first && line.size() + 1 + word.size() > kWidth) {
      lines += line + "\n";
      line.assign(indent, ' ');
    } else if (!is_first) {
      line += ' ';
    }
    line += word;
  }
  return lines + line + "\n";
}

// "needed", "default: 1".
std::string presence(const Key& key) {
  if (key.is_needed) return "needed";
  return key.preset.empty() ? "" : "default: " + key.preset;
}

std::string goes_with(const Key& key) {
  if (key.only.applies_always()) return "";
  return fmt::format("with {}: {}", key.only.key, join(key.only.values, ", "));
}

std::string joined(const std::vector<std::string>& parts) {
  std::vector<std::string> some;
  std::copy_if(parts.begin(), parts.end(), std::back_inserter(some),
               [](const std::string& part) { return !part.empty(); });
  return join(some, "; ");
}

std::string print_key(const Key& key) {
  std::string text = fmt::format("  {}\n", key.name) + wrap(key.meaning, 6);
  text += wrap(joined({describe(key.type), presence(key), goes_with(key)}), 6);
  return text + (key.example.empty() ? "" : fmt::format("      {}: {}\n", key.name, key.example));
}

std::string print_choices(const Section& section) {
  if (section.choices.empty()) return "";
  std::vector<std::string> sets;
  for (const auto& set : section.choices)
    sets.push_back(join({set.begin(), set.end()}, ", "));
  return fmt::format("  Needed: {}.\n", join(sets, "; or "));
}

std::string print_section(const Section& section) {
  std::string text =
      fmt::format("{}\n", section.name) + wrap(section.meaning, 2) + print_choices(section) + "\n";
  for (const Key& key : section.keys)
    text += print_key(key);
  return text;
}

std::string overview() {
  std::size_t width = 0;
  for (const Section& section : yaml::sections())
    width = std::max(width, section.name.size());
  std::string text =
      "A scenario is a YAML file of these maps, of which 'scenario' is the whole file. Quantities "
      "carry\ntheir unit (400 Gb/s, 80 GiB, 5 us; GB = 10^9, GiB = 2^30 bytes, b is a bit).\n\n";
  for (const Section& section : yaml::sections())
    text += fmt::format("  {:<{}}  {}\n", section.name, width, section.meaning);
  return text +
         "\n'rehearse help scenario SECTION' shows its keys, 'SECTION.KEY' one of them; so does a "
         "path\n"
         "of the file, such as 'cluster.network.link' or 'strategies.NAME.pipeline'.\n"
         "'rehearse schema' prints all of it as a JSON Schema, for editors.\n";
}

const Section* section_named(std::string_view name) {
  for (const Section& section : yaml::sections()) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

// The section of the maps that a key's value is, or is made of; or none.
const Section* section_in(const yaml::Type& type) {
  if (!type.section.empty()) return section_named(type.section);
  for (const yaml::Type& inner : type.of) {
    if (const Section* found = section_in(inner)) return found;
  }
  return nullptr;
}

// All rows of a key, and what is inside it.
std::string print_rows(const Section& section, std::string_view name) {
  std::string text;
  const Section* inside = nullptr;
  for (const Key& key : section.keys) {
    if (key.name != name) continue;
    text += print_key(key);
    if (inside == nullptr) inside = section_in(key.type);
  }
  return inside == nullptr ? text : text + "\n" + print_section(*inside);
}

Diagnostics no_key(const Section& section, std::string_view name) {
  std::vector<std::string> names;
  for (const Key& key : section.keys)
    names.emplace_back(key.name);
  const auto guess = nearest(name, names);
  return error(fmt::format("there is no key '{}' in '{}'{}", name, section.name,
                           guess ? fmt::format("; did you mean '{}'?", *guess) : ""));
}

Diagnostics no_section(std::string_view name) {
  std::vector<std::string> sections, names;
  for (const Section& section : yaml::sections())
    sections.emplace_back(section.name);
  names = sections;
  for (const Key& key : yaml::section("scenario").keys)
    names.emplace_back(key.name);
  const auto guess = nearest(name, names);
  return error(fmt::format(
      "there is no section '{}'; {}", name,
      guess ? fmt::format("did you mean '{}'?", *guess) : "there are " + join(sections, ", ")));
}

// What is at the end of a path that begins in the section.
Result<std::string> print_at(const Section* section, std::span<const std::string_view> path) {
  bool may_be_name = false;  // in lists the user's names stand for the items: strategies.NAME.data
  for (std::size_t w = 0; w < path.size(); ++w) {
    const Key* key = yaml::find_key(*section, path[w]);
    if (key == nullptr && std::exchange(may_be_name, false)) continue;
    if (key == nullptr) return no_key(*section, path[w]);
    if (w + 1 == path.size()) return print_rows(*section, path[w]);
    const Section* inside = section_in(key->type);
    if (inside == nullptr)
      return error(fmt::format("'{}' of '{}' has no keys inside", key->name, section->name));
    section = inside;
    may_be_name = key->type.form == yaml::Form::list;
  }
  return print_section(*section);
}

}  // namespace

Result<std::string> print_keys(const std::string& topic) {
  if (topic.empty()) return overview();
  const std::vector<std::string_view> words = split(topic, '.');
  const std::span path(words);
  if (const Section* section = section_named(words[0])) return print_at(section, path.subspan(1));
  const Section& file = yaml::section("scenario");
  if (yaml::find_key(file, words[0]) == nullptr) return no_section(words[0]);
  return print_at(&file, path);
}

}  // namespace rehearse
