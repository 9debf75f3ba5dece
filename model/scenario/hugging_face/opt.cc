// OPTForCausalLM.
//
// | key                          | missing     | becomes                                       |
// |------------------------------|-------------|-----------------------------------------------|
// | vocab_size                   | 50272       | vocabulary                                    |
// | max_position_embeddings      | 2048        | sequence; positions: two more (below)         |
// | hidden_size                  | 768         | width                                         |
// | num_hidden_layers            | 12          | layers                                        |
// | num_attention_heads          | 12          | heads                                         |
// | ffn_dim                      | 3072        | hidden                                        |
// | activation_function          | relu        | activation                                    |
// | tie_word_embeddings          | true        | tied                                          |
// | do_layer_norm_before         | true        | false is refused: norms behind the branches   |
// | word_embed_proj_dim          | hidden_size | any other is refused                          |
// | _remove_final_layer_norm     | false       | true is refused                               |
// | enable_bias                  | true        | false is refused                              |
// | layer_norm_elementwise_affine | true       | false is refused                              |
//
// OPT's table of positions begins two rows early: positions are counted from 2. Which rows a
// sequence has makes no difference to a network that is trained from its start.
#include <fmt/format.h>

#include "model/scenario/hugging_face/config.h"

namespace rehearse::hugging_face {
namespace {

constexpr std::int64_t kOffset = 2;

void read(Config& config) {
  config.set_count("vocabulary", "vocab_size", 50'272);
  const std::int64_t length = config.set_count("sequence", "max_position_embeddings", 2048);
  config.set("positions", {length + kOffset});
  const std::int64_t width = config.set_count("width", "hidden_size", 768);
  config.set_count("layers", "num_hidden_layers", 12);
  config.expect_to_divide("hidden_size", width, "num_attention_heads",
                          config.set_count("heads", "num_attention_heads", 12));
  config.set_count("hidden", "ffn_dim", 3072);
  const Activation activation = config.activation("activation_function", Activation::relu);
  config.set("activation", {static_cast<std::int64_t>(activation)});
  config.set("tied", {config.yes_no("tie_word_embeddings", true)});
  const auto projected = config.count_or_null("word_embed_proj_dim", width);
  if (projected.value_or(width) != width)
    config.refuse(
        "word_embed_proj_dim",
        fmt::format("embeddings of {} for a width of {} are not supported", *projected, width));
  config.expect("do_layer_norm_before", true, "norms stand ahead of the branches");
  config.expect("_remove_final_layer_norm", false, "the head has a norm");
  config.expect("enable_bias", true, "linear layers of these decoders have biases");
  config.expect("layer_norm_elementwise_affine", true, "norms have scales and shifts");
}

}  // namespace

Architecture opt() {
  return {"OPTForCausalLM", "opt", "gpt", read};
}

}  // namespace rehearse::hugging_face
