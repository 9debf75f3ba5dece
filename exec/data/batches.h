// A data set as the executor asks for it.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/batch_source.h"
#include "exec/data/dataset.h"
#include "exec/data/sample_order.h"
#include "model/base/data_type.h"
#include "model/plan/training.h"

namespace rehearse::exec {

class DataBatches : public BatchSource, public EvaluationSource {
 public:
  // type: of pixels. The data set must fit the network (open_dataset has seen to that) and outlive
  // this.
  DataBatches(const Dataset& data, std::uint64_t seed, const BatchSize& size, DataType type,
              const Augmentation& augmentation = {});

  void load_input(std::int64_t step, std::int64_t micro_batch, void* into) override;
  void load_labels(std::int64_t step, std::int64_t micro_batch, void* into) override;
  std::int64_t test_samples() const override { return data_.samples(Split::test); }
  void load_training_input(std::int64_t first, std::int64_t count, void* into) override;
  void load_test_input(std::int64_t first, std::int64_t count, void* into) override;
  void load_test_labels(std::int64_t first, std::int64_t count, void* into) override;

 private:
  void copy_input(Split split, const std::vector<std::int64_t>& numbers, void* into) const;
  void copy_labels(Split split, const std::vector<std::int64_t>& numbers, void* into) const;
  std::vector<std::int64_t> range(Split split, std::int64_t first, std::int64_t count) const;

  void write_pixels(const std::vector<float>& pixels, void* into) const;
  void augment_all(std::int64_t first_place, std::vector<float>& pixels) const;

  const Dataset& data_;
  std::uint64_t seed_;
  Augmentation augmentation_;
  SampleOrder order_;
  DataType type_;
};

}  // namespace rehearse::exec
