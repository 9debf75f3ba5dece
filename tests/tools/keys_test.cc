// Help on keys, the JSON Schema and the starter: read back, not compared with themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/base/text.h"
#include "model/net/model_spec.h"
#include "model/scenario/keys/keys.h"
#include "model/scenario/scenario.h"
#include "tools/cli/cli.h"
#include "tools/keys/json_schema.h"
#include "tools/keys/print_keys.h"
#include "tools/keys/starter.h"

namespace rehearse {
namespace {

using ::testing::HasSubstr;

const ProfilePath kProfiles{{REHEARSE_SOURCE_DIR "/scenarios/devices"}};

TEST(PrintKeys, ShowsEveryKeyOfASection) {
  for (const yaml::Section& section : yaml::sections()) {
    const auto text = print_keys(std::string(section.name));
    ASSERT_TRUE(text);
    for (const yaml::Key& key : section.keys)
      EXPECT_THAT(*text, HasSubstr("\n  " + std::string(key.name) + "\n"));
  }
}

TEST(PrintKeys, OneKeyHasARowForEachKindThatTakesIt) {
  const auto text = print_keys("model.layers");
  ASSERT_TRUE(text);
  for (const ModelBuilder& kind : model_builders()) {
    const bool takes = std::any_of(kind.fields.begin(), kind.fields.end(),
                                   [](const ModelField& field) { return field.name == "layers"; });
    const bool is_shown = text->find("with kind: " + std::string(kind.kind)) != std::string::npos;
    EXPECT_EQ(is_shown, takes) << kind.kind;
  }
}

TEST(PrintKeys, EveryKeyHasAnExample) {
  for (const yaml::Section& section : yaml::sections()) {
    const std::string text = *print_keys(std::string(section.name));
    for (const yaml::Key& key : section.keys)
      EXPECT_THAT(text, HasSubstr("\n      " + std::string(key.name) + ": ")) << section.name;
  }
}

TEST(PrintKeys, UnderstandsPathsAsUsersWriteThem) {
  const std::string coverage = *print_keys("subnetwork.coverage");
  EXPECT_EQ(*print_keys("strategies.subnetwork.coverage"), coverage);
  EXPECT_EQ(*print_keys("strategies.my-sdp.subnetwork.coverage"), coverage);
  const std::string network = *print_keys("network");
  EXPECT_THAT(*print_keys("cluster.network"), HasSubstr(network)) << "with all keys inside";
  EXPECT_EQ(*print_keys("cluster.network.link.latency"), *print_keys("link.latency"));
  EXPECT_THAT(*print_keys("strategies"), HasSubstr(*print_keys("strategy")));
  EXPECT_EQ(*print_keys("strategies.my-sdp"), *print_keys("strategy"));
  EXPECT_THAT(print_keys("strategies.one.two.data").errors().front().message,
              HasSubstr("no key 'two' in 'strategy'"));
  EXPECT_THAT(print_keys("cluster.nodes.count").errors().front().message,
              HasSubstr("'nodes' of 'cluster' has no keys inside"));
}

TEST(PrintKeys, GuessesWhatWasMeant) {
  EXPECT_THAT(print_keys("strategi").errors().front().message, HasSubstr("'strategy'"));
  EXPECT_THAT(print_keys("pipeline.shedule").errors().front().message, HasSubstr("'schedule'"));
}

TEST(JsonSchema, EveryReferenceIsDefined) {
  const auto schema = nlohmann::json::parse(json_schema());
  std::vector<const nlohmann::json*> open = {&schema};
  int references = 0;
  while (!open.empty()) {
    const nlohmann::json& node = *open.back();
    open.pop_back();
    if (node.is_object() && node.contains("$ref")) {
      ++references;
      EXPECT_NO_THROW(
          schema.at(nlohmann::json::json_pointer(node["$ref"].get<std::string>().substr(1))))
          << node["$ref"];
    }
    if (node.is_structured()) {
      for (const auto& inner : node)
        open.push_back(&inner);
    }
  }
  EXPECT_GT(references, 30);
}

TEST(JsonSchema, TheFileForEditorsIsUpToDate) {
  const auto file = cli::read_file(REHEARSE_SOURCE_DIR "/scenarios/scenario.schema.json");
  ASSERT_TRUE(file);
  EXPECT_TRUE(*file == json_schema())
      << "rehearse schema --out scenarios/scenario.schema.json brings it up to date";
}

TEST(Starter, OfEveryModelIsAScenarioThatCanBePlayed) {
  for (const ModelBuilder& kind : model_builders()) {
    for (const std::int64_t nodes : {1, 3}) {
      Starter starter;
      starter.model = kind.kind;
      starter.nodes = nodes;
      starter.devices_per_node = 1 + nodes;
      const auto text = print_starter(starter);
      ASSERT_TRUE(text);
      const auto scenario = parse_scenario(*text, "starter.yaml", kProfiles);
      ASSERT_TRUE(scenario) << kind.kind << "\n" << format(scenario.errors());
      EXPECT_EQ(scenario->cluster.nodes, nodes);
      EXPECT_EQ(scenario->model.kind, kind.kind);
      EXPECT_GE(scenario->strategies.size(), 2U);
    }
  }
}

// What CPUs begin with is little, and every model has it.
TEST(Starter, OfCpusIsSmall) {
  for (const ModelBuilder& kind : model_builders()) {
    Starter starter;
    starter.model = kind.kind;
    starter.device = "cpu-core";
    starter.dtype = "fp32";
    starter.nodes = 1, starter.devices_per_node = 4;
    starter.is_small = true;
    const auto scenario = parse_scenario(*print_starter(starter), "starter.yaml", kProfiles);
    ASSERT_TRUE(scenario) << kind.kind << "\n" << format(scenario.errors());
    EXPECT_LT(parameter_count(*build_net(scenario->model)),
              kind.kind == "resnet50" ? 26'000'000 : 12'000'000)
        << kind.kind;
  }
}

TEST(Starter, WithItsCommentsTakenInIsTheSameScenario) {
  const auto text = print_starter({});
  ASSERT_TRUE(text);
  // "  # layers: 12   # decoder blocks" becomes a line of the file; fields have their defaults.
  std::string open;
  for (const std::string_view line : split(*text, '\n')) {
    const bool is_field = line.starts_with("  # ") && line.find(": ") != std::string::npos &&
                          line.find("rehearse") == std::string::npos &&
                          line.find("nics") == std::string::npos;
    open += is_field ? "  " + std::string(line.substr(4)) : std::string(line);
    open += "\n";
  }
  const auto scenario = parse_scenario(open, "starter.yaml", kProfiles);
  const auto plain = parse_scenario(*text, "starter.yaml", kProfiles);
  ASSERT_TRUE(plain);
  ASSERT_TRUE(scenario) << format(scenario.errors()) << open;
  EXPECT_EQ(scenario->model, plain->model);
  EXPECT_TRUE(scenario->training == plain->training);
}

// Every '# key: value' is what holds without it, or says that it is not.
TEST(Starter, SaysWhichCommentsAreNoDefaults) {
  const std::string text = *print_starter({});
  int presets = 0, others = 0;
  for (const char* section : {"training", "optimizer", "cluster"}) {
    for (const yaml::Key& key : yaml::section(section).keys) {
      const auto at = text.find(fmt::format("# {}: {}", key.name, key.example));
      if (at == std::string::npos || key.example == key.preset) continue;
      const std::string line = text.substr(at, text.find('\n', at) - at);
      EXPECT_THAT(line, HasSubstr("# not by default; ")) << key.name;
      ++others;
    }
  }
  for (const std::string_view line : split(text, '\n'))
    presets += line.find("# seed: 1 ") != std::string::npos;
  EXPECT_GE(others, 3) << text;
  EXPECT_EQ(presets, 1);
}

TEST(Completion, IsForShellsThatThereAre) {
  const cli::Program program{"p", "P.", {}};
  for (const char* shell : {"bash", "fish", "zsh"})
    EXPECT_THAT(*cli::completion(program, shell), HasSubstr("completion"));
  EXPECT_THAT(cli::completion(program, "tcsh").errors().front().message,
              HasSubstr("bash, fish, zsh"));
}

}  // namespace
}  // namespace rehearse
