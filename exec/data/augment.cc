#include "exec/data/augment.h"

#include <algorithm>
#include <vector>

#include "model/base/check.h"

namespace rehearse::exec {
namespace {

struct Extent {
  std::int64_t height, width, channels;
};

void crop(const Extent& image, Random& random, std::span<float> pixels) {
  const auto shift = [&] {
    return static_cast<std::int64_t>(random.below(2 * kCropPadding + 1)) - kCropPadding;
  };
  const std::int64_t down = shift(), right = shift();
  const std::vector<float> whole(pixels.begin(), pixels.end());
  std::fill(pixels.begin(), pixels.end(), 0.0F);
  const std::int64_t begin = std::max<std::int64_t>(0, -right);
  const std::int64_t end = std::min(image.width, image.width - right);
  for (std::int64_t y = 0; y < image.height; ++y) {
    const std::int64_t from = y + down;
    if (from < 0 || from >= image.height || begin >= end) continue;
    std::copy_n(whole.begin() + (from * image.width + begin + right) * image.channels,
                (end - begin) * image.channels,
                pixels.begin() + (y * image.width + begin) * image.channels);
  }
}

void flip(const Extent& image, std::span<float> pixels) {
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width / 2; ++x) {
      const auto at = [&](std::int64_t column) {
        return pixels.begin() + (y * image.width + column) * image.channels;
      };
      std::swap_ranges(at(x), at(x) + image.channels, at(image.width - 1 - x));
    }
  }
}

}  // namespace

void augment(const Augmentation& augmentation, const Shape& image, Random& random,
             std::span<float> pixels) {
  REHEARSE_CHECK(image.dims.size() == 3, "{} is no image", to_string(image));
  const Extent extent{image.dims[0], image.dims[1], image.dims[2]};
  if (augmentation.crop) crop(extent, random, pixels);
  if (augmentation.flip && random.below(2) == 0) flip(extent, pixels);
}

}  // namespace rehearse::exec
