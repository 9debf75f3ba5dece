// Fashion-MNIST: a real problem that is small, free and in Debian (source and licence: dataset.h).
#pragma once

#include "exec/data/dataset.h"

namespace rehearse::exec {

// Where the Debian package dataset-fashion-mnist puts the four files.
inline constexpr std::string_view kFashionMnistDirectory = "/usr/share/datasets/fashion-mnist";

Result<std::unique_ptr<Dataset>> open_fashion_mnist(const DatasetRequest& request);

}  // namespace rehearse::exec
