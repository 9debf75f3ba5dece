// The block that GPT and vision transformers are made of: attention, then a feed-forward part of
// two linear layers with an activation between them, each behind a layer norm and added to its
// input. In parallel, both branches read the block's input (Wang and Komatsuzaki, GPT-J-6B, 2021).
#pragma once

#include <string>

#include "model/net/model_spec.h"
#include "model/net/net_builder.h"

namespace rehearse::builders {

struct TransformerBlock {
  std::int64_t width, heads, hidden;
  bool causal;
  bool fused;         // whether attention keeps no probabilities
  double dropout;     // of what either branch adds
  bool drops_hidden;  // and of what the activation gives
  Activation activation;
  bool qkv_bias = true;
  bool parallel = false;
  // Of each head, rotated by the position; 0: none.
  std::int64_t rotated = 0;
  double rotary_base = 10000;
};

// Two segments, attention and ffn; both branches are one maskable unit of this kind.
ValueId add_transformer_block(NetBuilder& net, const std::string& name, const std::string& unit,
                              ValueId x, const TransformerBlock& block);

}  // namespace rehearse::builders
