#include "tools/keys/print_keys.h"

#include <algorithm>

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
  const bool says_more = !key.example.empty() && key.example != key.preset;
  return text + (says_more ? fmt::format("      {}: {}\n", key.name, key.example) : "");
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
         "\n'rehearse help scenario SECTION' shows its keys, 'SECTION.KEY' one of them.\n"
         "'rehearse schema' prints all of it as a JSON Schema, for editors.\n";
}

Result<const Section*> find_section(std::string_view name) {
  std::vector<std::string> names;
  for (const Section& section : yaml::sections()) {
    if (section.name == name) return &section;
    names.emplace_back(section.name);
  }
  const auto guess = nearest(name, names);
  return error(fmt::format(
      "there is no section '{}'; {}", name,
      guess ? fmt::format("did you mean '{}'?", *guess) : "there are " + join(names, ", ")));
}

Result<std::string> print_rows(const Section& section, std::string_view name) {
  std::string text;
  std::vector<std::string> names;
  for (const Key& key : section.keys) {
    if (key.name == name) text += print_key(key);
    names.emplace_back(key.name);
  }
  if (!text.empty()) return text;
  const auto guess = nearest(name, names);
  return error(fmt::format("there is no key '{}' in '{}'{}", name, section.name,
                           guess ? fmt::format("; did you mean '{}'?", *guess) : ""));
}

}  // namespace

Result<std::string> print_keys(const std::string& topic) {
  if (topic.empty()) return overview();
  const auto dot = topic.find('.');
  const Result<const Section*> section = find_section(topic.substr(0, dot));
  if (!section) return section.errors();
  if (dot == std::string::npos) return print_section(**section);
  return print_rows(**section, topic.substr(dot + 1));
}

}  // namespace rehearse
