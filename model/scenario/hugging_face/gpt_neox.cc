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

ImportedModel read(Config& config) {
  const std::int64_t positions = config.count("max_position_embeddings", 2048);
  const std::int64_t width = config.count("hidden_size", 6144);
  const std::int64_t heads = config.count("num_attention_heads", 64);
  const Activation activation = config.activation("hidden_act", Activation::gelu_erf);
  const Config::Rotary rotary = config.rotary("rotary_emb_base", "rotary_pct", 0.25);
  const double rotated = std::min(rotary.share, 1.0) * static_cast<double>(width / heads);
  if (rotated < 1) config.refuse("rotary_pct", "no channel of a head is rotated");
  Fields fields{{"vocabulary", {config.count("vocab_size", 50'432)}},
                {"positions", {positions}},
                {"sequence", {positions}},
                {"width", {width}},
                {"layers", {config.count("num_hidden_layers", 44)}},
                {"heads", {heads}},
                {"hidden", {config.count("intermediate_size", 24'576)}},
                {"activation", {static_cast<std::int64_t>(activation)}},
                {"rotary", {static_cast<std::int64_t>(rotated)}},
                {"rotary_base", {rotary.base}},
                {"parallel", {config.yes_no("use_parallel_residual", true)}},
                {"tied", {config.yes_no("tie_word_embeddings", false)}}};
  config.expect("attention_bias", true, "attention of these decoders has biases");
  return {{"gpt", std::move(fields)}, std::nullopt};
}

}  // namespace

Architecture gpt_neox() {
  return {"GPTNeoXForCausalLM", "gpt_neox", read};
}

}  // namespace rehearse::hugging_face
