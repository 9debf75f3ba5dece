// Configs of published models, whose numbers of parameters are known, and what is refused of
// others.
#include "model/scenario/import_config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "tests/scenario/files.h"

namespace rehearse {
namespace {

using ::testing::HasSubstr;

std::string config_file(const std::string& name) {
  return (testing::kHere / "configs" / (name + ".json")).string();
}

ImportedModel import(const std::string& path) {
  Result<ImportedModel> model = import_config(path);
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : format(model.errors()));
  return std::move(model).value();
}

ModelSpec spec_of(const std::string& json) {
  Result<ImportedModel> model = parse_config(json, "config.json");
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : format(model.errors()));
  return std::move(model)->spec;
}

std::string refusal(const std::string& json) {
  const Result<ImportedModel> model = parse_config(json, "config.json");
  return model ? "accepted" : format(model.errors());
}

struct Published {
  std::string name;
  std::int64_t parameters;
};

class PublishedModel : public ::testing::TestWithParam<Published> {};

// As the models' cards have it, or as HuggingFace counts its own classes' parameters.
TEST_P(PublishedModel, HasItsParameters) {
  const ModelSpec spec = import(config_file(GetParam().name)).spec;
  EXPECT_EQ(parameter_count(*build_net(spec)), GetParam().parameters);
}

