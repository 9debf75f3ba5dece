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

void read_heads(Config& config, std::optional<std::int64_t> kv_preset) {
  constexpr std::int64_t kWidth = 4096, kHeads = 32;
  const std::int64_t width = config.set_count("width", "hidden_size", kWidth);
  const std::int64_t heads = config.set_count("heads", "num_attention_heads", kHeads);
  const std::int64_t kv_heads =
      config.count_or_null("num_key_value_heads", kv_preset).value_or(heads);
  config.set("kv_heads", {kv_heads}, "num_key_value_heads");
  config.expect_to_divide("num_attention_heads", heads, "num_key_value_heads", kv_heads);
  const auto size = config.count_or_null("head_dim", std::nullopt);
  config.set("head_size", {size.value_or(0)}, "head_dim");
  if (!size) config.expect_to_divide("hidden_size", width, "num_attention_heads", heads);
  config.expect_pairs(size.value_or(width / heads),
                      {"head_dim", "num_attention_heads", "hidden_size"});
}

void read_decoder(Config& config, const Presets& presets) {
  config.set_count("vocabulary", "vocab_size", presets.vocabulary);
  config.set_count("sequence", "max_position_embeddings", presets.positions);
  config.set_count("hidden", "intermediate_size", presets.hidden);
  config.set_count("layers", "num_hidden_layers", 32);
  read_heads(config, presets.kv_heads);
  const Config::Rotary rotary = config.rotary("rope_theta", "partial_rotary_factor", 1);
  if (rotary.share != 1)
    config.refuse(config.value_of("partial_rotary_factor") != nullptr ? "partial_rotary_factor"
                                                                      : "rope_parameters",
                  "these decoders rotate all channels of a head");
  config.set("rotary_base", {rotary.base});
  expect_silu(config);
  config.set("tied", {config.yes_no("tie_word_embeddings", false)});
}

void read_llama(Config& config) {
  read_decoder(config, {32'000, 2048, 11'008, std::nullopt});
  const std::int64_t attention = config.yes_no("attention_bias", false);
  config.set("qkv_bias", {attention});
  config.set("projection_bias", {attention});
  config.set("hidden_bias", {config.yes_no("mlp_bias", false)});
  config.pass_over({"pretraining_tp"});
}

void read_mistral(Config& config) {
  read_decoder(config, {32'000, 131'072, 14'336, 8});
  config.set_window(config.count_or_null("sliding_window", 4096), "sliding_window");
}

void read_qwen2(Config& config) {
  read_decoder(config, {151'936, 32'768, 22'016, 32});
  config.set("qkv_bias", {1});
  const auto window = config.count_or_null("sliding_window", 4096);
  const std::int64_t without = config.count("max_window_layers", 28);
  const bool slides = config.yes_no("use_sliding_window", false);
  if (slides && without < config.at("layers")) config.set_window(window, "sliding_window");
  config.pass_over({"layer_types"});
}

}  // namespace

Architecture llama() {
  return {"LlamaForCausalLM", "llama", "llama", read_llama};
}

Architecture mistral() {
  return {"MistralForCausalLM", "mistral", "llama", read_mistral};
}

Architecture qwen2() {
  return {"Qwen2ForCausalLM", "qwen2", "llama", read_qwen2};
}

}  // namespace rehearse::hugging_face
