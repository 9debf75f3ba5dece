// Whole networks through their lowering, in double: proves lowering and kernels together.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/base/random.h"
#include "model/net/width.h"
#include "tests/exec/cpu/net_runner.h"

namespace rehearse::exec {
namespace {

class ReferenceNet : public testing::TestWithParam<NetCase> {
 protected:
  NetOutcome run(Cuts cuts, Pass until) {
    return run_net(*backend, GetParam().net, data, GetParam().samples, cuts, until);
  }
  double mean_loss() {
    const auto losses = run(Cuts::none, Pass::forward).losses;
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
  }
  // Central difference of the mean loss. A small step, so that few ReLUs change sign within it; the
  // rounding of the loss, 1e-16 / 1e-6, is far below the tolerance.
  double slope(double& parameter) {
    constexpr double kStep = 1e-6;
    const double centre = parameter;
    parameter = centre + kStep;
    const double above = mean_loss();
    parameter = centre - kStep;
    const double below = mean_loss();
    parameter = centre;
    return (above - below) / (2 * kStep);
  }

  std::unique_ptr<Backend> backend = make_reference_backend(DataType::fp64);
  NetData data = draw(GetParam().net, GetParam().samples, 3);
};

TEST_P(ReferenceNet, GradientsAreSlopesOfTheMeanLoss) {
  const NetOutcome outcome = run(Cuts::none, Pass::backward);
  Random random(4);
  for (std::size_t p = 0; p < data.parameters.size(); ++p) {
    if (outcome.gradients[p].empty()) continue;
    for (int draws = 0; draws < 2; ++draws) {
      const std::size_t i = random.below(data.parameters[p].size());
      const double gradient = outcome.gradients[p][i];
      EXPECT_NEAR(gradient, slope(data.parameters[p][i]), 1e-7 * (1 + std::abs(gradient)))
          << GetParam().net.parameters[p].name << " element " << i;
    }
  }
}

// Cutting the network into ops moves tensors into buffers; the kernels and, but for the order in
// which a value's gradients meet, the sums stay the same.
TEST_P(ReferenceNet, CutsDoNotChangeGradients) {
  const NetOutcome whole = run(Cuts::none, Pass::backward);
  const NetOutcome cut = run(Cuts::every_segment, Pass::backward);
  EXPECT_EQ(whole.losses, cut.losses);
  for (std::size_t p = 0; p < whole.gradients.size(); ++p) {
    ASSERT_EQ(whole.gradients[p].size(), cut.gradients[p].size());
    for (std::size_t i = 0; i < whole.gradients[p].size(); ++i) {
      EXPECT_NEAR(whole.gradients[p][i], cut.gradients[p][i], 1e-12)
          << GetParam().net.parameters[p].name;
    }
  }
}

// Input gradients first, weight gradients much later: the kernels are the same.
TEST_P(ReferenceNet, SplittingBackwardDoesNotChangeGradients) {
  for (const Cuts cuts : {Cuts::none, Cuts::every_segment}) {
    const NetOutcome whole = run(cuts, Pass::backward);
    const NetOutcome split = run(cuts, Pass::backward_weight);
    EXPECT_EQ(whole.losses, split.losses);
    for (std::size_t p = 0; p < whole.gradients.size(); ++p) {
      ASSERT_EQ(whole.gradients[p].size(), split.gradients[p].size());
      for (std::size_t i = 0; i < whole.gradients[p].size(); ++i) {
        // Tied parameters' two gradients are added in another order.
        EXPECT_NEAR(whole.gradients[p][i], split.gradients[p][i], 1e-12)
            << GetParam().net.parameters[p].name;
      }
    }
  }
}

// Exactly the parameters of layers that are left have gradients.
TEST_P(ReferenceNet, EveryUsedParameterHasAGradient) {
  const Net& net = GetParam().net;
  std::vector<bool> used(net.parameters.size(), false);
  for (const ParameterId p : parameters_of(net, SegmentId(0), end_segment(net))) {
    used[p.index()] = true;
  }
  const NetOutcome outcome = run(Cuts::none, Pass::backward);
  for (std::size_t p = 0; p < used.size(); ++p) {
    EXPECT_EQ(used[p], !outcome.gradients[p].empty()) << net.parameters[p].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Nets, ReferenceNet, testing::ValuesIn(net_cases()),
                         [](const auto& info) { return info.param.name; });

// What a slice has of a whole parameter's numbers.
std::vector<double> sliced(const Parameter& parameter, const std::vector<double>& whole) {
  if (!parameter.slice) return whole;
  std::vector<double> part;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (parameter.slice->contains(static_cast<std::int64_t>(i))) part.push_back(whole[i]);
  }
  return part;
}

// Whole networks that no widths are cut in yet. Dropout within a width is left out: every unit
// draws a mask of its own.
std::vector<NetCase> whole_cases() {
  std::vector<NetCase> cases = net_cases();
  std::erase_if(cases, [](const NetCase& it) {
    const auto used = parameters_of(it.net, SegmentId(0), end_segment(it.net)).size();
    const bool is_cut = !it.net.units.empty() && it.net.units.front().width;
    if (is_cut || used < it.net.parameters.size()) return true;
    const Net cut = *cut_units(it.net, {2, {}, {}});
    return std::any_of(cut.layers.begin(), cut.layers.end(), [](const Layer& layer) {
      return layer.unit && std::holds_alternative<Dropout>(layer.spec);
    });
  });
  return cases;
}

class WholeNet : public ReferenceNet {};

// A network cut into the units of its widths computes the same sums in another order.
TEST_P(WholeNet, CutWidthsAddUpToIt) {
  const Net& net = GetParam().net;
  const Result<Net> cut = cut_units(net, {2, {}, {}});
  ASSERT_TRUE(cut.ok()) << format(cut.errors());
  NetData parts = data;
  parts.parameters.clear();
  const auto number = [](ParameterId id, const Parameter& p) {
    return p.drawn_as.value_or(id).index();
  };
  for (std::size_t p = 0; p < cut->parameters.size(); ++p) {
    const Parameter& own = cut->parameters[p];
    parts.parameters.push_back(sliced(own, data.parameters[number(ParameterId(p), own)]));
  }
  const NetOutcome whole = run(Cuts::none, Pass::backward);
  const NetOutcome sum =
      run_net(*backend, *cut, parts, GetParam().samples, Cuts::none, Pass::backward);
  for (std::size_t l = 0; l < whole.losses.size(); ++l)
    EXPECT_NEAR(whole.losses[l], sum.losses[l], 1e-12);
  for (std::size_t p = 0; p < cut->parameters.size(); ++p) {
    const Parameter& own = cut->parameters[p];
    const auto expected = sliced(own, whole.gradients[number(ParameterId(p), own)]);
    ASSERT_EQ(expected.size(), sum.gradients[p].size()) << own.name;
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(expected[i], sum.gradients[p][i], 1e-11) << own.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Nets, WholeNet, testing::ValuesIn(whole_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace rehearse::exec
