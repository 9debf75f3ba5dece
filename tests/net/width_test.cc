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
  const Result<Net> cut = split_widths(net, units);
  return cut ? "" : cut.errors().front().message;
}

// Attention and feed-forward part of each decoder; the first convolution of each basic block and
// bottleneck; every second hidden layer, from the first.
TEST(SplitWidths, FindsTheInnerWidths) {
  EXPECT_EQ(widths_of(*split_widths(gpt(), 3)), 2u * 2);
  EXPECT_EQ(widths_of(*split_widths(llama(), 4)), 3u * 2);
  EXPECT_EQ(widths_of(*split_widths(resnet("resnet20"), 4)), 9u);
  EXPECT_EQ(widths_of(*split_widths(resnet("resnet50"), 4)), 16u);
  EXPECT_EQ(widths_of(*split_widths(mlp({8}), 4)), 1u);
  EXPECT_EQ(widths_of(*split_widths(mlp({8, 9}), 4)), 1u);
  EXPECT_EQ(widths_of(*split_widths(mlp({8, 9, 8, 9}), 4)), 2u);
}

class CutNet : public testing::TestWithParam<std::int64_t> {
 protected:
  std::vector<Net> networks = {gpt(), llama(), resnet("resnet20"), resnet("resnet50"),
                               mlp({12, 7, 9})};
};
INSTANTIATE_TEST_SUITE_P(Units, CutNet, testing::Values(1, 2, 3, 4));

// Every element of a cut parameter is in exactly one slice, and a slice has as many as its shape.
TEST_P(CutNet, SlicesPartitionTheirParameters) {
  for (const Net& net : networks) {
    const Net cut = *split_widths(net, GetParam());
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
    EXPECT_NEAR(products(*split_widths(net, GetParam())), whole, 0.02 * whole) << net.name;
  }
}

TEST(SplitWidths, UnitsAreAsEqualAsCanBe) {
  const Net cut = *split_widths(gpt(), 4);
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
TEST(SplitWidths, HalfOfTheUnitsIsHalfOfTheirParameters) {
  const Net cut = *split_widths(resnet("resnet20"), 4);
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

TEST(SplitWidths, SaysWhatItCannotCut) {
  EXPECT_EQ(error_of(gpt(), 8),
            "decoder1.qkv has 6 channels or groups of heads, fewer than the 8 workers that are to "
            "share them");
  const Net net = resnet("resnet20");
  const Net bare = restrict(net, {std::vector<bool>(net.units.size(), false)});
  EXPECT_EQ(error_of(bare, 2),
            "network 'resnet20' has no inner width, such as hidden units between two products");
}

}  // namespace
}  // namespace rehearse
