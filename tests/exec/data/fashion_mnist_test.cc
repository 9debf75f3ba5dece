#include "exec/data/fashion_mnist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/exec/data/temporary_files.h"

namespace rehearse::exec {
namespace {

using testing::Each;
using testing::ElementsAre;

const SampleFormat kWanted{ValueType::real, {{28, 28, 1}}, {{1}}, 10};

// ---- the real files --------------------------------------------------------------------------
// The numbers below were read from the files without this code: `zcat FILE | xxd -s 16 -l 784` and
// a sum over all bytes behind the header.

class FashionMnist : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Result<std::unique_ptr<Dataset>> opened = open_dataset({"fashion-mnist", kWanted, 1, {}});
    ASSERT_TRUE(opened.ok()) << format(opened.errors());
    data = std::move(opened).value();
  }
  static void TearDownTestSuite() { data.reset(); }

  static std::vector<std::int64_t> all(Split split) {
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(data->samples(split)));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
  }
  static std::vector<std::int32_t> labels(Split split, const std::vector<std::int64_t>& numbers) {
    std::vector<std::int32_t> labels(numbers.size());
    data->copy_labels(split, numbers, labels);
    return labels;
  }
  // Pixels as the files have them: 0 to 255.
  static std::vector<int> raw_pixels(Split split, std::int64_t number) {
    std::vector<float> pixels(28 * 28);
    data->copy_pixels(split, {&number, 1}, pixels);
    std::vector<int> raw;
    for (const float x : pixels) {
      raw.push_back(static_cast<int>(std::lround((static_cast<double>(x) * 0.353 + 0.286) * 255)));
    }
    return raw;
  }
  static std::int64_t sum(const std::vector<int>& pixels) {
    return std::accumulate(pixels.begin(), pixels.end(), std::int64_t{0});
  }
  static std::int64_t sum_of_all(Split split) {
    std::int64_t total = 0;
    for (const std::int64_t number : all(split))
      total += sum(raw_pixels(split, number));
    return total;
  }

  static inline std::unique_ptr<Dataset> data;
};

