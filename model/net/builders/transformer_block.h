// The block that GPT and vision transformers are made of: attention, then a feed-forward part of
// two linear layers with GELU between them, each behind a layer norm and added to its input.
#pragma once

#include <string>

#include "model/net/net_builder.h"

namespace rehearse::builders {

struct TransformerBlock {
  std::int64_t width, heads, hidden;
  bool causal;
  bool fused;         // whether attention keeps no probabilities
  double dropout;     // of what either branch adds
  bool drops_hidden;  // and of what GELU gives
};

// Two segments, attention and ffn; both branches are one maskable unit of this kind.
ValueId add_transformer_block(NetBuilder& net, const std::string& name, const std::string& unit,
                              ValueId x, const TransformerBlock& block);

}  // namespace rehearse::builders
