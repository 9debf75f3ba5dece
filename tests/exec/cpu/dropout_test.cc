// Which elements dropout keeps, on every backend: a function of what Draws says and nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/exec/cpu/layer_runner.h"

namespace rehearse::exec {
namespace {

// No multiple of a group of counters, of a vector or of what a thread takes.
constexpr std::int64_t kElements = 1003;

class DropoutMask : public testing::TestWithParam<std::string_view> {
 protected:
  LayerOutcome outcome(double rate, std::int64_t samples, const Draws& draws, int threads = 1) {
    const auto backend = make_backend(GetParam(), DataType::fp32, {.threads = threads});
    const LayerCase layer{"", Dropout{rate}, {{{kElements}}}, samples};
    const std::vector<double> ones(static_cast<std::size_t>(samples * kElements), 1);
    return run_layer(*backend, layer, {{ones}, {}, ones}, {.draws = draws});
  }
  std::vector<double> mask(double rate, std::int64_t samples, const Draws& draws) {
    return outcome(rate, samples, draws).output;
  }
};

Draws of(std::uint64_t seed, std::int64_t first_sample = 0) {
  return {seed, 0, LayerId(0), first_sample};
}

double kept(const std::vector<double>& mask) {
  return static_cast<double>(mask.size()) -
         static_cast<double>(std::count(mask.begin(), mask.end(), 0.0));
}

// n elements are kept with probability p each: the count's mean is n p, its deviation
// sqrt(n p (1 - p)); five of them are allowed, and the draws are fixed.
TEST_P(DropoutMask, KeepsItsShareAndScalesIt) {
  constexpr std::int64_t kSamples = 100;
  for (const double rate : {0.1, 0.5, 0.9}) {
    const std::vector<double> y = mask(rate, kSamples, of(1));
    const auto n = static_cast<double>(y.size());
    EXPECT_NEAR(kept(y), n * (1 - rate), 5 * std::sqrt(n * rate * (1 - rate))) << rate;
    for (const double value : y)
      EXPECT_TRUE(value == 0 || value == static_cast<float>(1 / (1 - rate))) << value;
  }
}

// Two masks that know nothing of each other agree in p^2 + (1 - p)^2 of their elements: half of
// them at p = 1/2, give or take sqrt(n) / 2.
TEST_P(DropoutMask, DiffersWhereAnyDrawDiffers) {
  constexpr std::int64_t kSamples = 10;
  const Draws draws{.seed = 3, .step = 5, .layer = LayerId(7), .first_sample = 11};
  const std::vector<double> one = mask(0.5, kSamples, draws);
  std::vector<Draws> others(5, draws);
  others[0].seed += 1;
  others[1].seed += std::uint64_t{1} << 32;
  others[2].step += 1;
  others[3].layer = LayerId(8);
  others[4].first_sample += kSamples;
  for (std::size_t i = 0; i < others.size(); ++i) {
    const std::vector<double> other = mask(0.5, kSamples, others[i]);
    double same = 0;
    for (std::size_t e = 0; e < one.size(); ++e)
      same += one[e] == other[e] ? 1 : 0;
    const auto n = static_cast<double>(one.size());
    EXPECT_NEAR(same, n / 2, 5 * std::sqrt(n) / 2) << "draws " << i;
  }
}

// A sample has the same mask whichever micro-batch it is in.
TEST_P(DropoutMask, IsTheSamplesHoweverTheBatchIsCut) {
  constexpr std::int64_t kSamples = 6;
  const std::vector<double> whole = mask(0.3, kSamples, of(2));
  for (const std::int64_t part : {1, 2, 3}) {
    std::vector<double> parts;
    for (std::int64_t first = 0; first < kSamples; first += part) {
      const std::vector<double> next = mask(0.3, part, of(2, first));
      parts.insert(parts.end(), next.begin(), next.end());
    }
    EXPECT_EQ(parts, whole) << part << " samples at a time";
  }
}

// Drawn again: gradients pass where values did, times the same factor. On any number of threads.
TEST_P(DropoutMask, IsThatOfTheForwardPassInBackward) {
  const Draws draws = of(9);
  const LayerOutcome alone = outcome(0.4, 20, draws);
  EXPECT_EQ(alone.input_gradients[0], alone.output);
  const LayerOutcome shared = outcome(0.4, 20, draws, 3);
  EXPECT_EQ(shared.output, alone.output);
  EXPECT_EQ(shared.input_gradients, alone.input_gradients);
}

INSTANTIATE_TEST_SUITE_P(Backends, DropoutMask, testing::ValuesIn(backend_names()),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace rehearse::exec
