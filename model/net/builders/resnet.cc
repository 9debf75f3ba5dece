// Residual networks with projection shortcuts (He et al., arXiv 1512.03385).
//
// resnet20 is the CIFAR network of section 4.2 with n = 3 (widths 16, 32, 64); resnet18 and
// resnet50 are those of table 1, of basic blocks and of bottlenecks, whose 3x3 convolution has the
// stride (as common implementations do, not the paper). Images of more than 64 pixels come through
// the stem of table 1 (7x7, stride 2, and 3x3 max pooling, stride 2), smaller ones through one of
// 3x3, stride 1, without pooling. Shortcuts that change shape are 1x1 projections with batch norm.
// The main branch of each block is a maskable unit; where the shortcut is the identity the closing
// ReLU goes with it, its input then being the output of a ReLU already.
#include <fmt/format.h>

#include "model/net/builders/builders.h"
#include "model/net/net_builder.h"

namespace rehearse::builders {
namespace {

ValueId conv_norm(NetBuilder& net, const std::string& name, ValueId x, Conv2d conv) {
  x = net.add("conv" + name, conv, {x});
  return net.add("norm" + name, BatchNorm{conv.out_channels}, {x});
}

enum class BlockKind {
  basic,       // 3x3, 3x3
  bottleneck,  // 1x1, 3x3, 1x1 to four times the width
};

struct Family {
  BlockKind block;
  std::vector<std::int64_t> widths;  // by stage
  std::vector<int> blocks;

  std::int64_t out(std::int64_t width) const {
    return block == BlockKind::bottleneck ? 4 * width : width;
  }
};

// The branch up to its last norm.
ValueId add_branch(NetBuilder& net, BlockKind kind, ValueId x, std::int64_t width,
                   std::int64_t stride) {
  const std::int64_t in = net.shape_of(x).dims[2];
  if (kind == BlockKind::basic) {
    x = conv_norm(net, "1", x, {in, width, 3, stride, 1});
    x = net.add("relu1", Relu{}, {x});
    net.begin_segment("conv2");
    return conv_norm(net, "2", x, {width, width, 3, 1, 1});
  }
  x = conv_norm(net, "1", x, {in, width, 1, 1, 0});
  x = net.add("relu1", Relu{}, {x});
  net.begin_segment("conv2");
  x = conv_norm(net, "2", x, {width, width, 3, stride, 1});
  x = net.add("relu2", Relu{}, {x});
  net.begin_segment("conv3");
  return conv_norm(net, "3", x, {width, 4 * width, 1, 1, 0});
}

ValueId add_block(NetBuilder& net, const std::string& name, const Family& family, ValueId x,
                  std::int64_t width, std::int64_t stride) {
  const std::int64_t in = net.shape_of(x).dims[2], out = family.out(width);
  const bool identity = stride == 1 && in == out;
  const std::string relu = family.block == BlockKind::basic ? "relu2" : "relu3";
  net.begin_block(name, identity);
  net.begin_segment("conv1");
  ValueId shortcut = x;
  if (!identity) shortcut = conv_norm(net, "_shortcut", x, {in, out, 1, stride, 0});
  net.begin_unit(fmt::format("{}>{}/{}", in, out, stride));
  const ValueId branch = add_branch(net, family.block, x, width, stride);
  const ValueId sum = net.add_bypassed("add", Add{1.0}, {branch, shortcut}, 1);
  if (identity) {
    const ValueId output = net.add_bypassed(relu, Relu{}, {sum}, 0);
    net.end_unit();
    return output;
  }
  net.end_unit();
  return net.add(relu, Relu{}, {sum});
}

ValueId add_stem(NetBuilder& net, std::int64_t width) {
  constexpr std::int64_t kSmall = 64;
  const Shape& image = net.shape_of(net.input());
  const bool large = image.dims[0] > kSmall || image.dims[1] > kSmall;
  const std::int64_t channels = image.dims[2];
  net.begin_block("stem");
  net.begin_segment("conv");
  const Conv2d conv = large ? Conv2d{channels, width, 7, 2, 3} : Conv2d{channels, width, 3, 1, 1};
  const ValueId x = net.add("relu", Relu{}, {conv_norm(net, "", net.input(), conv)});
  return large ? net.add("pool", MaxPool{3, 2, 1}, {x}) : x;
}

Net build_resnet(const ModelSpec& spec, const Family& family) {
  const Shape image{spec.fields.at("image")};
  const std::int64_t classes = spec.at("classes");
  NetBuilder net(spec.kind, image, ValueType::real, {{1}});
  ValueId x = add_stem(net, family.widths[0]);
  for (std::size_t stage = 0; stage < family.widths.size(); ++stage) {
    for (int i = 0; i < family.blocks[stage]; ++i) {
      const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      x = add_block(net, fmt::format("stage{}_block{}", stage + 1, i + 1), family, x,
                    family.widths[stage], stride);
    }
  }
  net.begin_block("head");
  net.begin_segment("linear");
  x = net.add("pool", GlobalAveragePool{}, {x});
  x = net.add("linear", Linear{family.out(family.widths.back()), classes, true}, {x});
  return net.finish(net.add("loss", loss_layer(spec, classes), {x, net.labels()}));
}

Result<Net> build_resnet18(const ModelSpec& spec) {
  return build_resnet(spec, {BlockKind::basic, {64, 128, 256, 512}, {2, 2, 2, 2}});
}

Result<Net> build_resnet20(const ModelSpec& spec) {
  return build_resnet(spec, {BlockKind::basic, {16, 32, 64}, {3, 3, 3}});
}

Result<Net> build_resnet50(const ModelSpec& spec) {
  return build_resnet(spec, {BlockKind::bottleneck, {64, 128, 256, 512}, {3, 4, 6, 3}});
}

std::vector<ModelField> fields() {
  return {{"image", FieldKind::image, {}, "the input, height x width x channels", 1 << 13},
          {"classes", FieldKind::count, {}, "number of classes"},
          loss_field()};
}

}  // namespace

ModelBuilder resnet18() {
  return {"resnet18", "residual network of 8 basic blocks, widths 64 to 512", fields(),
          build_resnet18};
}

ModelBuilder resnet20() {
  return {"resnet20", "residual network of 9 basic blocks, widths 16 to 64", fields(),
          build_resnet20};
}

ModelBuilder resnet50() {
  return {"resnet50", "residual network of 16 bottlenecks, widths 256 to 2048", fields(),
          build_resnet50};
}

}  // namespace rehearse::builders
