// What is trained on, and how the weights move: the same for every strategy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/data_type.h"
#include "model/net/lowering.h"
#include "model/plan/optimizer.h"

namespace rehearse {

// What is done at random to training images (exec/data/augment.h).
struct Augmentation {
  bool crop = false, flip = false;
  bool any() const { return crop || flip; }
  friend bool operator==(const Augmentation&, const Augmentation&) = default;
};

// How gradients are added up over micro-batches and ranks.
//
// fast: as they come; the loss is divided by a rank's samples, sums over ranks by the ranks.
//
// exact: in the order of a fixed binary tree (fold_tree) over the micro-batches of the global
// batch, whoever computes them and whenever: the loss is divided by its micro-batch's samples, the
// tree's sum by the micro-batches. Every way to deal the same micro-batches out then has the same
// bits.
enum class Reduction { fast, exact };
const std::vector<Reduction>& reductions();
std::string_view to_string(Reduction reduction);

struct Training {
  std::string data;  // a data set of exec/data, or "synthetic"
  Augmentation augmentation;
  std::int64_t batch = 1;  // samples of one step, over all ranks
  Optimizer optimizer;
  DataType dtype = DataType::fp32;
  // That gradients of weights are added up and exchanged in; none: dtype. Another one is predicted,
  // not trained.
  std::optional<DataType> gradients = std::nullopt;
  std::int64_t steps = 1;
  std::uint64_t seed = 1;
  Reduction reduction = Reduction::fast;
  friend bool operator==(const Training&, const Training&) = default;
};

// Types that activations and what layers keep are stored in: statistics in fp32 at least.
ElementSizes element_sizes(const Training& training);

// Bytes per parameter. The optimizer's state is its moments and, where parameters are fp16 or bf16,
// a master copy of them, all in fp32 (Micikevicius et al., arXiv 1710.03740, section 3.1).
struct StateSizes {
  std::int64_t parameter = 4, gradient = 4, optimizer = 0;
  std::int64_t moment = 4;  // of one moment
};
StateSizes state_sizes(const Training& training);

// Bytes per parameter of what an outer optimizer keeps, in the type of the moments.
std::int64_t outer_state_bytes(const Training& training,
                               const std::optional<OuterOptimizer>& outer);

// Doubles that a sum of gradients' squares takes: one, or where sums are exact the digits of
// ExactSquares.
std::int64_t square_numbers(const Training& training);

}  // namespace rehearse
