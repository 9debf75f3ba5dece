// GPT-2 decoders (Radford et al. 2019): learned positions, pre-layer-norm, GELU, biases everywhere
// except the head, which shares the token embedding unless `tied` is false.
//
// Each decoder block has two segments, attention and ffn, and one maskable unit: both branches.
#include <fmt/format.h>

#include "model/net/builders/builders.h"
#include "model/net/net_builder.h"

namespace rehearse::builders {
namespace {

struct Sizes {
  std::int64_t width, heads, hidden;
  bool fused;
};

ValueId add_decoder(NetBuilder& net, const std::string& name, ValueId x, const Sizes& size) {
  net.begin_block(name, true);
  net.begin_unit("decoder");
  net.begin_segment("attention");
  ValueId y = net.add("norm1", LayerNorm{size.width}, {x});
  y = net.add("qkv", Linear{size.width, 3 * size.width, true}, {y});
  y = net.add("attention",
              Attention{size.heads, size.heads, size.width / size.heads, true, size.fused}, {y});
  y = net.add("projection", Linear{size.width, size.width, true}, {y});
  x = net.add_bypassed("add1", Add{1.0}, {y, x}, 1);
  net.begin_segment("ffn");
  y = net.add("norm2", LayerNorm{size.width}, {x});
  y = net.add("up", Linear{size.width, size.hidden, true}, {y});
  y = net.add("gelu", Gelu{}, {y});
  y = net.add("down", Linear{size.hidden, size.width, true}, {y});
  x = net.add_bypassed("add2", Add{1.0}, {y, x}, 1);
  net.end_unit();
  return x;
}

Result<Net> build(const ModelSpec& spec) {
  const Sizes size{spec.at("width"), spec.at("heads"), 4 * spec.at("width"), spec.is("fused")};
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
  for (std::int64_t i = 0; i < spec.at("layers"); ++i) {
    x = add_decoder(net, fmt::format("decoder{}", i + 1), x, size);
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
           {"fused", FieldKind::yes_no, {1}, "whether attention keeps no probabilities"}},
          build};
}

}  // namespace rehearse::builders
