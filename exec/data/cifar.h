// CIFAR-10 and CIFAR-100: 50,000 + 10,000 colour images of 32x32x3 (Krizhevsky, "Learning multiple
// layers of features from tiny images", 2009), in the binary version of their home page.
//
// No package has them: the user's folder does. CIFAR-10 is data_batch_1.bin to data_batch_5.bin and
// test_batch.bin, one byte of label and 3072 of pixels per image; CIFAR-100 train.bin and test.bin,
// with a coarse label ahead of the fine one, which is used. Pixels are (p / 255 - mean) /
// deviation, by colour, of the training images.
#pragma once

#include "exec/data/dataset.h"

namespace rehearse::exec {

Result<std::unique_ptr<Dataset>> open_cifar_10(const DatasetRequest& request);
Result<std::unique_ptr<Dataset>> open_cifar_100(const DatasetRequest& request);

}  // namespace rehearse::exec
