// Random changes of training images that do not change their labels.
#pragma once

#include <span>

#include "model/base/random.h"
#include "model/net/layer.h"
#include "model/plan/training.h"

namespace rehearse::exec {

inline constexpr std::int64_t kCropPadding = 4;  // pixels on every side

// Changes one image [height, width, channels] in place, as drawn: first the crop (of the image with
// kCropPadding zeros around it, a window of its own size), then the flip, with probability 1/2 (He
// et al., arXiv 1512.03385, section 4.2).
void augment(const Augmentation& augmentation, const Shape& image, Random& random,
             std::span<float> pixels);

}  // namespace rehearse::exec
