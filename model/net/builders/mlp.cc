// A multi-layer perceptron: linear layers with bias, ReLU and dropout between them; one block per
// layer.
// The input is an image or a vector, read as one vector.
#include <fmt/format.h>

#include "model/net/builders/builders.h"
#include "model/net/net_builder.h"

namespace rehearse::builders {
namespace {

Result<Net> build(const ModelSpec& spec) {
  const Shape image{spec.fields.at("image")};
  NetBuilder net("mlp", {{image.elements()}}, ValueType::real, {{1}});
  ValueId x = net.input();
  std::int64_t width = image.elements();
  const auto& hidden = spec.fields.at("hidden");
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    net.begin_block(fmt::format("layer{}", i + 1));
    net.begin_segment("linear");
    x = net.add("linear", Linear{width, hidden[i], true}, {x});
    x = net.add("relu", Relu{}, {x});
    x = net.add_dropout("dropout", spec.share("dropout"), x);
    width = hidden[i];
  }
  const std::int64_t classes = spec.at("classes");
  net.begin_block("head");
  net.begin_segment("linear");
  x = net.add("linear", Linear{width, classes, true}, {x});
  return net.finish(net.add("loss", loss_layer(spec, classes), {x, net.labels()}));
}

}  // namespace

ModelBuilder mlp() {
  return {"mlp",
          "linear layers with ReLU between them",
          {{"image", FieldKind::image, {}, "the input, height x width x channels", 1 << 13},
           {"hidden", FieldKind::counts, {256, 256}, "widths of the hidden layers"},
           {"classes", FieldKind::count, {}, "number of classes"},
           dropout_field(),
           loss_field()},
          build};
}

}  // namespace rehearse::builders
