// What is trained on, and how the weights move: the same for every strategy.
#pragma once

#include <cstdint>
#include <string>

#include "model/base/data_type.h"
#include "model/net/lowering.h"

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

// Types that activations and what layers keep are stored in: statistics in fp32 at least.
ElementSizes element_sizes(const Training& training);

// Bytes per parameter. fp16 and bf16 keep a master copy in fp32 in the optimizer's state, with the
// momentum beside it (Micikevicius et al., arXiv 1710.03740, section 3.1).
struct StateSizes {
  std::int64_t parameter = 4, gradient = 4, optimizer = 0;
};
StateSizes state_sizes(const Training& training);

}  // namespace rehearse
