// Which samples a micro-batch holds: the same on all ranks and for every strategy.
//
// Training walks through one endless list of samples, epoch after epoch, each epoch in an order of
// its own drawn from the seed. Step s takes places [s batch, (s + 1) batch), and global micro-batch
// m of it the m-th part. So the samples of a step do not depend on how it is cut into micro-batches
// or who takes which, and each sample comes once per epoch; a batch may begin in one epoch and end
// in the next.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace rehearse::exec {

struct BatchSize {
  std::int64_t batch = 1;        // samples of a step, over all ranks
  std::int64_t micro_batch = 1;  // samples of a micro-batch; divides the batch
};

class SampleOrder {
 public:
  // samples: how many the training set has.
  SampleOrder(std::uint64_t seed, std::int64_t samples, const BatchSize& size);

  // Sample numbers of a step's global micro-batch: a pure function, though an epoch's order is
  // drawn when it is first needed (O(samples)) and kept until another epoch's is.
  std::vector<std::int64_t> micro_batch(std::int64_t step, std::int64_t number);
  // Where it begins in the endless list.
  std::int64_t first_place(std::int64_t step, std::int64_t number) const;

 private:
  const std::vector<std::int64_t>& order_of(std::int64_t epoch);

  std::uint64_t seed_;
  std::int64_t samples_;
  BatchSize size_;
  std::optional<std::int64_t> epoch_;  // whose order is kept
  std::vector<std::int64_t> order_;
};

}  // namespace rehearse::exec
