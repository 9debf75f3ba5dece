// LLaMA decoders (Touvron et al., arXiv 2302.13971): RMS norm, rotary positions, SwiGLU, no biases,
// untied head; queries may share keys and values in groups (arXiv 2307.09288). Qwen2 (arXiv
// 2407.10671) has biases of queries, keys and values. Dropout, which the paper does without, stands
// where GPT-2 has it.
//
// Each decoder block has two segments, attention and ffn, and one maskable unit: both branches.
#include <fmt/format.h>

#include "model/net/builders/builders.h"
#include "model/net/net_builder.h"

namespace rehearse::builders {
namespace {

struct Sizes {
  std::int64_t width, hidden, heads, kv_heads, head_size;
  bool fused, qkv_bias, projection_bias, hidden_bias;
  double dropout, rotary_base;
};

ValueId add_decoder(NetBuilder& net, const std::string& name, ValueId x, const Sizes& size) {
  const std::int64_t packed = (size.heads + 2 * size.kv_heads) * size.head_size;
  net.begin_block(name, true);
  net.begin_unit("decoder");
  net.begin_segment("attention");
  ValueId y = net.add("norm1", RmsNorm{size.width}, {x});
  y = net.add("qkv", Linear{size.width, packed, size.qkv_bias}, {y});
  y = net.add("rotary",
              Rotary{size.heads, size.kv_heads, size.head_size, size.head_size, size.rotary_base},
              {y});
  y = net.add("attention", Attention{size.heads, size.kv_heads, size.head_size, true, size.fused},
              {y});
  y = net.add("projection", Linear{size.heads * size.head_size, size.width, size.projection_bias},
              {y});
  y = net.add_dropout("dropout1", size.dropout, y);
  x = net.add_bypassed("add1", Add{1.0}, {y, x}, 1);
  net.begin_segment("ffn");
  y = net.add("norm2", RmsNorm{size.width}, {x});
  const ValueId gate = net.add("gate", Linear{size.width, size.hidden, size.hidden_bias}, {y});
  const ValueId up = net.add("up", Linear{size.width, size.hidden, size.hidden_bias}, {y});
  y = net.add("swiglu", SwiGlu{}, {gate, up});
  y = net.add("down", Linear{size.hidden, size.width, size.hidden_bias}, {y});
  y = net.add_dropout("dropout2", size.dropout, y);
  x = net.add_bypassed("add2", Add{1.0}, {y, x}, 1);
  net.end_unit();
  return x;
}

Result<Net> build(const ModelSpec& spec) {
  const std::int64_t width = spec.at("width"), heads = spec.at("heads");
  const std::int64_t kv_heads = spec.at("kv_heads");
  const std::int64_t vocabulary = spec.at("vocabulary"), length = spec.at("sequence");
  const bool divides = spec.at("head_size") == 0;
  if (divides && width % heads != 0) {
    return error(fmt::format("width {} does not divide into {} heads", width, heads));
  }
  if (heads % kv_heads != 0) {
    return error(fmt::format("{} heads do not divide into {} kv_heads", heads, kv_heads));
  }
  const Sizes size{.width = width,
                   .hidden = spec.at("hidden"),
                   .heads = heads,
                   .kv_heads = kv_heads,
                   .head_size = divides ? width / heads : spec.at("head_size"),
                   .fused = spec.is("fused"),
                   .qkv_bias = spec.is("qkv_bias"),
                   .projection_bias = spec.is("projection_bias"),
                   .hidden_bias = spec.is("hidden_bias"),
                   .dropout = spec.share("dropout"),
                   .rotary_base = static_cast<double>(spec.at("rotary_base"))};
  constexpr std::int64_t kMostChannels = 1 << 20;  // as of the width: products stay countable
  if (size.heads * size.head_size > kMostChannels) {
    return error(fmt::format("{} heads of {} channels are more than {} channels", size.heads,
                             size.head_size, kMostChannels));
  }
  const Status rotates = check_rotary(size.head_size, size.head_size);
  if (!rotates) return rotates.errors();
  NetBuilder net("llama", {{length}}, ValueType::index, {{length}});
  net.begin_block("embedding");
  net.begin_segment("embedding");
  ValueId x = net.add("token", Embedding{vocabulary, width}, {net.input()});
  const std::vector<ParameterId> table = net.parameters_of(x);
  x = net.add_dropout("dropout", size.dropout, x);
  for (std::int64_t i = 0; i < spec.at("layers"); ++i) {
    x = add_decoder(net, fmt::format("decoder{}", i + 1), x, size);
  }
  net.begin_block("head");
  net.begin_segment("head");
  x = net.add("norm", RmsNorm{width}, {x});
  x = net.add("linear", Linear{width, vocabulary, false}, {x},
              spec.is("tied") ? table : std::vector<ParameterId>{});
  return with_kernels(net.finish(net.add("loss", CrossEntropy{vocabulary}, {x, net.labels()})),
                      static_cast<Kernels>(spec.at("kernels")), 0);
}

}  // namespace

ModelBuilder llama() {
  return {"llama",
          "LLaMA decoder; the defaults are a 134M model",
          {{"layers", FieldKind::count, {12}, "decoder blocks", 10'000},
           {"width", FieldKind::count, {768}, "width of the residual stream"},
           {"hidden", FieldKind::count, {2048}, "width of the feed-forward part"},
           {"heads", FieldKind::count, {12}, "attention heads", 1 << 14},
           {"kv_heads", FieldKind::count, {12}, "heads of keys and values", 1 << 14},
           {"sequence", FieldKind::count, {1024}, "tokens per sample"},
           {"vocabulary", FieldKind::count, {32000}, "token numbers"},
           {"fused", FieldKind::yes_no, {1}, "whether attention keeps no probabilities"},
           dropout_field(),
           tacit({"head_size",
                  FieldKind::count_or_none,
                  {0},
                  "channels of a head; 0: the width over the heads",
                  1 << 14}),
           tacit({"tied", FieldKind::yes_no, {0}, "whether the head shares the token embedding"}),
           tacit({"qkv_bias", FieldKind::yes_no, {0}, "whether queries, keys, values have biases"}),
           tacit({"projection_bias", FieldKind::yes_no, {0}, "whether attention's output has one"}),
           tacit({"hidden_bias", FieldKind::yes_no, {0}, "whether the feed-forward part has some"}),
           rotary_base_field(),
           kernels_field()},
          build};
}

}  // namespace rehearse::builders
