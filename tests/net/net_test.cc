#include "model/net/net.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/net/alike.h"
#include "model/net/lowering.h"
#include "model/net/model_spec.h"
#include "model/net/net_builder.h"
#include "model/net/tensor.h"

namespace rehearse {
namespace {

Net resnet20() {
  return *build_net({"resnet20", {{"image", {28, 28, 1}}, {"classes", {10}}}});
}

std::size_t layer_count(const Net& net) {
  std::size_t count = 0;
  for (const Segment& segment : net.segments)
    count += segment.layers.size();
  return count;
}

TEST(Restrict, WithEverythingHeldChangesNothing) {
  const Net net = resnet20();
  const Net same = restrict(net, full_subnetwork(net));
  EXPECT_EQ(layer_count(same), layer_count(net));
  EXPECT_EQ(flops_of(same, 1).total(), flops_of(net, 1).total());
}

TEST(Restrict, WithNothingHeldLeavesStemProjectionsAndHead) {
  const Net net = resnet20();
  const Net bare = restrict(net, {std::vector<bool>(net.units.size(), false)});
  // Stem 3 layers; two projections of 2 layers and their ReLU; head 3 layers.
  EXPECT_EQ(layer_count(bare), 3u + 2 * 3 + 3);
  std::int64_t held = 0;
  for (const ParameterId p : parameters_of(bare, SegmentId(0), end_segment(bare))) {
    EXPECT_FALSE(net.parameters[p.index()].unit.has_value());
    held += net.parameters[p.index()].shape.elements();
  }
  // Stem 9*16 + 32, projections 16*32 + 64 and 32*64 + 128, head 64*10 + 10.
  EXPECT_EQ(held, 176 + 576 + 2176 + 650);
}

TEST(Restrict, CostsAddUpUnitByUnit) {
  const Net net = resnet20();
  const double full = flops_of(net, 4).total().flops();
  double dropped = 0;
  for (std::size_t u = 0; u < net.units.size(); ++u) {
    Subnetwork without = full_subnetwork(net);
    without.holds[u] = false;
    dropped += full - flops_of(restrict(net, without), 4).total().flops();
  }
  const double bare =
      flops_of(restrict(net, {std::vector<bool>(net.units.size(), false)}), 4).total().flops();
  EXPECT_NEAR(dropped + bare, full, full * 1e-12);
}

// Input gradients flow through what is frozen; of its weights there are none.
TEST(Freeze, LeavesOutWeightGradientsAlone) {
  const Net net = resnet20();
  const PassFlops whole = flops_of(net, 4);
  EXPECT_EQ(flops_of(freeze(net, full_subnetwork(net)), 4).total(), whole.total());
  const Net bare = restrict(net, {std::vector<bool>(net.units.size(), false)});
  const Net frozen = freeze(net, {std::vector<bool>(net.units.size(), false)});
  EXPECT_EQ(layer_count(frozen), layer_count(net));
  const PassFlops left = flops_of(frozen, 4);
  EXPECT_EQ(left.forward, whole.forward);
  EXPECT_EQ(left.backward_input, whole.backward_input);
  EXPECT_EQ(left.backward_weight, flops_of(bare, 4).backward_weight);
}

Net small_gpt(std::int64_t dropout) {
  return *build_net({"gpt", {{"layers", {3}}, {"width", {24}}, {"dropout", {dropout}}}});
}

// Products need not keep their inputs: that is felt in a transformer. In a residual network the
// activations keep them as their outputs.
TEST(Freeze, KeepsWhatInputGradientsRead) {
  for (const Net& net : {resnet20(), small_gpt(0)}) {
    const Net frozen = freeze(net, {std::vector<bool>(net.units.size(), false)});
    const SegmentId end = end_segment(net);
    const Bytes all = lower(net, SegmentId(0), end, Pass::forward, 2, {}).saved;
    const Bytes kept = lower(frozen, SegmentId(0), end, Pass::forward, 2, {}).saved;
    EXPECT_TRUE(net.name == "gpt" ? kept < all : kept == all) << net.name;
    const Lowering backward = lower(frozen, SegmentId(0), end, Pass::backward, 2, {});
    for (const ParameterId p : parameters_differentiated(frozen, backward))
      EXPECT_FALSE(net.parameters[p.index()].unit.has_value()) << net.parameters[p.index()].name;
    for (const KernelStep& step : backward.steps) {
      if (step.kind != KernelKind::backward_weight) continue;
      EXPECT_FALSE(frozen.layers[step.layer.index()].frozen);
    }
  }
}

std::size_t dropout_count(const Net& net) {
  std::size_t count = 0;
  for (const Segment& segment : net.segments) {
    for (const LayerId id : segment.layers)
      count += std::holds_alternative<Dropout>(net.layers[id.index()].spec) ? 1 : 0;
  }
  return count;
}

// Who computes what from what, by name.
std::vector<std::string> wiring(const Net& net) {
  std::vector<std::string> lines;
  for (const Segment& segment : net.segments) {
    for (const LayerId id : segment.layers) {
      lines.push_back(net.layers[id.index()].name);
      for (const ValueId input : net.layers[id.index()].inputs)
        lines.back() += " " + net.values[input.index()].name;
    }
  }
  return lines;
}

TEST(WithoutDropout, IsTheNetworkThatHasNone) {
  const Net dropping = small_gpt(100'000);
  EXPECT_EQ(dropout_count(dropping), 1u + 2 * 3);
  const Net without = without_dropout(dropping);
  EXPECT_EQ(wiring(without), wiring(small_gpt(0)));
  EXPECT_EQ(parameter_count(without), parameter_count(dropping));
}

// A unit's dropout goes with it; what is behind the embedding stays.
TEST(Restrict, DropsTheDropoutOfAUnit) {
  const Net net = small_gpt(100'000);
  Subnetwork held = full_subnetwork(net);
  held.holds[1] = false;
  EXPECT_EQ(dropout_count(restrict(net, held)), 1u + 2 * 2);
}

TEST(Finish, TheInputNeedsNoGradientAndEveryLayerAfterTheFirstParameterDoes) {
  const Net net = resnet20();
  EXPECT_FALSE(net.values[net.input.index()].needs_gradient);
  for (const Layer& layer : net.layers) {
    EXPECT_TRUE(net.values[layer.output.index()].needs_gradient) << layer.name;
  }
}

TEST(Finish, ActivationsWorkInPlaceOnlyOnWhatNobodyElseReads) {
  const Net net = resnet20();
  for (const Layer& layer : net.layers) {
    const bool expected =
        std::holds_alternative<Relu>(layer.spec) || std::holds_alternative<Add>(layer.spec);
    EXPECT_EQ(layer.in_place, expected) << layer.name;
  }
}

// What crosses a cut, by reading all that is behind it.
std::vector<ValueId> read_behind(const Net& net, SegmentId cut) {
  std::vector<ValueId> found;
  for (std::size_t s = cut.index(); s < net.segments.size(); ++s) {
    for (const LayerId id : net.segments[s].layers) {
      for (const ValueId input : net.layers[id.index()].inputs) {
        const auto producer = net.values[input.index()].producer;
        const bool crosses = producer && net.layers[producer->index()].segment < cut;
        if (crosses && std::find(found.begin(), found.end(), input) == found.end())
          found.push_back(input);
      }
    }
  }
  return found;
}

// Two values go past a segment that reads neither, and are read last made first.
Net past_a_segment() {
  NetBuilder net("past", {{4}}, ValueType::real, {{1}});
  net.begin_block("block");
  net.begin_segment("makes");
  const ValueId first = net.add("first", Linear{4, 4, false}, {net.input()});
  const ValueId second = net.add("second", Linear{4, 4, false}, {net.input()});
  net.begin_segment("passes");
  const ValueId third = net.add("third", Linear{4, 4, false}, {net.input()});
  net.begin_segment("reads");
  const ValueId sum = net.add("sum", Add{1}, {third, net.add("both", Add{1}, {second, first})});
  return net.finish(net.add("loss", CrossEntropy{4}, {sum, net.labels()}));
}

TEST(ValuesAcross, AreReadBehindTheCutInThisOrder) {
  const Net resnet = resnet20(), gpt = small_gpt(0);
  const BlockRun run = longest_run(alike_blocks(gpt));
  const Subnetwork nothing{std::vector<bool>(resnet.units.size(), false)};
  std::size_t most = 0;
  for (const Net& net :
       {past_a_segment(), resnet, restrict(resnet, nothing), small_gpt(100'000),
        without_dropout(small_gpt(100'000)), without_blocks(gpt, run.begin + 1, run.end),
        shard(gpt, 2, false).value(), shard(gpt, 2, true).value()}) {
    for (std::size_t s = 0; s <= net.segments.size(); ++s) {
      EXPECT_EQ(values_across(net, SegmentId(s)), read_behind(net, SegmentId(s))) << s;
      most = std::max(most, values_across(net, SegmentId(s)).size());
    }
  }
  EXPECT_GT(most, 1U) << "an order to keep";
}

TEST(ScaleBranches, TouchesOnlyUnits) {
  const Net net = scale_branches(resnet20(), 0.5);
  for (const Layer& layer : net.layers) {
    if (const auto* add = std::get_if<Add>(&layer.spec)) {
      EXPECT_EQ(add->branch_scale, 0.5);
    }
  }
}

}  // namespace
}  // namespace rehearse
