// GPTNeoXForCausalLM (Pythia, GPT-NeoX-20B).
//
// | key                     | missing | becomes                                      |
// |-------------------------|---------|----------------------------------------------|
// | vocab_size              | 50432   | vocabulary                                   |
// | max_position_embeddings | 2048    | sequence (positions are rotated)             |
// | hidden_size             | 6144    | width                                        |
// | num_hidden_layers       | 44      | layers                                       |
// | num_attention_heads     | 64      | heads                                        |
// | intermediate_size       | 24576   | hidden                                       |
// | hidden_act              | gelu    | activation                                   |
// | rotary_pct              | 0.25    | rotary: that share of a head, rounded down   |
// | rotary_emb_base         | 10000   | rotary_base                                  |
// | rope_scaling            | null    | positions that are scaled are refused        |
// | rope_parameters         | null    | rope_theta, partial_rotary_factor: as above  |
// | use_parallel_residual   | true    | parallel                                     |
// | tie_word_embeddings     | false   | tied                                         |
// | attention_bias          | true    | false is refused                             |
#include <algorithm>

#include "model/scenario/hugging_face/config.h"

namespace rehearse::hugging_face {
namespace {

void read(Config& config) {
  config.set_count("vocabulary", "vocab_size", 50'432);
  config.set("sequence", {config.set_count("positions", "max_position_embeddings", 2048)});
  const std::int64_t width = config.set_count("width", "hidden_size", 6144);
  config.set_count("layers", "num_hidden_layers", 44);
  const std::int64_t heads = config.set_count("heads", "num_attention_heads", 64);
  config.expect_to_divide("hidden_size", width, "num_attention_heads", heads);
  config.set_count("hidden", "intermediate_size", 24'576);
  const Activation activation = config.activation("hidden_act", Activation::gelu_erf);
  config.set("activation", {static_cast<std::int64_t>(activation)});
  const Config::Rotary rotary = config.rotary("rotary_emb_base", "rotary_pct", 0.25);
  const double share = std::min(rotary.share, 1.0) * static_cast<double>(width / heads);
  if (share < 1) config.refuse("rotary_pct", "no channel of a head is rotated");
  const auto rotated = static_cast<std::int64_t>(share);
  config.expect_pairs(rotated, {"rotary_pct", "num_attention_heads", "hidden_size"});
  config.set("rotary", {rotated});
  config.set("rotary_base", {rotary.base});
  config.set("parallel", {config.yes_no("use_parallel_residual", true)});
  config.set("tied", {config.yes_no("tie_word_embeddings", false)});
  config.expect("attention_bias", true, "attention of these decoders has biases");
}

}  // namespace

Architecture gpt_neox() {
  return {"GPTNeoXForCausalLM", "gpt_neox", "gpt", read};
}

}  // namespace rehearse::hugging_face