TEST_F(FashionMnist, HasItsPublishedSizes) {
  EXPECT_EQ(data->samples(Split::train), 60'000);
  EXPECT_EQ(data->samples(Split::test), 10'000);
  EXPECT_EQ(data->format(), kWanted);
}

TEST_F(FashionMnist, BeginsWithTheseLabels) {
  EXPECT_THAT(labels(Split::train, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}),
              ElementsAre(9, 0, 0, 3, 0, 2, 7, 2, 5, 5));
  EXPECT_THAT(labels(Split::test, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}),
              ElementsAre(9, 2, 1, 1, 6, 1, 4, 6, 5, 7));
  EXPECT_THAT(labels(Split::train, {59'999, 0}), ElementsAre(5, 9));
}

// Its authors drew the same number of every class.
TEST_F(FashionMnist, HasBalancedClasses) {
  for (const Split split : {Split::train, Split::test}) {
    std::vector<std::int64_t> count(10);
    for (const std::int32_t label : labels(split, all(split)))
      ++count[static_cast<std::size_t>(label)];
    EXPECT_THAT(count, Each(data->samples(split) / 10));
  }
}

TEST_F(FashionMnist, HasThesePixels) {
  const std::vector<int> boot = raw_pixels(Split::train, 0);
  EXPECT_EQ(sum(boot), 76'247);
  // Row 14 of 28.
  const std::vector<int> row(boot.begin() + 14 * 28, boot.begin() + 15 * 28);
  EXPECT_THAT(row, ElementsAre(0, 0, 1, 4, 6, 7, 2, 0, 0, 0, 0, 0, 237, 226, 217, 223, 222, 219,
                               222, 221, 216, 223, 229, 215, 218, 255, 77, 0));
  EXPECT_EQ(sum(raw_pixels(Split::train, 59'999)), 16'684);
  EXPECT_EQ(sum(raw_pixels(Split::test, 0)), 33'456);
  EXPECT_EQ(sum(raw_pixels(Split::test, 9'999)), 24'390);
  EXPECT_EQ(sum_of_all(Split::train), 3'431'114'169);
  EXPECT_EQ(sum_of_all(Split::test), 573'469'082);
}

// The true moments are 0.286041 and 0.353024, those in use 0.2860 and 0.3530: the mean is off by
// 0.000041 / 0.353 = 0.00012, the variance by 2 * 0.000024 / 0.353 = 0.00014.
TEST_F(FashionMnist, IsNormalisedOverTheTrainingImages) {
  double sum = 0, squares = 0;
  std::vector<float> pixels(28 * 28);
  for (const std::int64_t number : all(Split::train)) {
    data->copy_pixels(Split::train, {&number, 1}, pixels);
    for (const double x : pixels) {
      sum += x;
      squares += x * x;
    }
  }
  const double n = 60'000.0 * 28 * 28;
  EXPECT_NEAR(sum / n, 0, 2e-4);
  EXPECT_NEAR(squares / n, 1, 2e-4);
}

// ---- files of our own ------------------------------------------------------------------------

class FashionMnistFiles : public testing::Test {
 protected:
  FashionMnistFiles() {
    folder.write_gzip(kTrainImages, idx_file({3, 28, 28}, 3 * 784));
    folder.write_gzip(kTrainLabels, idx_file({3}, 3));
    folder.write_gzip("t10k-images-idx3-ubyte.gz", idx_file({2, 28, 28}, 2 * 784));
    folder.write_gzip("t10k-labels-idx1-ubyte.gz", idx_file({2}, 2));
  }
  std::string errors(const SampleFormat& wanted = kWanted) {
    const auto opened = open_dataset({"fashion-mnist", wanted, 1, folder.path()});
    return opened.ok() ? "" : format(opened.errors());
  }
  static constexpr const char* kTrainImages = "train-images-idx3-ubyte.gz";
  static constexpr const char* kTrainLabels = "train-labels-idx1-ubyte.gz";
  TemporaryFolder folder;
};

TEST_F(FashionMnistFiles, AnotherDirectoryMayHoldThem) {
  const auto opened = open_dataset({"fashion-mnist", kWanted, 1, folder.path()});
  ASSERT_TRUE(opened.ok()) << format(opened.errors());
  EXPECT_EQ((*opened)->samples(Split::train), 3);
  EXPECT_EQ((*opened)->samples(Split::test), 2);
}

TEST_F(FashionMnistFiles, MissingFileNamesThePackage) {
  std::filesystem::remove(folder.path(kTrainLabels));
  EXPECT_EQ(errors(), "error: " + folder.path(kTrainLabels) +
                          ": no such file\n"
                          "note: the Debian package dataset-fashion-mnist has it: apt-get install "
                          "dataset-fashion-mnist\n");
}

TEST_F(FashionMnistFiles, CountsOfImagesAndLabelsDiffer) {
  folder.write_gzip(kTrainLabels, idx_file({4}, 4));
  EXPECT_EQ(errors(), "error: " + folder.path(kTrainLabels) +
                          ": offset 4: expected 3 labels, one for each image of " +
                          folder.path(kTrainImages) + ", got 4\n");
}

TEST_F(FashionMnistFiles, LabelOutOfRange) {
  FileBytes labels = idx_file({3}, 3);
  labels.back() = 10;  // behind 8 bytes of header and two labels
  folder.write_gzip(kTrainLabels, labels);
  EXPECT_EQ(errors(), "error: " + folder.path(kTrainLabels) +
                          ": offset 10: expected a label below 10, got 10\n");
}

TEST_F(FashionMnistFiles, ErrorsOfTheFormatComeThrough) {
  folder.write_gzip(kTrainImages, idx_file({3, 28, 32}, 3 * 28 * 32));
  EXPECT_EQ(errors(), "error: " + folder.path(kTrainImages) +
                          ": offset 12: expected dimension 3 to be 28, got 32\n");
}

TEST_F(FashionMnistFiles, ANetworkForOtherSamplesIsRefusedBeforeReading) {
  std::filesystem::remove(folder.path(kTrainImages));
  EXPECT_EQ(errors({ValueType::real, {{32, 32, 3}}, {{1}}, 100}),
            "error: data set fashion-mnist has pixels 28x28x1, the network reads pixels 32x32x3\n"
            "error: data set fashion-mnist has 10 classes, the network tells 100 apart\n");
}

}  // namespace
}  // namespace rehearse::exec
