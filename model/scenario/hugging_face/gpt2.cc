// GPT2LMHeadModel.
//
// | key                             | missing  | becomes                           |
// |---------------------------------|----------|-----------------------------------|
// | vocab_size                      | 50257    | vocabulary                        |
// | n_positions                     | 1024     | positions, sequence               |
// | n_embd                          | 768      | width                             |
// | n_layer, n_head                 | 12, 12   | layers, heads                     |
// | n_inner                         | null     | hidden; null: four times n_embd   |
// | activation_function             | gelu_new | activation                        |
// | tie_word_embeddings             | true     | tied                              |
// | hidden_size, num_hidden_layers, |          | as n_embd, n_layer, n_head and    |
// | num_attention_heads,            |          | n_positions                       |
// | max_position_embeddings         |          |                                   |
// | scale_attn_weights              | true     | false is refused                  |
// | scale_attn_by_inverse_layer_idx | false    | true is refused                   |
// | add_cross_attention             | false    | true is refused                   |
#include "model/scenario/hugging_face/config.h"

namespace rehearse::hugging_face {
namespace {

// The library takes other models' names for some keys, too.
std::string_view either(Config& config, std::string_view key, std::string_view other) {
  return config.value_of(other) == nullptr ? key : other;
}

void read(Config& config) {
  const std::string_view embedding = either(config, "n_embd", "hidden_size"),
                         layers = either(config, "n_layer", "num_hidden_layers"),
                         heads = either(config, "n_head", "num_attention_heads"),
                         positions = either(config, "n_positions", "max_position_embeddings");
  const Activation activation = config.activation("activation_function", Activation::gelu_tanh);
  config.set_count("vocabulary", "vocab_size", 50'257);
  config.set("sequence", {config.set_count("positions", positions, 1024)});
  const std::int64_t width = config.set_count("width", embedding, 768);
  config.set_count("layers", layers, 12);
  config.expect_to_divide(embedding, width, heads, config.set_count("heads", heads, 12));
  config.set("hidden", {config.count_or_null("n_inner", std::nullopt).value_or(0)});
  config.set("activation", {static_cast<std::int64_t>(activation)});
  config.set("tied", {config.yes_no("tie_word_embeddings", true)});
  config.expect("scale_attn_weights", true, "attention divides by the root of a head's width");
  config.expect("scale_attn_by_inverse_layer_idx", false, "all layers scale attention alike");
  config.expect("add_cross_attention", false, "decoders attend to themselves only");
  config.pass_over({"n_ctx", "reorder_and_upcast_attn"});
}

}  // namespace

Architecture gpt2() {
  return {"GPT2LMHeadModel", "gpt2", "gpt", read};
}

}  // namespace rehearse::hugging_face
