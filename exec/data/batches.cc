#include "exec/data/batches.h"

#include <algorithm>

namespace rehearse::exec {

DataBatches::DataBatches(const Dataset& data, std::uint64_t seed, const BatchSize& size,
                         const ElementSizes& sizes)
    : data_(data),
      order_(seed, data.samples(Split::train), size),
      is_double_(sizes.activation_bytes == sizeof(double)) {}

void DataBatches::load_input(std::int64_t step, std::int64_t micro_batch, void* into) {
  copy_input(Split::train, order_.micro_batch(step, micro_batch), into);
}

void DataBatches::load_labels(std::int64_t step, std::int64_t micro_batch, void* into) {
  copy_labels(Split::train, order_.micro_batch(step, micro_batch), into);
}

void DataBatches::load_training_input(std::int64_t first, std::int64_t count, void* into) {
  copy_input(Split::train, range(Split::train, first, count), into);
}

void DataBatches::load_test_input(std::int64_t first, std::int64_t count, void* into) {
  copy_input(Split::test, range(Split::test, first, count), into);
}

void DataBatches::load_test_labels(std::int64_t first, std::int64_t count, void* into) {
  copy_labels(Split::test, range(Split::test, first, count), into);
}

std::vector<std::int64_t> DataBatches::range(Split split, std::int64_t first,
                                             std::int64_t count) const {
  std::vector<std::int64_t> numbers;
  for (std::int64_t k = first; k < first + count; ++k)
    numbers.push_back(k % data_.samples(split));
  return numbers;
}

void DataBatches::copy_input(Split split, const std::vector<std::int64_t>& numbers,
                             void* into) const {
  const auto elements = numbers.size() * static_cast<std::size_t>(data_.format().input.elements());
  if (data_.format().input_type == ValueType::index) {
    return data_.copy_tokens(split, numbers, {static_cast<std::int32_t*>(into), elements});
  }
  if (!is_double_) return data_.copy_pixels(split, numbers, {static_cast<float*>(into), elements});
  std::vector<float> pixels(elements);
  data_.copy_pixels(split, numbers, pixels);
  std::copy(pixels.begin(), pixels.end(), static_cast<double*>(into));
}

void DataBatches::copy_labels(Split split, const std::vector<std::int64_t>& numbers,
                              void* into) const {
  const auto elements = numbers.size() * static_cast<std::size_t>(data_.format().labels.elements());
  data_.copy_labels(split, numbers, {static_cast<std::int32_t*>(into), elements});
}

}  // namespace rehearse::exec
