// Structure, never speed: other programs may take the cores away at any time.
#include "exec/measure/measure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "cost/calibrate.h"
#include "tests/exec/measure/small_networks.h"

namespace rehearse::exec {
namespace {

using testing::in_short;
using testing::small_networks;

Samples measured(std::size_t ranks, std::string_view backend_name) {
  Samples samples;
  run_local(ranks, [&](Transport& transport) {
    const auto backend = make_backend(backend_name);
    const Samples mine =
        measure(transport, *backend, in_short(Seconds::seconds(0.3), small_networks()));
    if (transport.rank().index() == 0) {
      samples = mine;
    } else {
      EXPECT_TRUE(mine.kernels.empty());
    }
  });
  return samples;
}

// resnet20 has no attention and one kind of matrix product; its convolutions are its own.
TEST(MeasureOthers, FillInWhatTheNetworksHardlyHave) {
  const std::vector<MeasuredNet> all = small_networks();
  const auto samples_with = [&](std::vector<MeasuredNet> others) {
    Samples samples;
    run_local(1, [&](Transport& transport) {
      const auto backend = make_onednn_backend();
      MeasureOptions options = in_short(Seconds::seconds(0.2), {all[1]});
      options.others = std::move(others);
      samples = measure(transport, *backend, options);
    });
    std::map<KernelClass, int> counts;
    for (const KernelSample& sample : samples.kernels)
      ++counts[sample.kernel];
    return counts;
  };
  auto alone = samples_with({}), filled = samples_with({all[4]});
  EXPECT_EQ(alone[KernelClass::attention], 0);
  EXPECT_GT(filled[KernelClass::attention], 0);
  EXPECT_GT(filled[KernelClass::matrix_product], alone[KernelClass::matrix_product]);
  EXPECT_EQ(filled[KernelClass::convolution], alone[KernelClass::convolution]);
  EXPECT_EQ(filled[KernelClass::normalization], alone[KernelClass::normalization]);
}

// What is said of networks, in order, and the samples.
struct Told {
  std::vector<std::string> networks;
  Samples samples;
};

Told told_of(std::vector<MeasuredNet> networks, std::vector<MeasuredNet> others, Clock now,
             std::size_t ranks = 1) {
  Told told;
  run_local(ranks, [&](Transport& transport) {
    const auto backend = make_reference_backend(DataType::fp32);
    MeasureOptions options{Seconds::seconds(0.01), networks, others, {}};
    options.now = now;
    options.progress = [&](const std::string& line) {
      if (line.ends_with(" samples")) told.networks.push_back(line);
    };
    const Samples mine = measure(transport, *backend, options);
    if (transport.rank() == RankId(0)) told.samples = mine;
  });
  return told;
}

// All together have four kernels of every class, so that nobody else is needed; resnet20 alone has
// not.
TEST(MeasureOthers, AreThoseThatHaveWhatIsMissing) {
  const std::vector<MeasuredNet> all = small_networks();
  const auto still = [] { return Seconds{}; };
  EXPECT_EQ(told_of(all, {all[1], all[2]}, still).networks.size(), all.size());
  EXPECT_EQ(
      told_of({all[0]}, {all[1], all[2]}, still).networks,
      (std::vector<std::string>{"kernels of resnet20, 2 samples", "kernels of resnet20, 8 samples",
                                "kernels of gpt, 1 samples"}));
}

// An hour passes between any two looks at the clock: no step fits the time, so one is measured, of
// the first network, and it has to do.
TEST(MeasureDeadline, LeavesOneStepOfTheFirstNetwork) {
  const std::vector<MeasuredNet> all = small_networks();
  double hours = 0;
  const Told told =
      told_of({all[0], all[1]}, {all[2]}, [&] { return Seconds::seconds(3600 * hours++); });
  EXPECT_EQ(told.networks,
            (std::vector<std::string>{"kernels of resnet20, 2 samples",
                                      "left out, the time is up: resnet20, 8 samples",
                                      "left out, the time is up: gpt, 1 samples"}));
  ASSERT_EQ(told.samples.steps.size(), 1u);
  EXPECT_EQ(told.samples.steps[0].repeats.size(), 1u);
  for (const KernelSample& s : told.samples.kernels) {
    if (s.step) {
      EXPECT_EQ(s.runs, s.calls) << s.what;
    }
  }
  ASSERT_EQ(told.samples.capacity.size(), 2u);
  EXPECT_EQ(print(parse_samples(print(told.samples), "samples.json").value()), print(told.samples));
}

// Ranks whose clocks disagree follow the first one's.
TEST(MeasureDeadline, IsTheFirstRanks) {
  std::atomic<std::int64_t> looks = 0;
  const Told told = told_of(
      {small_networks()[0]}, {}, [&] { return Seconds::seconds(static_cast<double>(looks++)); }, 3);
  EXPECT_EQ(told.samples.capacity.size(), 6u);
}

class Measure : public ::testing::TestWithParam<std::string_view> {};

TEST_P(Measure, HasPositiveSamplesOfEverything) {
  const Samples samples = measured(4, GetParam());
  std::set<KernelClass> classes;
  std::set<std::string> kernels;
  for (const KernelSample& s : samples.kernels) {
    classes.insert(s.kernel);
    kernels.insert(s.what);
    EXPECT_GT(s.best, Seconds{}) << s.what;
    EXPECT_LE(s.best, s.seconds) << s.what;
    EXPECT_GE(s.runs, 3) << s.what;
  }
  EXPECT_EQ(classes.size(), static_cast<std::size_t>(kKernelClassCount));
  for (const char* kernel : {"conv2d k3 s1 8x8x16 -> 8x8x16 n8 forward",
                             "conv2d k3 s1 8x8x16 -> 8x8x16 n8 backward_input",
                             "conv2d k3 s1 8x8x16 -> 8x8x16 n8 backward_weight"}) {
    EXPECT_EQ(kernels.count(kernel), 1u) << kernel;
  }
  for (const MessageSample& s : samples.messages)
    EXPECT_GT(s.round_trip, Seconds{});
  for (const CollectiveSample& s : samples.collectives) {
    EXPECT_EQ(s.ranks, 4);
    EXPECT_GT(s.seconds, Seconds{});
    EXPECT_GE(s.repeats.size(), 12u);
  }
  EXPECT_GE(samples.collectives.size(), 4u);
  for (const ReduceSample& s : samples.reductions)
    EXPECT_GT(s.seconds, Seconds{});
  for (const CopySample& s : samples.copies)
    EXPECT_GT(s.seconds, Seconds{});
  for (const CapacitySample& s : samples.capacity)
    EXPECT_GT(s.work, 0);
  EXPECT_FALSE(samples.reductions.empty());
  EXPECT_EQ(samples.host.ranks, 4);
  EXPECT_EQ(samples.host.backend, GetParam());
  EXPECT_GE(samples.host.cores, 1);
  EXPECT_GT(samples.host.memory, Bytes{});
}

// One pair and both; each of two kernels on 1 to 4 ranks, relative to one; one rank and all.
TEST_P(Measure, CountsRanks) {
  const Samples samples = measured(4, GetParam());
  std::set<std::int64_t> pairs, copying;
  for (const MessageSample& s : samples.messages)
    pairs.insert(s.pairs);
  for (const CopySample& s : samples.copies)
    copying.insert(s.ranks);
  EXPECT_EQ(pairs, (std::set<std::int64_t>{1, 2}));
  EXPECT_EQ(copying, (std::set<std::int64_t>{1, 4}));
  ASSERT_EQ(samples.capacity.size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(samples.capacity[i].busy, static_cast<std::int64_t>(i % 4 + 1));
    if (i % 4 == 0) {
      EXPECT_EQ(samples.capacity[i].work, 1.0);
    }
  }
  EXPECT_NE(samples.capacity[0].kernel, samples.capacity[4].kernel);
}

TEST_P(Measure, SurvivesItsFileAndAFit) {
  const Samples samples = measured(2, GetParam());
  const Samples read = parse_samples(print(samples), "samples.json").value();
  EXPECT_EQ(print(read), print(samples));
  const Result<Calibration> calibration = calibrate(read, {});
  ASSERT_TRUE(calibration);
  EXPECT_EQ(calibration->device.capacity.size(), 2u);
  Seconds measured_total, priced_total;
  for (const KernelSample& s : read.kernels) {
    const auto calls = static_cast<double>(s.calls);
    measured_total += calls * s.seconds;
    priced_total += calls * price(calibration->device, s.kernel, s.flops, s.traffic);
  }
  EXPECT_NEAR(priced_total / measured_total, 1, 0.25) << "the fit keeps totals, see calibrate.h";
  for (const ClassFit& fit : calibration->classes) {
    EXPECT_FALSE(fit.borrowed_from) << to_string(fit.kernel);
  }
}

// A step's kernels, each as often as it is called, take what the step took: medians of kernels, so
// about half of it at least, and not much more than its longest run.
TEST_P(Measure, StepsAreMadeOfTheirKernels) {
  const Samples samples = measured(2, GetParam());
  ASSERT_EQ(samples.steps.size(), small_networks().size());
  std::vector<Seconds> of_kernels(samples.steps.size());
  for (const KernelSample& s : samples.kernels) {
    if (s.step) of_kernels.at(*s.step) += static_cast<double>(s.calls) * s.seconds;
  }
  for (std::size_t s = 0; s < samples.steps.size(); ++s) {
    const StepSample& step = samples.steps[s];
    EXPECT_EQ(step.network, small_networks()[s].net.name);
    EXPECT_EQ(step.samples, small_networks()[s].samples);
    ASSERT_GE(step.repeats.size(), 3u);
    EXPECT_LE(step.repeats.size(), 100u);
    EXPECT_GT(of_kernels[s], Seconds{});
    EXPECT_LT(of_kernels[s], 1.5 * *std::max_element(step.repeats.begin(), step.repeats.end()));
  }
}

TEST(MeasureAlone, HasNoMessages) {
  const Samples samples = measured(1, "reference");
  EXPECT_TRUE(samples.messages.empty());
  EXPECT_TRUE(samples.collectives.empty());
  EXPECT_EQ(samples.capacity.size(), 2u);
  EXPECT_FALSE(samples.kernels.empty());
}

INSTANTIATE_TEST_SUITE_P(Backends, Measure, ::testing::ValuesIn(backend_names()),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace rehearse::exec
