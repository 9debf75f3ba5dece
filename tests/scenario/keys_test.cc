// The table of keys says what the readers do: each row's values are put into a file in which
// everything else is as the table says, and what is reported about their place is compared.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "model/scenario/keys/keys.h"
#include "tests/scenario/files.h"

namespace rehearse {
namespace {

using namespace testing;
using yaml::Form;
using yaml::Key;
using yaml::Section;
using yaml::Type;

// Whether a value of the type may hold a map of that section, and how that map is written there.
std::optional<std::string> holds(const Type& type, std::string_view section,
                                 const std::string& map) {
  if (type.form == Form::map && type.section == section) return map;
  for (const Type& one : type.of) {
    const auto inner = holds(one, section, map);
    if (inner) return type.form == Form::list ? "[" + *inner + "]" : *inner;
  }
  return std::nullopt;
}

// What else has to stand in a map so that a key of it fits the rest of the file.
std::map<std::string, std::string> companions_of(const Section& section, const Key& key) {
  if (section.name == "strategy") return {{"data", "auto"}};
  if (section.name == "cable") return {{"bandwidth", "1 GB/s"}, {"latency", "1 us"}};
  if (key.name == "prefetch") return {{"zero", "3"}};
  if (key.name == "moments") return {{"redraw", "5"}};
  if (key.name == "kept_after_input") return {{"schedule", "zb-auto"}};
  return {};
}

// A map of a section with what is needed beside `key`, which stands on a line of its own.
std::string map_with(const Section& section, const Key& key, const std::string& value) {
  std::map<std::string, std::string> keys = companions_of(section, key);
  if (!key.only.applies_always()) keys[std::string(key.only.key)] = key.only.values.front();
  const auto applies = [&](const Key& other) {
    if (other.only.applies_always()) return true;
    const auto decides = keys.find(std::string(other.only.key));
    return decides != keys.end() &&
           std::count(other.only.values.begin(), other.only.values.end(), decides->second) > 0;
  };
  for (const bool first : {true, false}) {
    for (const Key& other : section.keys) {
      if (other.is_needed && other.only.applies_always() == first && applies(other))
        keys.try_emplace(std::string(other.name), other.example);
    }
  }
  const bool is_choice = std::any_of(
      section.choices.begin(), section.choices.end(),
      [&](const auto& set) { return std::count(set.begin(), set.end(), key.name) > 0; });
  for (const auto& set : section.choices) {
    const bool takes = is_choice ? std::count(set.begin(), set.end(), key.name) > 0
                                 : &set == &section.choices.front();
    for (const std::string_view name : set) {
      if (takes) keys.try_emplace(std::string(name), yaml::find_key(section, name)->example);
    }
  }
  keys.erase(std::string(key.name));
  std::string text = "{";
  for (const auto& [name, given] : keys)
    text += fmt::format("{}: {}, ", name, given);
  return text + fmt::format("\n  {}:\n    {}\n  }}", key.name, value);
}

// The file around a map of a section.
std::string file_with(const Section& section, const std::string& map) {
  if (section.name == "scenario") return map;
  for (const Section& parent : yaml::sections()) {
    for (const Key& key : parent.keys) {
      const auto inner = holds(key.type, section.name, map);
      if (inner) return file_with(parent, map_with(parent, key, *inner));
    }
  }
  ADD_FAILURE() << "nothing holds a map '" << section.name << "'";
  return "";
}

struct Outcome {
  std::string text;
  std::string problems;  // at the value's line
};

Outcome outcome_of(const Section& section, const Key& key, const std::string& value) {
  // A value on a line of its own that no other line looks like.
  const std::string mark = value + "  # here";
  Outcome outcome{file_with(section, map_with(section, key, mark)), ""};
  const auto line = 1 + std::count(outcome.text.begin(),
                                   outcome.text.begin() +
                                       static_cast<std::ptrdiff_t>(outcome.text.find("# here")),
                                   '\n');
  const Result<Scenario> read = parse_scenario(outcome.text, "s.yaml", shipped_profiles());
  if (read) return outcome;
  for (const Diagnostic& problem : read.errors()) {
    if (problem.where && problem.where->line == line) outcome.problems += problem.message + "\n";
  }
  return outcome;
}

// Values that are not of the type.
std::vector<std::string> wrong_values(const Type& type) {
  const auto number = [](double x) { return fmt::format("{}", x); };
  switch (type.form) {
    case Form::text:
    case Form::name:
      return {"[a]", "{a: b}"};
    case Form::yes_no:
      return {"yes", "1", "[true]"};
    case Form::count: {
      std::vector<std::string> values = {"two", "1.5", "[1]", std::to_string(type.range.least - 1)};
      if (type.range.most < std::numeric_limits<std::int64_t>::max())
        values.push_back(std::to_string(type.range.most + 1));
      return values;
    }
    case Form::number: {
      std::vector<std::string> values = {"two", "[1]"};
      const yaml::Bounds& b = type.bounds;
      if (b.least != yaml::kNoLeast)
        values.push_back(number(b.is_above_least ? b.least : b.least - 1));
      if (b.most != yaml::Bounds{}.most)
        values.push_back(number(b.is_below_most ? b.most : b.most + 1));
      return values;
    }
    case Form::bytes:
    case Form::seconds:
    case Form::bandwidth:
    case Form::flop_rate:
      return {"5", "5 parsec", "-1 B", "[1]"};
    case Form::one_of:
      return {"nonsense", "[nonsense]"};
    case Form::written:
      return {"{a: b}"};
    case Form::map:
      return {"nonsense", "[nonsense]"};
    case Form::list:
      return {"nonsense", "[{a: b}]"};
    case Form::either: {
      const bool takes_text = std::any_of(type.of.begin(), type.of.end(),
                                          [](const Type& t) { return t.form == Form::text; });
      return takes_text ? std::vector<std::string>{"{no: such}"}
                        : std::vector<std::string>{"{no: such}", "-7"};
    }
  }
  return {};
}

// Values at the ends of what is right.
std::vector<std::string> right_values(const Key& key) {
  std::vector<std::string> values = {key.example};
  if (!key.preset.empty()) values.push_back(key.preset);
  const Type& type = key.type;
  if (type.form == Form::count) {
    values.push_back(std::to_string(type.range.least));
    values.push_back(std::to_string(type.range.most));
  }
  if (type.form == Form::number && type.bounds.least != yaml::kNoLeast &&
      !type.bounds.is_above_least)
    values.push_back(fmt::format("{}", type.bounds.least));
  if (type.form == Form::number && type.bounds.most != yaml::Bounds{}.most &&
      !type.bounds.is_below_most)
    values.push_back(fmt::format("{}", type.bounds.most));
  if (type.form == Form::yes_no) values.insert(values.end(), {"true", "false"});
  if (type.form == Form::one_of) values.insert(values.end(), type.names.begin(), type.names.end());
  return values;
}

// What says that a value is of the wrong type, not that it does not fit the rest.
bool is_of_type(const std::string& problems) {
  for (const char* words : {"expected", "unknown key", "expects", "there is no model kind",
                            "is below 0", "a rate is above 0"}) {
    if (problems.find(words) != std::string::npos) return false;
  }
  return true;
}

TEST(KeyTable, EveryMapIsASectionAndEverySectionIsSomewhere) {
  std::set<std::string_view> names;
  for (const Section& section : yaml::sections()) {
    EXPECT_TRUE(names.insert(section.name).second) << section.name;
    EXPECT_FALSE(section.meaning.empty()) << section.name;
    file_with(section, "{}");
  }
}

TEST(KeyTable, EveryKeySaysWhatItIs) {
  for (const Section& section : yaml::sections()) {
    for (const Key& key : section.keys) {
      EXPECT_FALSE(key.meaning.empty()) << section.name << "." << key.name;
      EXPECT_FALSE(key.example.empty()) << section.name << "." << key.name;
    }
  }
}

TEST(KeyTable, ReadersTakeWhatItSays) {
  for (const Section& section : yaml::sections()) {
    for (const Key& key : section.keys) {
      for (const std::string& value : right_values(key)) {
        const Outcome outcome = outcome_of(section, key, value);
        EXPECT_TRUE(is_of_type(outcome.problems))
            << section.name << "." << key.name << ": " << value << "\n"
            << outcome.problems << outcome.text;
      }
    }
  }
}

TEST(KeyTable, ReadersRefuseWhatItDoesNotSay) {
  for (const Section& section : yaml::sections()) {
    for (const Key& key : section.keys) {
      for (const std::string& value : wrong_values(key.type)) {
        const Outcome outcome = outcome_of(section, key, value);
        EXPECT_FALSE(outcome.problems.empty())
            << section.name << "." << key.name << ": " << value << "\n"
            << outcome.text;
      }
    }
  }
}

// ---- defaults ----------------------------------------------------------------------------------

std::string said(const StrategySpec& s) {
  std::string text = fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {}", s.data.value_or(0), to_string(s.sharding), s.prefetch,
      s.micro_batches, s.bucket.bytes(), s.overlap, to_string(s.recomputation), s.local_steps,
      s.collectives ? to_string(*s.collectives) : "auto", s.tensor.has_value(),
      s.subnetwork.has_value(), s.outer.has_value());
  for (const Axis axis : s.order)
    text += fmt::format(" {}", to_string(axis));
  if (s.tensor)
    text += fmt::format(" {} {}", s.tensor->ranks.value_or(0), s.tensor->sequence_parallel);
  if (const auto& p = s.pipeline)
    text += fmt::format(" {} {} {} {} {}", p->schedule, p->chunks.value_or(0), to_string(p->cut),
                        p->live.value_or(-1), p->kept_after_input);
  if (const auto& w = s.subnetwork)
    text += fmt::format(" {} {} {} {} {} {} {} {} {}", to_string(w->construction),
                        to_string(w->assignment), w->width_units.value_or(0), to_string(w->masking),
                        to_string(w->balance), to_string(w->averaging), w->always_held.size(),
                        to_string(w->moments), w->redraw.value_or(0));
  if (s.outer) text += fmt::format(" {} {}", s.outer->lr, s.outer->momentum);
  if (s.stochastic_depth) text += fmt::format(" {}", s.stochastic_depth->keep);
  return text;
}

std::string said(const NetworkSpec& n) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {}", to_string(n.kind), n.oversubscription,
                     n.nodes_per_leaf, n.switches.size(), n.nodes_forward, to_string(n.routing),
                     n.seed, n.routes.size(), n.link.efficiency.size(),
                     n.links.empty() ? 2 : n.links.front().back.has_value() + 0);
}

