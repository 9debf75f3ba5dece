#include "tools/sweep/hashes.h"

#include "model/base/text.h"
#include "model/schedule/schedule_csv.h"

namespace rehearse::sweep {
namespace {

void append_without(std::string& text, const yaml::Value& root, std::string_view left_out) {
  for (const yaml::Entry& entry : root.entries) {
    if (entry.key == left_out || entry.key == "sweep") continue;
    text += entry.key + ": " + yaml::print_flow(entry.value) + "\n";
  }
}

}  // namespace

std::string file_hash(const yaml::Value& root) {
  std::string text;
  append_without(text, root, "");
  for (const yaml::Entry& section : root.entries) {
    if (section.key != "sweep") continue;
    for (const yaml::Entry& entry : section.value.entries)
      text += entry.key + ": " + yaml::print_flow(entry.value) + "\n";
  }
  return hash_text(text);
}

std::string point_hash(const yaml::Value& tree, const std::string& profile_hashes,
                       const Scenario* scenario) {
  std::string text;
  append_without(text, tree, "name");
  text += profile_hashes;
  if (scenario == nullptr) return hash_text(text + "refused");
  for (const ScenarioStrategy& strategy : scenario->strategies) {
    const auto& pipeline = strategy.spec.pipeline;
    if (pipeline && pipeline->table) text += print_schedule_csv(*pipeline->table);
  }
  return hash_text(text);
}

}  // namespace rehearse::sweep
