// LlamaForCausalLM, and its relatives MistralForCausalLM and Qwen2ForCausalLM.
//
// What a missing key is, by architecture:
//
// | key                     | Llama    | Mistral | Qwen2  | becomes                        |
// |-------------------------|----------|---------|--------|--------------------------------|
// | vocab_size              | 32000    | 32000   | 151936 | vocabulary                     |
// | max_position_embeddings | 2048     | 131072  | 32768  | sequence, at most a window     |
// | hidden_size             | 4096     | 4096    | 4096   | width                          |
// | intermediate_size       | 11008    | 14336   | 22016  | hidden                         |
// | num_hidden_layers       | 32       | 32      | 32     | layers                         |
// | num_attention_heads     | 32       | 32      | 32     | heads                          |
// | num_key_value_heads     | as heads | 8       | 32     | kv_heads; null: as heads       |
// | head_dim                | null     | null    | null   | head_size; null: width / heads |
// | hidden_act              | silu     | silu    | silu   | any other is refused           |
// | rope_theta              | 10000    | 10000   | 10000  | rotary_base                    |
// | rope_scaling            | null     | null    | null   | scaled ones are refused        |
// | rope_parameters         | null     | null    | null   | rope_theta: as above           |
// | tie_word_embeddings     | false    | false   | false  | tied                           |
// | attention_bias          | false    | (none)  | (none) | qkv_bias, projection_bias      |
// | mlp_bias                | false    | (none)  | (none) | hidden_bias                    |
// | sliding_window          | (none)   | 4096    | 4096   | a window; null: none           |
// | use_sliding_window      | (none)   | (none)  | false  | whether there is one           |
// | max_window_layers       | (none)   | (none)  | 28     | the first layers without it    |
//
// Qwen2 always has qkv_bias.
#include <fmt/format.h>

#include <algorithm>

#include "model/scenario/hugging_face/config.h"

namespace rehearse::hugging_face {
namespace {

struct Presets {
  std::int64_t vocabulary, positions, hidden;
  std::optional<std::int64_t> kv_heads;
};

void expect_silu(Config& config) {
  const yaml::Value* value = config.value_of("hidden_act");
  if (value == nullptr) return;
  const auto text = yaml::read_text(*value, config.problems());
  if (!text || *text == "silu" || *text == "swish") return;
  config.refuse("hidden_act", fmt::format("activation '{}' is not supported: the gate of these "
                                          "decoders has silu",
                                          yaml::printable(*text)));
}

ImportedModel read_decoder(Config& config, const Presets& presets) {
  constexpr std::int64_t kWidth = 4096, kLayers = 32, kHeads = 32;
  const std::int64_t heads = config.count("num_attention_heads", kHeads);
  const Config::Rotary rotary = config.rotary("rope_theta", "partial_rotary_factor", 1);
  if (rotary.share != 1)
    config.refuse(config.value_of("partial_rotary_factor") != nullptr ? "partial_rotary_factor"
                                                                      : "rope_parameters",
                  "these decoders rotate all channels of a head");
  expect_silu(config);
  const auto kv_heads = config.count_or_null("num_key_value_heads", presets.kv_heads);
  Fields fields{{"vocabulary", {config.count("vocab_size", presets.vocabulary)}},
                {"sequence", {config.count("max_position_embeddings", presets.positions)}},
                {"width", {config.count("hidden_size", kWidth)}},
                {"hidden", {config.count("intermediate_size", presets.hidden)}},
                {"layers", {config.count("num_hidden_layers", kLayers)}},
                {"heads", {heads}},
                {"kv_heads", {kv_heads.value_or(heads)}},
                {"head_size", {config.count_or_null("head_dim", std::nullopt).value_or(0)}},
                {"rotary_base", {rotary.base}},
                {"tied", {config.yes_no("tie_word_embeddings", false)}}};
  return {{"llama", std::move(fields)}, std::nullopt};
}

void set_window(ImportedModel& model, std::optional<std::int64_t> tokens, SourceSpan where) {
  if (!tokens) return;
  model.window = {*tokens, std::move(where)};
  std::int64_t& sequence = model.spec.fields["sequence"].at(0);
  sequence = std::min(sequence, *tokens);
}

ImportedModel read_llama(Config& config) {
  ImportedModel model = read_decoder(config, {32'000, 2048, 11'008, std::nullopt});
  const std::int64_t attention = config.yes_no("attention_bias", false);
  model.spec.fields["qkv_bias"] = model.spec.fields["projection_bias"] = {attention};
  model.spec.fields["hidden_bias"] = {config.yes_no("mlp_bias", false)};
  config.pass_over({"pretraining_tp"});
  return model;
}

ImportedModel read_mistral(Config& config) {
  ImportedModel model = read_decoder(config, {32'000, 131'072, 14'336, 8});
  set_window(model, config.count_or_null("sliding_window", 4096), config.where("sliding_window"));
  return model;
}

ImportedModel read_qwen2(Config& config) {
  ImportedModel model = read_decoder(config, {151'936, 32'768, 22'016, 32});
  model.spec.fields["qkv_bias"] = {1};
  const auto window = config.count_or_null("sliding_window", 4096);
  const std::int64_t without = config.count("max_window_layers", 28);
  const bool slides = config.yes_no("use_sliding_window", false);
  if (slides && without < model.spec.at("layers"))
    set_window(model, window, config.where("sliding_window"));
  config.pass_over({"layer_types"});
  return model;
}

}  // namespace

Architecture llama() {
  return {"LlamaForCausalLM", "llama", read_llama};
}

Architecture mistral() {
  return {"MistralForCausalLM", "mistral", read_mistral};
}

Architecture qwen2() {
  return {"Qwen2ForCausalLM", "qwen2", read_qwen2};
}

}  // namespace rehearse::hugging_face