std::string said(const Scenario& s) {
  const ClusterSpec& c = s.cluster;
  std::string text = fmt::format(
      "{} {} {} {} {} {} {} {} {} {}", c.nodes, c.devices_per_node, said(c.network),
      c.interconnect ? c.interconnect->efficiency.size() + 1 : 0, to_string(c.interconnect_kind),
      c.links.size(), c.ranks.size(), c.device.communicator.bytes(),
      to_string(s.simulation.collectives), s.simulation.steps);
  text += fmt::format(" {} {}", to_string(s.simulation.detail), to_string(s.simulation.replicas));
  if (c.jitter)
    text +=
        fmt::format(" {} {} {} {}", c.jitter->op, c.jitter->step, c.jitter->seed, c.jitter->steps);
  for (const auto& [field, value] : s.model.fields)
    text += fmt::format(" {}={}", field, fmt::join(value, ","));
  if (s.prices) text += fmt::format(" {}", s.prices->transfer.seconds());
  for (const ScenarioStrategy& strategy : s.strategies)
    text += " | " + said(strategy.spec);
  return text;
}

TEST(KeyTable, DefaultsAreWhatAFileWithoutTheKeySays) {
  int compared = 0;
  for (const Section& section : yaml::sections()) {
    for (const Key& key : section.keys) {
      if (key.preset.empty()) continue;
      const std::string with = file_with(section, map_with(section, key, key.preset));
      const std::string map = map_with(section, key, "@");
      const std::string entry = fmt::format("\n  {}:\n    @\n", key.name);
      std::string without_map = map;
      without_map.replace(map.find(entry), entry.size(), "");
      const auto given = parse_scenario(with, "s.yaml", shipped_profiles());
      const auto left =
          parse_scenario(file_with(section, without_map), "s.yaml", shipped_profiles());
      // Examples beside it need not fit one another.
      if (!given || !left) continue;
      ++compared;
      EXPECT_EQ(said(*given), said(*left)) << section.name << "." << key.name;
      EXPECT_TRUE(given->training == left->training) << section.name << "." << key.name;
    }
  }
  EXPECT_GE(compared, 94);
}

TEST(KeyTable, BoundsAreSaidAsTheyAre) {
  EXPECT_EQ(describe(yaml::Bounds{}), "a number of at least 0");
  EXPECT_EQ(describe(yaml::Bounds{0, 1}), "a number from 0 to 1");
  EXPECT_EQ(describe(yaml::Bounds{0, 1, true}), "a number above 0, up to 1");
  EXPECT_EQ(describe(yaml::Bounds{0, 1, false, true}), "a number from 0 to below 1");
  EXPECT_EQ(describe(yaml::Bounds{yaml::kNoLeast, 1, false, true}), "a number below 1");
  EXPECT_EQ(describe(yaml::Bounds{yaml::kNoLeast}), "a number");
  const yaml::Bounds half{0, 1, true, true};
  EXPECT_TRUE(half.has(0.5));
  EXPECT_FALSE(half.has(0));
  EXPECT_FALSE(half.has(1));
}

}  // namespace
}  // namespace rehearse
