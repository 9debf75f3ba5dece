// GPT-2 decoders (Radford et al. 2019): learned positions, pre-layer-norm, GELU, biases everywhere
// except the head, which shares the token embedding unless `tied` is false. OPT (Zhang et al.,
// arXiv 2205.01068) has ReLU; GPT-NeoX (Black et al., arXiv 2204.06745) rotates a share of every
// head in place of learned positions and has both branches of a block side by side.
//
// Dropout stands behind the embedding and on what either branch of a block adds. That of
// attention's probabilities is predicted only.
//
// Each decoder block is one maskable unit.
#include <fmt/format.h>

#include "model/net/builders/builders.h"
#include "model/net/builders/transformer_block.h"
#include "model/net/net_builder.h"

namespace rehearse::builders {
namespace {

Result<Net> build(const ModelSpec& spec) {
  const TransformerBlock size{.width = spec.at("width"),
                              .heads = spec.at("heads"),
                              .hidden = hidden_width(spec),
                              .causal = true,
                              .fused = spec.is("fused"),
                              .dropout = spec.share("dropout"),
                              .drops_hidden = false,
                              .activation = static_cast<Activation>(spec.at("activation")),
                              .parallel = spec.is("parallel"),
                              .rotated = spec.at("rotary"),
                              .rotary_base = static_cast<double>(spec.at("rotary_base"))};
  const std::int64_t length = spec.at("sequence"), positions = spec.at("positions");
  const std::int64_t vocabulary = spec.at("vocabulary");
  if (size.width % size.heads != 0) {
    return error(fmt::format("width {} does not divide into {} heads", size.width, size.heads));
  }
  const Status rotates = check_rotary(size.rotated, size.width / size.heads);
  if (!rotates) return rotates.errors();
  const bool learns = size.rotated == 0;
  if (learns && length > positions) {
    return error(fmt::format("sequence {} is longer than the {} positions", length, positions));
  }
  NetBuilder net("gpt", {{length}}, ValueType::index, {{length}});
  net.begin_block("embedding");
  net.begin_segment("embedding");
  ValueId x = net.add("token", Embedding{vocabulary, size.width}, {net.input()});
  const std::vector<ParameterId> table = net.parameters_of(x);
  if (learns) x = net.add("position", PositionEmbedding{positions, size.width}, {x});
  x = net.add_dropout("dropout", size.dropout, x);
  for (std::int64_t i = 0; i < spec.at("layers"); ++i) {
    x = add_transformer_block(net, fmt::format("decoder{}", i + 1), "decoder", x, size);
  }
  net.begin_block("head");
  net.begin_segment("head");
  x = net.add("norm", LayerNorm{size.width}, {x});
  x = net.add("linear", Linear{size.width, vocabulary, false}, {x},
              spec.is("tied") ? table : std::vector<ParameterId>{});
  return with_kernels(net.finish(net.add("loss", CrossEntropy{vocabulary}, {x, net.labels()})),
                      static_cast<Kernels>(spec.at("kernels")), spec.share("attention_dropout"));
}

}  // namespace

ModelBuilder gpt() {
  return {"gpt",
          "GPT-2 decoder; the defaults are the 124M model",
          {{"layers", FieldKind::count, {12}, "decoder blocks", 10'000},
           {"width", FieldKind::count, {768}, "width of the residual stream"},
           {"heads", FieldKind::count, {12}, "attention heads", 1 << 14},
           {"sequence", FieldKind::count, {1024}, "tokens per sample"},
           {"positions", FieldKind::count, {1024}, "learned positions, where none are rotated"},
           {"vocabulary", FieldKind::count, {50257}, "token numbers"},
           {"tied", FieldKind::yes_no, {1}, "whether the head shares the token embedding"},
           {"fused", FieldKind::yes_no, {1}, "whether attention keeps no probabilities"},
           dropout_field(),
           hidden_field(),
           activation_field(Activation::gelu_tanh),
           tacit({"rotary", FieldKind::count_or_none, {0}, "channels of a head that are rotated"}),
           rotary_base_field(),
           tacit({"parallel", FieldKind::yes_no, {0}, "whether both branches read one input"}),
           tacit({"attention_dropout", FieldKind::share, {0}, "of attention's probabilities"}),
           kernels_field()},
          build};
}

}  // namespace rehearse::builders
