#include "exec/data/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

namespace rehearse::exec {
namespace {

const SampleFormat kImages{ValueType::real, {{6, 6, 2}}, {{1}}, 5};
const SampleFormat kTokens{ValueType::index, {{64}}, {{64}}, 20};
constexpr std::size_t kPixels = 6 * 6 * 2;

std::unique_ptr<Dataset> open(const SampleFormat& format, std::uint64_t seed = 1) {
  return open_dataset({"synthetic", format, seed, {}}).value();
}

std::vector<float> pixels(const Dataset& data, Split split, std::int64_t number) {
  std::vector<float> pixels(kPixels);
  data.copy_pixels(split, {&number, 1}, pixels);
  return pixels;
}

std::int32_t label(const Dataset& data, Split split, std::int64_t number) {
  std::int32_t label = 0;
  data.copy_labels(split, {&number, 1}, {&label, 1});
  return label;
}

TEST(SyntheticImages, SamplesDependOnSeedSplitAndNumberOnly) {
  const auto data = open(kImages), again = open(kImages), other = open(kImages, 2);
  const std::vector<float> sample = pixels(*data, Split::train, 7);
  EXPECT_EQ(pixels(*again, Split::train, 7), sample);
  EXPECT_NE(pixels(*other, Split::train, 7), sample);
  EXPECT_NE(pixels(*data, Split::test, 7), sample);
  EXPECT_NE(pixels(*data, Split::train, 12), sample);  // of the same class: 12 = 7 mod 5
}

TEST(SyntheticImages, ABatchIsItsSamplesOneAfterAnother) {
  const auto data = open(kImages);
  const std::vector<std::int64_t> numbers = {9, 3};
  std::vector<float> batch(2 * kPixels);
  data->copy_pixels(Split::train, numbers, batch);
  std::vector<float> expected = pixels(*data, Split::train, 9);
  const std::vector<float> second = pixels(*data, Split::train, 3);
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(batch, expected);
}

// Prototype and noise lie in [-1, 1) each; the noise's mean is 0, so that the mean of k samples of
// a class is its prototype up to sqrt(1 / (3 k)): 0.029 for 400; five of these are 0.15.
TEST(SyntheticImages, SamplesLieAroundTheirPrototype) {
  const auto data = open(kImages);
  std::vector<double> mean(kPixels);
  for (int k = 0; k < 400; ++k) {
    const std::vector<float> sample = pixels(*data, Split::train, 5 * k + 2);
    for (std::size_t i = 0; i < kPixels; ++i)
      mean[i] += static_cast<double>(sample[i]) / 400;
  }
  const std::vector<float> test = pixels(*data, Split::test, 2);
  for (std::size_t i = 0; i < kPixels; ++i) {
    EXPECT_LE(std::abs(mean[i]), 1 + 0.15);
    EXPECT_LE(std::abs(static_cast<double>(test[i]) - mean[i]), 1 + 0.15);
  }
}

// What a network can learn: the nearest class mean of 200 training samples tells test samples.
TEST(SyntheticImages, AreLearnable) {
  const auto data = open(kImages);
  std::vector<std::vector<double>> means(5, std::vector<double>(kPixels));
  for (std::int64_t n = 0; n < 200; ++n) {
    const std::vector<float> sample = pixels(*data, Split::train, n);
    auto& mean = means[static_cast<std::size_t>(label(*data, Split::train, n))];
    for (std::size_t i = 0; i < kPixels; ++i)
      mean[i] += static_cast<double>(sample[i]) / 40;
  }
  const auto nearest_class = [&](const std::vector<float>& sample) {
    std::vector<double> distances;
    for (const auto& mean : means) {
      distances.push_back(std::transform_reduce(
          sample.begin(), sample.end(), mean.begin(), 0.0, std::plus<>(), [](float x, double m) {
            return (static_cast<double>(x) - m) * (static_cast<double>(x) - m);
          }));
    }
    return std::min_element(distances.begin(), distances.end()) - distances.begin();
  };
  int right = 0;
  for (std::int64_t n = 0; n < 100; ++n) {
    right += nearest_class(pixels(*data, Split::test, n)) == label(*data, Split::test, n);
  }
  EXPECT_GE(right, 95);
}

// 16,384 = 5 * 3276 + 4.
TEST(SyntheticImages, ClassesAreBalanced) {
  const auto data = open(kImages);
  std::vector<int> count(5);
  for (std::int64_t n = 0; n < data->samples(Split::train); ++n) {
    ++count[static_cast<std::size_t>(label(*data, Split::train, n))];
  }
  EXPECT_THAT(count, testing::ElementsAre(3277, 3277, 3277, 3277, 3276));
}

// Where a prototype repeats, two pixels of a sample differ by noise alone: by less than 2. Of
// prototypes that do not, one difference in twelve is larger.
TEST(SyntheticImages, PrototypesOfLargeImagesRepeat) {
  constexpr std::size_t kElements = 80 * 80;
  const auto data = open({ValueType::real, {{80, 80, 1}}, {{1}}, 3});
  for (std::int64_t number = 0; number < 6; ++number) {
    std::vector<float> sample(kElements);
    data->copy_pixels(Split::train, {&number, 1}, sample);
    int larger = 0;
    for (std::size_t i = 0; i + kSyntheticPatch < kElements; ++i) {
      EXPECT_LE(std::abs(sample[i] - sample[i + kSyntheticPatch]), 2);
      larger += std::abs(sample[i] - sample[i + 1]) > 2;
    }
    EXPECT_GT(larger, 100);
  }
}

TEST(SyntheticImages, NoTwoSamplesAreTheSame) {
  const auto data = open({ValueType::real, {{4, 4, 1}}, {{1}}, 2});
  std::set<std::vector<float>> known;
  for (const Split split : {Split::train, Split::test}) {
    for (std::int64_t number = 0; number < data->samples(split); ++number) {
      std::vector<float> sample(16);
      data->copy_pixels(split, {&number, 1}, sample);
      EXPECT_TRUE(known.insert(std::move(sample)).second) << number;
    }
  }
}

struct Sequence {
  std::vector<std::int32_t> tokens, labels;
};

Sequence sequence(const Dataset& data, std::int64_t number) {
  Sequence s{std::vector<std::int32_t>(64), std::vector<std::int32_t>(64)};
  data.copy_tokens(Split::train, {&number, 1}, s.tokens);
  data.copy_labels(Split::train, {&number, 1}, s.labels);
  return s;
}

TEST(SyntheticTokens, TheLabelIsTheNextToken) {
  const auto data = open(kTokens);
  const Sequence s = sequence(*data, 3);
  EXPECT_TRUE(std::equal(s.tokens.begin() + 1, s.tokens.end(), s.labels.begin()));
  EXPECT_THAT(s.tokens, testing::Each(testing::AllOf(testing::Ge(0), testing::Lt(20))));
  EXPECT_THAT(s.labels.back(), testing::AllOf(testing::Ge(0), testing::Lt(20)));
}

// The most frequent follower of each token follows with probability 3/4 + 1/80 = 0.7625; over
// 64,000 pairs sigma is sqrt(0.7625 * 0.2375 / 64000) = 0.0017. Followers of all tokens differ.
TEST(SyntheticTokens, EveryTokenHasItsOwnLikelySuccessor) {
  const auto data = open(kTokens);
  std::vector<std::vector<int>> pairs(20, std::vector<int>(20));
  for (std::int64_t n = 0; n < 1000; ++n) {
    const Sequence s = sequence(*data, n);
    for (std::size_t i = 0; i < s.tokens.size(); ++i) {
      ++pairs[static_cast<std::size_t>(s.tokens[i])][static_cast<std::size_t>(s.labels[i])];
    }
  }
  int likely = 0;
  std::vector<std::ptrdiff_t> successors;
  for (const std::vector<int>& row : pairs) {
    const auto best = std::max_element(row.begin(), row.end());
    likely += *best;
    successors.push_back(best - row.begin());
  }
  EXPECT_NEAR(likely / 64'000.0, 0.7625, 5 * 0.0017);
  std::vector<std::ptrdiff_t> vocabulary(20);
  std::iota(vocabulary.begin(), vocabulary.end(), 0);
  EXPECT_THAT(successors, testing::UnorderedElementsAreArray(vocabulary));
}

TEST(Synthetic, RefusesLabelsItCannotMake) {
  SampleFormat wanted = kTokens;
  wanted.labels = {{1}};
  EXPECT_EQ(format(open_dataset({"synthetic", wanted, 1, {}}).errors()),
            "error: data set synthetic has labels 64, the network reads labels 1\n");
}

TEST(SyntheticDeathTest, MisuseIsABug) {
  const auto data = open(kTokens);
  const std::int64_t number = 0, beyond = data->samples(Split::train);
  std::vector<float> pixels(64);
  std::vector<std::int32_t> tokens(64);
  EXPECT_DEATH(data->copy_pixels(Split::train, {&number, 1}, pixels),
               "data set synthetic has no pixels");
  EXPECT_DEATH(data->copy_tokens(Split::train, {&beyond, 1}, tokens), "sample 16384 of 16384");
  tokens.pop_back();
  EXPECT_DEATH(data->copy_tokens(Split::train, {&number, 1}, tokens),
               "63 elements for 1 samples of 64");
}

}  // namespace
}  // namespace rehearse::exec
