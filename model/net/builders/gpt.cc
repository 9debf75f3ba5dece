// GPT-2 decoders (Radford et al. 2019): learned positions, pre-layer-norm, GELU, biases everywhere
// except the head, which shares the token embedding unless `tied` is false.
//
// Dropout stands behind the embedding and on what either branch of a block adds; attention
// probabilities have none, since fused attention never has them at hand.
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
                              .hidden = 4 * spec.at("width"),
                              .causal = true,
                              .fused = spec.is("fused"),
                              .dropout = spec.share("dropout"),
                              .drops_hidden = false};
  const std::int64_t length = spec.at("sequence"), positions = spec.at("positions");
  const std::int64_t vocabulary = spec.at("vocabulary");
  if (size.width % size.heads != 0) {
    return error(fmt::format("width {} does not divide into {} heads", size.width, size.heads));
  }
  if (length > positions) {
    return error(fmt::format("sequence {} is longer than the {} positions", length, positions));
  }
  NetBuilder net("gpt", {{length}}, ValueType::index, {{length}});
  net.begin_block("embedding");
  net.begin_segment("embedding");
  const ValueId tokens = net.add("token", Embedding{vocabulary, size.width}, {net.input()});
  const std::vector<ParameterId> table = net.parameters_of(tokens);
  ValueId x = net.add("position", PositionEmbedding{positions, size.width}, {tokens});
  x = net.add_dropout("dropout", size.dropout, x);
  for (std::int64_t i = 0; i < spec.at("layers"); ++i) {
    x = add_transformer_block(net, fmt::format("decoder{}", i + 1), "decoder", x, size);
  }
  net.begin_block("head");
  net.begin_segment("head");
  x = net.add("norm", LayerNorm{size.width}, {x});
  x = net.add("linear", Linear{size.width, vocabulary, false}, {x},
              spec.is("tied") ? table : std::vector<ParameterId>{});
  return net.finish(net.add("loss", CrossEntropy{vocabulary}, {x, net.labels()}));
}

}  // namespace

ModelBuilder gpt() {
  return {"gpt",
          "GPT-2 decoder; the defaults are the 124M model",
          {{"layers", FieldKind::count, {12}, "decoder blocks", 10'000},
           {"width", FieldKind::count, {768}, "width of the residual stream"},
           {"heads", FieldKind::count, {12}, "attention heads", 1 << 14},
           {"sequence", FieldKind::count, {1024}, "tokens per sample"},
           {"positions", FieldKind::count, {1024}, "learned positions"},
           {"vocabulary", FieldKind::count, {50257}, "token numbers"},
           {"tied", FieldKind::yes_no, {1}, "whether the head shares the token embedding"},
           {"fused", FieldKind::yes_no, {1}, "whether attention keeps no probabilities"},
           {"dropout", FieldKind::share, {0}, "share of elements that dropout zeroes"}},
          build};
}

}  // namespace rehearse::builders
