#include "model/net/builders/transformer_block.h"

#include "model/net/builders/builders.h"

namespace rehearse::builders {

ValueId add_transformer_block(NetBuilder& net, const std::string& name, const std::string& unit,
                              ValueId x, const TransformerBlock& block) {
  const std::int64_t width = block.width, head_size = width / block.heads;
  net.begin_block(name, true);
  net.begin_unit(unit);
  net.begin_segment("attention");
  ValueId y = net.add("norm1", LayerNorm{width}, {x});
  y = net.add("qkv", Linear{width, 3 * width, block.qkv_bias}, {y});
  if (block.rotated > 0) {
    y = net.add("rotary",
                Rotary{block.heads, block.heads, head_size, block.rotated, block.rotary_base}, {y});
  }
  y = net.add("attention",
              Attention{block.heads, block.heads, head_size, block.causal, block.fused}, {y});
  y = net.add("projection", Linear{width, width, true}, {y});
  y = net.add_dropout("dropout1", block.dropout, y);
  const ValueId sum = net.add_bypassed("add1", Add{1.0}, {y, x}, 1);
  net.begin_segment("ffn");
  y = net.add("norm2", LayerNorm{width}, {block.parallel ? x : sum});
  y = net.add("up", Linear{width, block.hidden, true}, {y});
  y = net.add(block.activation == Activation::relu ? "relu" : "gelu",
              activation_layer(block.activation), {y});
  y = net.add_dropout("hidden_dropout", block.drops_hidden ? block.dropout : 0, y);
  y = net.add("down", Linear{block.hidden, width, true}, {y});
  y = net.add_dropout("dropout2", block.dropout, y);
  y = net.add_bypassed("add2", Add{1.0}, {y, sum}, 1);
  net.end_unit();
  return y;
}

}  // namespace rehearse::builders
