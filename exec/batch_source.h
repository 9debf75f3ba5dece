// Where load_batch gets its samples.
#pragma once

#include <cstdint>

namespace rehearse::exec {

// Which samples a micro-batch holds depends on the step and its number in the global batch only, so
// that every strategy sees the same batches. A rank asks for what its plan loads.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // The input of every sample of the micro-batch, in the layout of the network's input value: reals
  // of the backend's type, or int32 token numbers.
  virtual void load_input(std::int64_t step, std::int64_t micro_batch, void* into) = 0;
  // Its labels: int32.
  virtual void load_labels(std::int64_t step, std::int64_t micro_batch, void* into) = 0;
};

// Samples that evaluation sees: some of the training set, by which batch norms are re-estimated,
// and the test set.
class EvaluationSource {
 public:
  virtual ~EvaluationSource() = default;
  virtual std::int64_t test_samples() const = 0;
  // Samples [first, first + count), modulo the set's size.
  virtual void load_training_input(std::int64_t first, std::int64_t count, void* into) = 0;
  virtual void load_test_input(std::int64_t first, std::int64_t count, void* into) = 0;
  virtual void load_test_labels(std::int64_t first, std::int64_t count, void* into) = 0;
};

}  // namespace rehearse::exec
