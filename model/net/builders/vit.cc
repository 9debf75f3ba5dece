// Vision transformers (Dosovitskiy et al., arXiv 2010.11929, section 3.1): patches of an image as
// tokens behind a class token, learned positions, encoders with the norms ahead of the branches
// (attention over all tokens; GELU between widths w and 4 w), a head on the class token.
//
// Dropout as in the paper (appendix B.1): behind the positions and every linear layer of an encoder
// but that of queries, keys and values. Attention probabilities have none.
//
// Each encoder block is one maskable unit.
#include <fmt/format.h>

#include "model/net/builders/builders.h"
#include "model/net/builders/transformer_block.h"
#include "model/net/net_builder.h"

namespace rehearse::builders {
namespace {

Result<Net> build(const ModelSpec& spec) {
  const Shape image{spec.fields.at("image")};
  const TransformerBlock size{.width = spec.at("width"),
                              .heads = spec.at("heads"),
                              .hidden = hidden_width(spec),
                              .causal = false,
                              .fused = spec.is("fused"),
                              .dropout = spec.share("dropout"),
                              .drops_hidden = true,
                              .activation = static_cast<Activation>(spec.at("activation")),
                              .qkv_bias = spec.is("qkv_bias")};
  const std::int64_t patch = spec.at("patch"), classes = spec.at("classes");
  if (size.width % size.heads != 0) {
    return error(fmt::format("width {} does not divide into {} heads", size.width, size.heads));
  }
  if (image.dims[0] % patch != 0 || image.dims[1] % patch != 0) {
    return error(
        fmt::format("an image of {} does not divide into patches of {}", to_string(image), patch));
  }
  const std::int64_t tokens = image.dims[0] / patch * (image.dims[1] / patch) + 1;
  NetBuilder net("vit", image, ValueType::real, {{1}});
  net.begin_block("embedding");
  net.begin_segment("embedding");
  ValueId x = net.add("patches", Patches{patch}, {net.input()});
  x = net.add("projection", Linear{patch * patch * image.dims[2], size.width, true}, {x});
  x = net.add("class", ClassToken{size.width}, {x});
  x = net.add("position", PositionEmbedding{tokens, size.width}, {x});
  x = net.add_dropout("dropout", size.dropout, x);
  for (std::int64_t i = 0; i < spec.at("layers"); ++i)
    x = add_transformer_block(net, fmt::format("encoder{}", i + 1), "encoder", x, size);
  net.begin_block("head");
  net.begin_segment("head");
  x = net.add("norm", LayerNorm{size.width}, {x});
  x = net.add("class", FirstRow{}, {x});
  x = net.add("linear", Linear{size.width, classes, true}, {x});
  return net.finish(net.add("loss", loss_layer(spec, classes), {x, net.labels()}));
}

}  // namespace

ModelBuilder vit() {
  return {
      "vit",
      "vision transformer; the defaults are ViT-B/16",
      {{"image", FieldKind::image, {}, "the input, height x width x channels", 1 << 13},
       {"classes", FieldKind::count, {}, "number of classes"},
       {"patch", FieldKind::count, {16}, "height and width of a patch", 1 << 13},
       {"layers", FieldKind::count, {12}, "encoder blocks", 10'000},
       {"width", FieldKind::count, {768}, "width of the residual stream"},
       {"heads", FieldKind::count, {12}, "attention heads", 1 << 14},
       {"fused", FieldKind::yes_no, {1}, "whether attention keeps no probabilities"},
       dropout_field(),
       loss_field(),
       hidden_field(),
       activation_field(Activation::gelu_tanh),
       tacit({"qkv_bias", FieldKind::yes_no, {1}, "whether queries, keys, values have biases"})},
      build};
}

}  // namespace rehearse::builders
