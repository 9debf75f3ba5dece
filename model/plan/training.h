// What is trained on, and how the weights move: the same for every strategy.
#pragma once

#include <cstdint>
#include <string>

#include "model/cluster/device.h"

namespace rehearse {

// v = momentum v + gradient + weight_decay w;  w -= lr v   (no dampening, as PyTorch's SGD).
struct Sgd {
  double lr = 0.1;
  double momentum = 0;
  double weight_decay = 0;
  friend bool operator==(const Sgd&, const Sgd&) = default;
};

struct Training {
  std::string data;        // a data set of exec/data, or "synthetic"
  std::int64_t batch = 1;  // samples of one step, over all ranks
  Sgd optimizer;
  DataType dtype = DataType::fp32;
  std::int64_t steps = 1;
  std::uint64_t seed = 1;
  friend bool operator==(const Training&, const Training&) = default;
};

}  // namespace rehearse
