// Residual networks of basic blocks with projection shortcuts (He et al., arXiv 1512.03385).
//
// resnet20 is the CIFAR network of section 4.2 with n = 3 (widths 16, 32, 64); resnet18 that of
// table 1 with the CIFAR stem (3x3, stride 1, no pooling). Shortcuts that change shape are 1x1
// projections with batch norm. The main branch of each block is a maskable unit; where the shortcut
// is the identity the closing ReLU goes with it, its input then being the output of a ReLU already.
#include <fmt/format.h>

#include <span>

#include "model/net/builders/builders.h"
#include "model/net/net_builder.h"

namespace rehearse::builders {
namespace {

ValueId conv_norm(NetBuilder& net, const std::string& name, ValueId x, Conv2d conv) {
  x = net.add("conv" + name, conv, {x});
  return net.add("norm" + name, BatchNorm{conv.out_channels}, {x});
}

ValueId add_block(NetBuilder& net, const std::string& name, ValueId x, std::int64_t width,
                  std::int64_t stride) {
  const std::int64_t in = net.shape_of(x).dims[2];
  const bool identity = stride == 1 && in == width;
  net.begin_block(name, identity);
  net.begin_segment("conv1");
  ValueId shortcut = x;
  if (!identity) shortcut = conv_norm(net, "_shortcut", x, {in, width, 1, stride, 0});
  net.begin_unit(fmt::format("{}>{}/{}", in, width, stride));
  ValueId branch = conv_norm(net, "1", x, {in, width, 3, stride, 1});
  branch = net.add("relu1", Relu{}, {branch});
  net.begin_segment("conv2");
  branch = conv_norm(net, "2", branch, {width, width, 3, 1, 1});
  const ValueId sum = net.add_bypassed("add", Add{1.0}, {branch, shortcut}, 1);
  if (identity) {
    const ValueId output = net.add_bypassed("relu2", Relu{}, {sum}, 0);
    net.end_unit();
    return output;
  }
  net.end_unit();
  return net.add("relu2", Relu{}, {sum});
}

Net build_resnet(const ModelSpec& spec, std::span<const std::int64_t> widths,
                 int blocks_per_stage) {
  const Shape image{spec.fields.at("image")};
  const std::int64_t classes = spec.at("classes");
  NetBuilder net(spec.kind, image, ValueType::real, {{1}});
  net.begin_block("stem");
  net.begin_segment("conv");
  ValueId x = conv_norm(net, "", net.input(), {image.dims[2], widths[0], 3, 1, 1});
  x = net.add("relu", Relu{}, {x});
  for (std::size_t stage = 0; stage < widths.size(); ++stage) {
    for (int i = 0; i < blocks_per_stage; ++i) {
      const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      x = add_block(net, fmt::format("stage{}_block{}", stage + 1, i + 1), x, widths[stage],
                    stride);
    }
  }
  net.begin_block("head");
  net.begin_segment("linear");
  x = net.add("pool", GlobalAveragePool{}, {x});
  x = net.add("linear", Linear{widths.back(), classes, true}, {x});
  return net.finish(net.add("loss", CrossEntropy{classes}, {x, net.labels()}));
}

Result<Net> build_resnet18(const ModelSpec& spec) {
  constexpr std::int64_t kWidths[] = {64, 128, 256, 512};
  return build_resnet(spec, kWidths, 2);
}

Result<Net> build_resnet20(const ModelSpec& spec) {
  constexpr std::int64_t kWidths[] = {16, 32, 64};
  return build_resnet(spec, kWidths, 3);
}

std::vector<ModelField> fields() {
  return {{"image", FieldKind::image, {}, "the input, height x width x channels", 1 << 13},
          {"classes", FieldKind::count, {}, "number of classes"}};
}

}  // namespace

ModelBuilder resnet18() {
  return {"resnet18", "residual network of 8 basic blocks, widths 64 to 512, CIFAR stem", fields(),
          build_resnet18};
}

ModelBuilder resnet20() {
  return {"resnet20", "residual network of 9 basic blocks, widths 16 to 64", fields(),
          build_resnet20};
}

}  // namespace rehearse::builders