INSTANTIATE_TEST_SUITE_P(
    Models, PublishedModel,
    ::testing::Values(Published{"gpt-neox-20b", 20'554'567'680}, Published{"gpt2", 124'439'808},
                      Published{"gpt2-xl", 1'557'611'200}, Published{"llama-2-7b", 6'738'415'616},
                      Published{"mistral-7b-v0.1", 7'241'732'096},
                      Published{"mistral-nemo-12b", 12'247'782'400},
                      Published{"opt-1.3b", 1'315'758'080}, Published{"opt-125m", 125'239'296},
                      Published{"pythia-160m", 162'322'944}, Published{"pythia-1b", 1'011'781'632},
                      Published{"qwen2-0.5b", 494'032'768}, Published{"qwen2-7b", 7'615'616'512},
                      Published{"qwen2.5-1.5b", 1'543'714'304},
                      Published{"tinyllama-1.1b", 1'100'048'384},
                      Published{"vit-base-patch16-224", 86'567'656},
                      Published{"vit-large-patch16-224", 304'326'632}),
    [](const auto& model) { return testing::test_name(model.param.name); });

TEST(ImportConfig, TheShippedLlamaHasItsParameters) {
  const auto path = testing::kSource / "scenarios/models/llama-3-8b.json";
  const ModelSpec spec = import(path.string()).spec;
  EXPECT_EQ(parameter_count(*build_net(spec)), 8'030'261'248);
  EXPECT_EQ(spec.at("sequence"), 8192);
  EXPECT_EQ(spec.at("rotary_base"), 500'000);
}

// Each row of the tables in model/scenario/hugging_face that a config of its type alone leaves
// missing: the counts follow from the presets of HuggingFace's classes by hand.
TEST(ImportConfig, MissingKeysAreHuggingFacesPresets) {
  // 50257 x 768 + 1024 x 768 + 12 (12 x 768^2 + 13 x 768) + 2 x 768: GPT-2.
  EXPECT_EQ(spec_of("{\"model_type\": \"gpt2\"}"), import(config_file("gpt2")).spec);
  EXPECT_EQ(spec_of("{\"model_type\": \"opt\"}"), import(config_file("opt-125m")).spec);
  ModelSpec neox = import(config_file("gpt-neox-20b")).spec;
  neox.fields["activation"] = {static_cast<std::int64_t>(Activation::gelu_erf)};
  EXPECT_EQ(spec_of("{\"model_type\": \"gpt_neox\"}"), neox);
  ModelSpec llama = import(config_file("llama-2-7b")).spec;
  llama.fields["sequence"] = {2048};
  EXPECT_EQ(spec_of("{\"model_type\": \"llama\"}"), llama);
  EXPECT_EQ(spec_of("{\"model_type\": \"mistral\"}"), import(config_file("mistral-7b-v0.1")).spec);
  ModelSpec vit = import(config_file("vit-base-patch16-224")).spec;
  vit.fields["classes"] = {2};
  EXPECT_EQ(spec_of("{\"model_type\": \"vit\"}"), vit);
  const ModelSpec qwen = spec_of("{\"model_type\": \"qwen2\"}");
  EXPECT_EQ(qwen.at("vocabulary"), 151'936);
  EXPECT_EQ(qwen.at("hidden"), 22'016);
  EXPECT_EQ(qwen.at("kv_heads"), 32);
  EXPECT_EQ(qwen.at("sequence"), 32'768);
  EXPECT_TRUE(qwen.is("qkv_bias"));
  EXPECT_FALSE(qwen.is("projection_bias"));
}

// Every architecture's first key alone is enough: nothing else has to be there.
TEST(ImportConfig, AnArchitectureAloneIsAModel) {
  for (const std::string& name : supported_architectures()) {
    const ModelSpec spec = spec_of("{\"architectures\": [\"" + name + "\"]}");
    EXPECT_GT(parameter_count(*build_net(spec)), 0) << name;
  }
}

TEST(ImportConfig, NoArchitecturesAndNoExpertsAreNone) {
  const ModelSpec llama = spec_of("{\"model_type\": \"llama\"}");
  for (const std::string none :
       {"\"architectures\": []", "\"architectures\": null", "\"num_local_experts\": null",
        "\"num_local_experts\": 0", "\"num_experts\": 1"})
    EXPECT_EQ(spec_of("{\"model_type\": \"llama\", " + none + "}"), llama) << none;
}

TEST(ImportConfig, Gpt2HasOtherNamesForSomeKeys) {
  EXPECT_EQ(spec_of("{\"model_type\": \"gpt2\", \"hidden_size\": 1024, \"num_hidden_layers\": 24, "
                    "\"num_attention_heads\": 16, \"max_position_embeddings\": 512}"),
            spec_of("{\"model_type\": \"gpt2\", \"n_embd\": 1024, \"n_layer\": 24, "
                    "\"n_head\": 16, \"n_positions\": 512}"));
}

TEST(ImportConfig, NullIsWhatHuggingFaceTakesItFor) {
  const ModelSpec spec = spec_of(
      "{\"model_type\": \"mistral\", \"num_key_value_heads\": null, \"head_dim\": null, "
      "\"sliding_window\": null, \"rope_scaling\": null}");
  EXPECT_EQ(spec.at("kv_heads"), 32);
  EXPECT_EQ(spec.at("head_size"), 0);
  EXPECT_EQ(spec.at("sequence"), 131'072);
  EXPECT_EQ(spec_of("{\"model_type\": \"gpt2\", \"n_inner\": null}").at("hidden"), 0);
  EXPECT_EQ(spec_of("{\"model_type\": \"gpt2\", \"tie_word_embeddings\": null}").at("tied"), 0);
  EXPECT_EQ(spec_of("{\"model_type\": \"llama\", \"rope_theta\": null, \"rope_parameters\": "
                    "{\"rope_type\": \"default\", \"rope_theta\": 500000}}")
                .at("rotary_base"),
            500'000);
}

TEST(ImportConfig, BiasesOfLlama) {
  const ModelSpec spec = spec_of(
      "{\"model_type\": \"llama\", \"attention_bias\": true, \"mlp_bias\": true, "
      "\"num_hidden_layers\": 1}");
  const ModelSpec plain = spec_of("{\"model_type\": \"llama\", \"num_hidden_layers\": 1}");
  // Four of 4096 about attention, two of 11008 and one of 4096 about the feed-forward part.
  EXPECT_EQ(parameter_count(*build_net(spec)) - parameter_count(*build_net(plain)),
            4 * 4096 + 2 * 11'008 + 4096);
}

TEST(ImportConfig, RopeParametersAreThoseOfTheKeysOutside) {
  EXPECT_EQ(spec_of("{\"model_type\": \"llama\", \"rope_parameters\": {\"rope_type\": "
                    "\"default\", \"rope_theta\": 500000.0}}")
                .at("rotary_base"),
            500'000);
  const ModelSpec neox = spec_of(
      "{\"model_type\": \"gpt_neox\", \"rope_parameters\": {\"partial_rotary_factor\": 1.0}}");
  EXPECT_EQ(neox.at("rotary"), 6144 / 64);
  EXPECT_EQ(neox.at("rotary_base"), 10'000);
}

TEST(ImportConfig, ActivationsByTheirNames) {
  const std::pair<std::string, Activation> names[] = {{"gelu", Activation::gelu_erf},
                                                      {"gelu_new", Activation::gelu_tanh},
                                                      {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                                      {"quick_gelu", Activation::gelu_sigmoid},
                                                      {"relu", Activation::relu}};
  for (const auto& [name, activation] : names) {
    const ModelSpec spec = spec_of("{\"model_type\": \"vit\", \"hidden_act\": \"" + name + "\"}");
    EXPECT_EQ(spec.at("activation"), static_cast<std::int64_t>(activation)) << name;
  }
}

TEST(ImportConfig, ImagesAndClasses) {
  const ModelSpec spec = spec_of(
      "{\"model_type\": \"vit\", \"image_size\": [64, 32], \"num_channels\": 1, \"id2label\": "
      "{\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}}");
  EXPECT_EQ(spec.fields.at("image"), (std::vector<std::int64_t>{64, 32, 1}));
  EXPECT_EQ(spec.at("classes"), 3);
}

// A window matters where a sequence is longer.
TEST(ImportConfig, WindowsLimitSequences) {
  const ImportedModel model = import(config_file("mistral-7b-v0.1"));
  EXPECT_EQ(model.spec.at("sequence"), 4096);
  ModelSpec longer = model.spec;
  longer.fields["sequence"] = {4097};
  EXPECT_TRUE(check_window(model, model.spec).ok());
  EXPECT_THAT(format(check_window(model, longer).errors()),
              HasSubstr("error: attention that sees 4096 tokens of a sequence of 4097 is not "
                        "supported: 'sequence' is at most 4096\n"));
  // Of Qwen2 only layers from max_window_layers on have one.
  const std::string qwen =
      "{\"model_type\": \"qwen2\", \"use_sliding_window\": true, \"max_window_layers\": ";
  EXPECT_EQ(spec_of(qwen + "31}").at("sequence"), 4096);
  EXPECT_EQ(spec_of(qwen + "32}").at("sequence"), 32'768);
}

// JSON has characters beyond the first plane in two halves; what stands behind them keeps its
// place.
TEST(ImportConfig, CharactersInTwoHalves) {
  const std::string labels =
      "{\"model_type\": \"vit\", \"id2label\": {\"\\ud83d\\ude00\": 0, \"\\ud83d\\uDE01\": 1, "
      "\"\\\\ud83d\\u00e9\": 2}";
  EXPECT_EQ(spec_of(labels + "}").at("classes"), 3);
  const std::string text = labels + ", \"hidden_size\": 0}";
  EXPECT_THAT(refusal(text),
              HasSubstr(fmt::format("config.json:1:{}: error: expected a whole number",
                                    text.find("0}") + 1)));
  EXPECT_THAT(refusal("{\"model_type\": \"\\ud83d\"}"),
              HasSubstr("surrogate U+D800..U+DBFF must be followed"));
}

TEST(ImportConfig, KeysThatAreNotKnownAreFineUnlessTheyAreMisspelt) {
  EXPECT_EQ(spec_of("{\"model_type\": \"llama\", \"what_else\": {\"there\": [\"is\"]}}"),
            spec_of("{\"model_type\": \"llama\"}"));
  EXPECT_THAT(refusal("{\"model_type\": \"llama\", \"num_hiden_layers\": 2}"),
              HasSubstr("config.json:1:25: error: unknown key 'num_hiden_layers'; did "
                        "you mean 'num_hidden_layers'?"));
}

struct Refused {
  std::string json, message;  // the first line of what is said
};

TEST(ImportConfig, SaysWhatItHasNot) {
  const std::string experts =
      "error: this is a mixture of experts, of which no model here has any\n";
  const std::string all =
      "there are GPT2LMHeadModel, GPTNeoXForCausalLM, LlamaForCausalLM, MistralForCausalLM, "
      "OPTForCausalLM, Qwen2ForCausalLM, ViTForImageClassification\n";
  const Refused cases[] = {
      {"", "config.json:1:1: error: not well-formed JSON: "},
      {"null", "config.json:1:1: error: 'config' expects a map, got nothing\n"},
      {"[1]", "config.json:1:1: error: 'config' expects a map, got a list\n"},
      {"{",
       "config.json:1:1: error: not well-formed JSON: syntax error while parsing object key - "
       "unexpected end of input; expected string literal\n"},
      {"{\"model_type\": \"llama\",\n \"vocab_size\": 7,\n}",
       "config.json:3:1: error: not well-formed JSON: syntax error while parsing object key - "
       "unexpected '}'; expected string literal\n"},
      {"{\"model_type\": \"llama\",\n \"vocab_size\": 9223372036854775808}",
       "config.json:2:16: error: expected a whole number of at most 1048576, got "
       "'9223372036854775808'\n"},
      {"{}", "config.json:1:1: error: 'config' needs the key 'architectures' or 'model_type'\n"},
      {"{\"architectures\": [\"LlamaModel\"]}",
       "config.json:1:20: error: architecture 'LlamaModel' is not supported; " + all},
      {"{\"architectures\": [\"LLaMAForCausalLM\"]}",
       "config.json:1:20: error: architecture 'LLaMAForCausalLM' is not supported: did you mean "
       "'LlamaForCausalLM'?; " +
           all},
      {"{\"architectures\": [\"FalconForCausalLM\"]}",
       "config.json:1:20: error: architecture 'FalconForCausalLM' is not supported; " + all},
      {"{\"architectures\": [\"Qwen3ForCausalLM\"]}",
       "config.json:1:20: error: architecture 'Qwen3ForCausalLM' is not supported; " + all},
      {"{\"architectures\": [\"LlamaForCausalLM\", \"GPT2LMHeadModel\"]}",
       "config.json:1:40: error: a network has one architecture, and this is a second: leave the "
       "one that is trained\n"},
      {"{\"architectures\": [\"GPT2LMHeadModel\"], \"model_type\": \"llama\"}",
       "config.json:1:54: error: GPT2LMHeadModel is of model type 'gpt2', not 'llama'\n"},
      {"{\"architectures\": []}",
       "config.json:1:1: error: 'config' needs the key 'architectures' or 'model_type'\n"},
      {"{\"model_type\": \"GPT-NeoX\"}",
       "config.json:1:16: error: model type 'GPT-NeoX' is not supported: did you mean 'gpt_neox'?; "
       "there are gpt2, gpt_neox, llama, mistral, opt, qwen2, vit\n"},
      {"{\"architectures\": \"x\"}",
       "config.json:1:19: error: expected a list of architectures, got the quoted text 'x'\n"},
      {"{\"model_type\": \"bert\"}",
       "config.json:1:16: error: model type 'bert' is not supported; there are gpt2, gpt_neox, "
       "llama, mistral, opt, qwen2, vit\n"},
      {"{\"architectures\": [\"MixtralForCausalLM\"]}", "config.json:1:20: " + experts},
      {"{\"architectures\": [\"Qwen2MoeForCausalLM\"]}", "config.json:1:20: " + experts},
      {"{\"model_type\": \"qwen2_moe\"}", "config.json:1:16: " + experts},
      {"{\"model_type\": \"llama\", \"num_local_experts\": 8}", "config.json:1:25: " + experts},
      {"{\"model_type\": \"llama\", \"num_experts\": [2]}", "config.json:1:25: " + experts},
      {"{\"model_type\": \"llama\", \"quantization_config\": {\"bits\": 4}}",
       "config.json:1:25: error: quantised weights are not trained: import the config of the "
       "model that they were made of\n"},
      {"{\"model_type\": \"llama\",\n \"hidden_size\": \"4096\"}",
       "config.json:2:17: error: expected a whole number of at least 1, got the quoted text "
       "'4096'\n"},
      {"{\"model_type\": \"llama\",\n \"hidden_size\": null}",
       "config.json:2:2: error: expected a whole number of at least 1, got nothing\n"},
      {"{\"model_type\": \"llama\", \"hidden_size\": 0}",
       "config.json:1:40: error: expected a whole number of at least 1, got '0'\n"},
      {"{\"model_type\": \"llama\", \"vocab_size\": 4e3}",
       "config.json:1:39: error: expected a whole number of at least 1, got '4e3'\n"},
      {"{\"model_type\": \"llama\", \"tie_word_embeddings\": 1}",
       "config.json:1:48: error: expected true or false, got '1'\n"},
      {"{\"model_type\": \"llama\", \"vocab_size\": 7, \"vocab_size\": 8}",
       "config.json:1:42: error: duplicate key 'vocab_size'\n"},
      {"{\"model_type\": \"llama\",\n \"num_key_value_heads\": 5}",
       "config.json:2:25: error: 'num_attention_heads' of 32 does not divide into "
       "'num_key_value_heads' of 5\n"},
      {"{\"model_type\": \"mistral\",\n \"num_attention_heads\": 4}",
       "config.json:2:25: error: 'num_attention_heads' of 4 does not divide into "
       "'num_key_value_heads' of 8\n"},
      {"{\"model_type\": \"mistral\",\n \"hidden_size\": 4100}",
       "config.json:2:17: error: 'hidden_size' of 4100 does not divide into 'num_attention_heads' "
       "of "
       "32\n"},
      {"{\"model_type\": \"qwen2\",\n \"head_dim\": 65}",
       "config.json:2:14: error: channels are rotated in pairs, not 65 of a head\n"},
      {"{\"model_type\": \"llama\",\n \"num_hidden_layers\": 20000}",
       "config.json:2:23: error: 'num_hidden_layers' is at most 10000, got 20000\n"},
      {"{\"model_type\": \"gpt2\",\n \"n_embd\": 770}",
       "config.json:2:12: error: 'n_embd' of 770 does not divide into 'n_head' of 12\n"},
      {"{\"model_type\": \"gpt_neox\", \"hidden_size\": 6400,\n \"rotary_pct\": 0.25}",
       "config.json:2:16: error: channels are rotated in pairs, not 25 of a head\n"},
      {"{\"model_type\": \"opt\",\n \"num_attention_heads\": 7}",
       "config.json:2:25: error: 'hidden_size' of 768 does not divide into 'num_attention_heads' "
       "of "
       "7\n"},
      {"{\"model_type\": \"vit\",\n \"image_size\": [16384, 16]}",
       "config.json:2:16: error: 'image_size' is at most 8192, got 16384\n"},
      {"{\"model_type\": \"llama\", \"hidden_act\": \"gelu\"}",
       "config.json:1:39: error: activation 'gelu' is not supported: the gate of these decoders "
       "has silu\n"},
      {"{\"model_type\": \"gpt2\", \"activation_function\": \"tanh\"}",
       "config.json:1:47: error: activation 'tanh' is not supported; there are gelu, gelu_fast, "
       "gelu_new, gelu_python, gelu_pytorch_tanh, quick_gelu, relu\n"},
      {"{\"model_type\": \"llama\", \"rope_theta\": 10000.5}",
       "config.json:1:39: error: expected a whole number up to 1e12, got '10000.5'\n"},
      {"{\"model_type\": \"llama\", \"rope_scaling\": {\"factor\": 8.0, \"rope_type\": "
       "\"llama3\"}}",
       "config.json:1:70: error: positions that are scaled ('llama3') are not supported: left out "
       "by "
       "'rope_scaling: none' beside 'hf_config', or '--rope-scaling none' of 'rehearse model', it "
       "is "
       "a network of the same shapes, parameters and FLOPs\n"},
      {"{\"model_type\": \"llama\", \"partial_rotary_factor\": 0.5}",
       "config.json:1:50: error: these decoders rotate all channels of a head\n"},
      {"{\"model_type\": \"gpt_neox\", \"rotary_pct\": 0}",
       "config.json:1:42: error: no channel of a head is rotated\n"},
      {"{\"model_type\": \"gpt_neox\", \"attention_bias\": false}",
       "config.json:1:46: error: 'attention_bias: false' is not supported: attention of these "
       "decoders has biases\n"},
      {"{\"model_type\": \"gpt2\", \"scale_attn_by_inverse_layer_idx\": true}",
       "config.json:1:59: error: 'scale_attn_by_inverse_layer_idx: true' is not supported: all "
       "layers scale attention alike\n"},
      {"{\"model_type\": \"opt\", \"do_layer_norm_before\": false}",
       "config.json:1:47: error: 'do_layer_norm_before: false' is not supported: norms stand ahead "
       "of the branches\n"},
      {"{\"model_type\": \"opt\", \"word_embed_proj_dim\": 512}",
       "config.json:1:46: error: embeddings of 512 for a width of 768 are not supported\n"},
      {"{\"model_type\": \"vit\", \"id2label\": []}",
       "config.json:1:35: error: expected a map of labels, got a list\n"},
      {"{\"model_type\": \"vit\", \"id2label\": {}}",
       "config.json:1:35: error: 'id2label' is empty: there is no class\n"},
      {"{\"model_type\": \"vit\",\n \"image_size\": 225}",
       "config.json:2:16: error: 'image_size' of 225 does not divide into 'patch_size' of 16\n"},
  };
  for (const Refused& it : cases)
    EXPECT_TRUE(refusal(it.json).starts_with(it.message)) << it.json << "\n" << refusal(it.json);
}

// What is wrong with both sides of a square image is one mistake.
TEST(ImportConfig, SaysOnceWhatIsWrongWithASquareImage) {
  const auto count = [](const std::string& size) {
    const auto model =
        parse_config("{\"model_type\": \"vit\", \"image_size\": " + size + "}", "config.json");
    return model ? 0 : model.errors().size();
  };
  EXPECT_EQ(count("225"), 1u);
  EXPECT_EQ(count("[225, 225]"), 1u);
  EXPECT_EQ(count("[225, 227]"), 2u);
}

// A test's folder with a scenario that imports a config beside it.
class ImportingScenario : public ::testing::Test {
 protected:
  void SetUp() override {
    // Tests run at the same time.
    folder_ = std::filesystem::path(::testing::TempDir()) /
              fmt::format("importing_scenario_{}", ::getpid());
    std::filesystem::create_directories(folder_ / "models");
    write("models/small.json",
          "{\"model_type\": \"mistral\", \"hidden_size\": 64, \"num_attention_heads\": 4, "
          "\"num_key_value_heads\": 2,\n \"intermediate_size\": 96, \"num_hidden_layers\": 2, "
          "\"vocab_size\": 256, \"sliding_window\": 32}");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  Result<Scenario> read(const std::string& model) {
    write("scenario.yaml", "name: imported\nmodel: " + model +
                               "\ntraining: {data: synthetic, batch: 4, optimizer: {kind: sgd, lr: "
                               "0.1}, dtype: fp32, steps: 1}\ncluster: {device: tiny}\n"
                               "strategies:\n  - {name: one}\n");
    return read_scenario((folder_ / "scenario.yaml").string(), testing::test_profiles());
  }
  std::string said(const std::string& model) {
    const Result<Scenario> scenario = read(model);
    return scenario ? "accepted" : format(scenario.errors());
  }
  std::filesystem::path folder_;
};

TEST_F(ImportingScenario, HasAllFieldsOfTheModel) {
  const Result<Scenario> scenario = read("{hf_config: models/small.json}");
  ASSERT_TRUE(scenario.ok()) << format(scenario.errors());
  EXPECT_EQ(scenario->model, import((folder_ / "models/small.json").string()).spec);
  EXPECT_EQ(scenario->model.at("sequence"), 32);
}

TEST_F(ImportingScenario, MayReplaceFields) {
  const Result<Scenario> scenario =
      read("{hf_config: models/small.json, sequence: 16, layers: 1, dropout: 0.1}");
  ASSERT_TRUE(scenario.ok()) << format(scenario.errors());
  EXPECT_EQ(scenario->model.at("sequence"), 16);
  EXPECT_EQ(scenario->model.at("layers"), 1);
  EXPECT_EQ(scenario->model.share("dropout"), 0.1);
  EXPECT_EQ(scenario->model.at("width"), 64);
}

TEST_F(ImportingScenario, MayNameItsConfigByAnAbsolutePath) {
  EXPECT_TRUE(read("{hf_config: " + (folder_ / "models/small.json").string() + "}").ok());
}

TEST_F(ImportingScenario, MayLeaveOutHowPositionsAreScaled) {
  write("models/scaled.json",
        "{\"model_type\": \"llama\", \"num_hidden_layers\": 1, \"rope_theta\": 500000.0,\n "
        "\"rope_scaling\": {\"factor\": 8.0, \"rope_type\": \"llama3\"}}");
  EXPECT_THAT(said("{hf_config: models/scaled.json}"), HasSubstr("scaled.json:2:47: error: "));
  const Result<Scenario> scenario = read("{hf_config: models/scaled.json, rope_scaling: none}");
  ASSERT_TRUE(scenario.ok()) << format(scenario.errors());
  EXPECT_EQ(scenario->model.at("rotary_base"), 500'000);
  EXPECT_THAT(said("{hf_config: models/scaled.json, rope_scaling: linear}"),
              HasSubstr("scaling of positions 'linear'"));
  EXPECT_THAT(said("{kind: llama, rope_scaling: none}"),
              HasSubstr("2:22: error: 'rope_scaling' is about the config that"));
}

TEST_F(ImportingScenario, IsRefusedBeyondTheWindow) {
  const std::string text = said("{hf_config: models/small.json, sequence: 33}");
  EXPECT_THAT(text, HasSubstr("scenario.yaml:2:39: error: attention that sees 32 tokens"));
  EXPECT_THAT(text, HasSubstr("small.json:2:70: note: the window is here"));
}

}  // namespace
}  // namespace rehearse
