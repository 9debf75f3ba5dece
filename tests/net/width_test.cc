#include "model/net/width.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "model/net/model_spec.h"

namespace rehearse {
namespace {

using ::testing::ElementsAre;

Net gpt() {
  return *build_net({"gpt",
                     {{"layers", {2}},
                      {"width", {24}},
                      {"heads", {6}},
                      {"sequence", {8}},
                      {"positions", {8}},
                      {"vocabulary", {50}}}});
}
Net llama() {
  return *build_net({"llama",
                     {{"layers", {3}},
                      {"width", {32}},
                      {"hidden", {80}},
                      {"heads", {8}},
                      {"kv_heads", {4}},
                      {"sequence", {8}},
                      {"vocabulary", {50}}}});
}
Net resnet(const std::string& kind) {
  return *build_net({kind, {{"image", {32, 32, 3}}, {"classes", {10}}}});
}
Net mlp(const std::vector<std::int64_t>& hidden) {
  return *build_net({"mlp", {{"image", {4, 4, 1}}, {"hidden", hidden}, {"classes", {10}}}});
}

std::size_t widths_of(const Net& cut) {
  std::set<std::size_t> widths;
  for (const Unit& unit : cut.units)
    widths.insert(*unit.width);
  return widths.size();
}

std::string error_of(const Net& net, std::int64_t units) {
  const Result<Net> cut = cut_units(net, {units, {}, {}});
  return cut ? "" : cut.errors().front().message;
}

// Attention and feed-forward part of each decoder; the first convolution of each basic block and
// bottleneck; every second hidden layer, from the first.
TEST(CutUnits, FindsTheInnerWidths) {
  EXPECT_EQ(widths_of(*cut_units(gpt(), {3, {}, {}})), 2u * 2);
  EXPECT_EQ(widths_of(*cut_units(llama(), {4, {}, {}})), 3u * 2);
  EXPECT_EQ(widths_of(*cut_units(resnet("resnet20"), {4, {}, {}})), 9u);
  EXPECT_EQ(widths_of(*cut_units(resnet("resnet50"), {4, {}, {}})), 16u);
  EXPECT_EQ(widths_of(*cut_units(mlp({8}), {4, {}, {}})), 1u);
  EXPECT_EQ(widths_of(*cut_units(mlp({8, 9}), {4, {}, {}})), 1u);
  EXPECT_EQ(widths_of(*cut_units(mlp({8, 9, 8, 9}), {4, {}, {}})), 2u);
}

std::string error_of(const Net& net, const UnitRule& rule) {
  const Result<Net> cut = cut_units(net, rule);
  return cut ? "" : cut.errors().front().message;
}

// Of a decoder one of the two widths, by what is counted in it.
TEST(CutUnits, CutsTheAxesThatAreNamed) {
  const Net heads = *cut_units(gpt(), {3, {WidthAxis::heads}, {}});
  EXPECT_EQ(widths_of(heads), 2u);
  for (const Unit& unit : heads.units)
    EXPECT_EQ(unit.name.find("mlp"), std::string::npos) << unit.name;
  EXPECT_EQ(widths_of(*cut_units(gpt(), {3, {WidthAxis::hidden}, {}})), 2u);
  EXPECT_EQ(widths_of(*cut_units(gpt(), {3, {WidthAxis::hidden, WidthAxis::heads}, {}})), 4u);
  EXPECT_EQ(error_of(gpt(), {3, {WidthAxis::channels}, {}}),
            "network 'gpt' has no inner width of channels that is not always held: its widths are "
            "of hidden, heads");
}

// The unit of a block goes, and the others move up; nothing else changes.
TEST(CutUnits, LeavesBlocksThatAreAlwaysHeldWhole) {
  const Net net = resnet("resnet20");
  const BlockId held = net.units[2].block;
  const Net cut = *cut_units(net, {1, {}, {held}});
  ASSERT_EQ(cut.units.size(), net.units.size() - 1);
  EXPECT_EQ(cut.units[2].name, net.units[3].name);
  for (std::size_t p = 0; p < net.parameters.size(); ++p) {
    const auto before = net.parameters[p].unit, after = cut.parameters[p].unit;
    if (before && net.units[before->index()].block != held) {
      ASSERT_TRUE(after.has_value());
      EXPECT_EQ(cut.units[after->index()].name, net.units[before->index()].name);
    } else {
      EXPECT_FALSE(after.has_value());
    }
  }
  // With nothing held, the block is still there, and its branch is not scaled.
  const Net bare = restrict(cut, {std::vector<bool>(cut.units.size(), false)});
  for (const LayerId id : bare.segments[begin_of(net, held).index()].layers)
    EXPECT_EQ(bare.layers[id.index()].spec.index(), net.layers[id.index()].spec.index());
  for (const Layer& layer : scale_branches(cut, 0.5).layers) {
    const auto* add = std::get_if<Add>(&layer.spec);
    if (add == nullptr) continue;
    const bool is_held = net.segments[layer.segment.index()].block == held;
    EXPECT_EQ(add->branch_scale, is_held ? 1.0 : 0.5);
  }
  EXPECT_EQ(widths_of(*cut_units(net, {4, {}, {held}})), 8u);
  EXPECT_EQ(error_of(net, {1, {}, {BlockId(0)}}),
            "block 'stem' has no unit: everybody holds it anyway");
  EXPECT_EQ(error_of(net, {1, {}, {BlockId(40)}}),
            "block 40 is always held, but the network has 11");
}

// Before they are cut the widths have the parameters that their units have together.
TEST(InnerWidths, HaveTheParametersOfTheirUnits) {
  const Net biased = *build_net(
      {"llama",
       {{"layers", {2}}, {"qkv_bias", {1}}, {"projection_bias", {1}}, {"hidden_bias", {1}}}});
  for (const Net& net : {gpt(), llama(), biased, resnet("resnet20"), mlp({8, 9, 8, 9})}) {
    const Net cut = *cut_units(net, {2, {}, {}});
    const std::vector<InnerWidth> widths = inner_widths(net);
    std::vector<std::int64_t> parameters(widths.size(), 0), channels(widths.size(), 0);
    for (const Parameter& parameter : cut.parameters) {
      if (parameter.unit)
        parameters[*cut.units[parameter.unit->index()].width] += parameter.shape.elements();
    }
    for (const Unit& unit : cut.units)
      channels[*unit.width] += unit.channels;
    for (std::size_t w = 0; w < widths.size(); ++w) {
      EXPECT_EQ(widths[w].parameters, parameters[w]) << net.name;
      EXPECT_EQ(widths[w].channels, channels[w]) << net.name;
    }
  }
  const std::vector<InnerWidth> of_gpt = inner_widths(gpt());
  ASSERT_EQ(of_gpt.size(), 4u);
  EXPECT_EQ(of_gpt[0].axis, WidthAxis::heads);
  EXPECT_EQ(of_gpt[0].channels, 6);
  EXPECT_EQ(of_gpt[1].axis, WidthAxis::hidden);
  EXPECT_EQ(of_gpt[1].channels, 4 * 24);
}

class CutNet : public testing::TestWithParam<std::int64_t> {
 protected:
  std::vector<Net> networks = {gpt(), llama(), resnet("resnet20"), resnet("resnet50"),
                               mlp({12, 7, 9})};
};
INSTANTIATE_TEST_SUITE_P(Units, CutNet, testing::Values(2, 3, 4));

// Every element of a cut parameter is in exactly one slice, and a slice has as many as its shape.
TEST_P(CutNet, SlicesPartitionTheirParameters) {
  for (const Net& net : networks) {
    const Net cut = *cut_units(net, {GetParam(), {}, {}});
    EXPECT_EQ(parameter_count(cut), parameter_count(net)) << net.name;
    std::map<ParameterId, std::vector<int>> seen;
    for (const Parameter& parameter : cut.parameters) {
      if (!parameter.slice) continue;
      auto& counts = seen[*parameter.drawn_as];
      const std::int64_t all = parameter.slice->whole.elements();
      counts.resize(static_cast<std::size_t>(all), 0);
      std::int64_t own = 0;
      for (std::int64_t i = 0; i < all; ++i) {
        if (!parameter.slice->contains(i)) continue;
        ++counts[static_cast<std::size_t>(i)];
        ++own;
      }
      EXPECT_EQ(own, parameter.shape.elements()) << parameter.name;
      EXPECT_TRUE(parameter.unit.has_value());
    }
    for (const auto& [whole, counts] : seen) {
      EXPECT_EQ(std::count(counts.begin(), counts.end(), 1),
                static_cast<std::ptrdiff_t>(counts.size()))
          << net.parameters[whole.index()].name;
    }
  }
}

// Products do what they did; what is new are sums and the bias by itself.
TEST_P(CutNet, ProductsDoTheSameWork) {
  const auto products = [](const Net& net) {
    double flops = 0;
    for (const Segment& segment : net.segments) {
      for (const LayerId id : segment.layers) {
        const LayerFacts& facts = net.layers[id.index()].facts;
        const bool counts = facts.kernel == KernelClass::convolution ||
                            facts.kernel == KernelClass::attention ||
                            std::holds_alternative<Linear>(net.layers[id.index()].spec);
        if (counts)
          flops +=
              (facts.forward + facts.backward_input + facts.backward_weight).per_sample.flops();
      }
    }
    return flops;
  };
  for (const Net& net : networks) {
    const double whole = products(net);
    // A bias costs an addition per output, which is counted with its own layer now.
    EXPECT_NEAR(products(*cut_units(net, {GetParam(), {}, {}})), whole, 0.02 * whole) << net.name;
  }
}

TEST(CutUnits, UnitsAreAsEqualAsCanBe) {
  const Net cut = *cut_units(gpt(), {4, {}, {}});
  std::vector<std::int64_t> heads, hidden;
  for (const Unit& unit : cut.units) {
    if (unit.width == 0) heads.push_back(unit.channels);
    if (unit.width == 1) hidden.push_back(unit.channels);
  }
  EXPECT_THAT(heads, ElementsAre(1, 2, 1, 2));
  EXPECT_THAT(hidden, ElementsAre(24, 24, 24, 24));
  EXPECT_EQ(cut.units.front().name, "decoder1.attention[0:1]");
}

// With half of every width, a worker has half of what is in units.
TEST(CutUnits, HalfOfTheUnitsIsHalfOfTheirParameters) {
  const Net cut = *cut_units(resnet("resnet20"), {4, {}, {}});
  Subnetwork half = full_subnetwork(cut);
  for (std::size_t u = 0; u < half.holds.size(); ++u)
    half.holds[u] = u % 4 < 2;
  const Net own = restrict(cut, half);
  std::int64_t held = 0, shared = 0, all = 0;
  for (const Parameter& parameter : cut.parameters)
    (parameter.unit ? all : shared) += parameter.shape.elements();
  for (const ParameterId id : parameters_of(own, SegmentId(0), end_segment(own)))
    held += cut.parameters[id.index()].shape.elements();
  EXPECT_EQ(held, shared + all / 2);
}

TEST(CutUnits, SaysWhatItCannotCut) {
  EXPECT_EQ(error_of(gpt(), 8),
            "decoder1.qkv has 6 channels or groups of heads, fewer than the 8 units that it is "
            "cut into; 'axes: [hidden]' works");
  const Net net = resnet("resnet20");
  const Net bare = restrict(net, {std::vector<bool>(net.units.size(), false)});
  EXPECT_EQ(error_of(bare, 2),
            "network 'resnet20' has no inner width, such as hidden units between two products");
}

}  // namespace
}  // namespace rehearse
