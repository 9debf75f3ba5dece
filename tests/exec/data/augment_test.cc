#include "exec/data/augment.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "exec/data/batches.h"
#include "exec/data/synthetic.h"

namespace rehearse::exec {
namespace {

// Pixel (y, x) is 100 y + x + 1; one channel, or a second one with its negative.
std::vector<float> image(std::int64_t channels) {
  std::vector<float> pixels;
  for (int y = 0; y < 6; ++y) {
    for (int x = 0; x < 5; ++x) {
      for (std::int64_t c = 0; c < channels; ++c)
        pixels.push_back(static_cast<float>((c == 0 ? 1 : -1) * (100 * y + x + 1)));
    }
  }
  return pixels;
}

// Every shift of up to four pixels either way comes up, with zeros where there was nothing.
TEST(Augment, CropsAWindowOfTheImageInItsPadding) {
  std::set<std::pair<int, int>> shifts;
  Random random(3);
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<float> pixels = image(1);
    augment({.crop = true}, {{6, 5, 1}}, random, pixels);
    const auto known = std::find_if(pixels.begin(), pixels.end(), [](float p) { return p != 0; });
    ASSERT_NE(known, pixels.end());
    const auto at = static_cast<int>(known - pixels.begin());
    const int value = static_cast<int>(*known) - 1;
    const int down = value / 100 - at / 5, right = value % 100 - at % 5;
    shifts.insert({down, right});
    for (int y = 0; y < 6; ++y) {
      for (int x = 0; x < 5; ++x) {
        const int from_y = y + down, from_x = x + right;
        const bool inside = from_y >= 0 && from_y < 6 && from_x >= 0 && from_x < 5;
        ASSERT_EQ(pixels[static_cast<std::size_t>(5 * y + x)],
                  inside ? static_cast<float>(100 * from_y + from_x + 1) : 0.0F);
      }
    }
  }
  EXPECT_EQ(shifts.size(), 81u);
}

TEST(Augment, FlipsHalfOfTheImages) {
  Random random(4);
  int flipped = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    std::vector<float> pixels = image(2);
    augment({.flip = true}, {{6, 5, 2}}, random, pixels);
    const bool flips = pixels[0] != 1;
    flipped += flips ? 1 : 0;
    ASSERT_EQ(pixels[0], flips ? 5 : 1);
    ASSERT_EQ(pixels[1], flips ? -5 : -1);
    ASSERT_EQ(pixels[2 * 2], 3) << "the middle stays";
  }
  EXPECT_NEAR(flipped, 500, 60);
}

// What happens to a sample does not depend on how the batch is cut; the next epoch is another draw.
TEST(Augment, DependsOnThePlaceOnly) {
  const SampleFormat format{ValueType::real, {{8, 8, 1}}, {{1}}, 10};
  const auto data = open_dataset({"synthetic", format, 1, {}});
  ASSERT_TRUE(data.ok());
  const auto input = [&](std::int64_t micro_batch, std::int64_t step, bool augmented) {
    DataBatches batches(**data, 7, {4, micro_batch}, DataType::fp32, {augmented, augmented});
    std::vector<float> whole(4 * 64);
    for (std::int64_t m = 0; m < 4 / micro_batch; ++m)
      batches.load_input(step, m, whole.data() + m * micro_batch * 64);
    return whole;
  };
  EXPECT_EQ(input(4, 3, true), input(1, 3, true));
  EXPECT_NE(input(4, 3, true), input(4, 3, false));
  const std::int64_t epoch = kSyntheticTrainSamples / 4;
  EXPECT_NE(input(4, 0, true), input(4, epoch, true));
}

TEST(Augment, IsForImages) {
  const SampleFormat tokens{ValueType::index, {{8}}, {{8}}, 50};
  EXPECT_EQ(format(open_dataset({"synthetic", tokens, 1, {}, {.flip = true}}).errors()),
            "error: only images can be augmented, data set synthetic has token numbers 8\n");
}

}  // namespace
}  // namespace rehearse::exec
