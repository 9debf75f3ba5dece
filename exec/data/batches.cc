#include "exec/data/batches.h"

#include <algorithm>

#include "exec/data/augment.h"
#include "exec/data/streams.h"
#include "model/base/bfloat16.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

template <class Real>
void convert(const std::vector<float>& pixels, void* into) {
  std::transform(pixels.begin(), pixels.end(), static_cast<Real*>(into),
                 [](float pixel) { return static_cast<Real>(pixel); });
}

}  // namespace

DataBatches::DataBatches(const Dataset& data, std::uint64_t seed, const BatchSize& size,
                         DataType type, const Augmentation& augmentation)
    : data_(data),
      seed_(seed),
      augmentation_(augmentation),
      order_(seed, data.samples(Split::train), size),
      type_(type) {}

void DataBatches::load_input(std::int64_t step, std::int64_t micro_batch, void* into) {
  const std::vector<std::int64_t> numbers = order_.micro_batch(step, micro_batch);
  if (!augmentation_.any()) return copy_input(Split::train, numbers, into);
  std::vector<float> pixels(numbers.size() *
                            static_cast<std::size_t>(data_.format().input.elements()));
  data_.copy_pixels(Split::train, numbers, pixels);
  augment_all(order_.first_place(step, micro_batch), pixels);
  write_pixels(pixels, into);
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
  if (type_ == DataType::fp32 || type_ == DataType::tf32)
    return data_.copy_pixels(split, numbers, {static_cast<float*>(into), elements});
  std::vector<float> pixels(elements);
  data_.copy_pixels(split, numbers, pixels);
  write_pixels(pixels, into);
}

void DataBatches::write_pixels(const std::vector<float>& pixels, void* into) const {
  switch (type_) {
    case DataType::bf16:
      return convert<BFloat16>(pixels, into);
    case DataType::fp32:
    case DataType::tf32:
      return convert<float>(pixels, into);
    case DataType::fp64:
      return convert<double>(pixels, into);
    case DataType::fp16:
    case DataType::fp8:
      break;
  }
  REHEARSE_UNREACHABLE("no backend computes in fp16 or fp8");
}

// A sample's changes are drawn by its place in the list of all samples ever trained on: they depend
// neither on the ranks nor on how a batch is cut.
void DataBatches::augment_all(std::int64_t first_place, std::vector<float>& pixels) const {
  const Shape& image = data_.format().input;
  const auto elements = static_cast<std::size_t>(image.elements());
  for (std::size_t begin = 0; begin < pixels.size(); begin += elements) {
    const auto place = static_cast<std::uint64_t>(first_place) + begin / elements;
    Random random(seed_, stream_of(Draw::augmentation, place));
    augment(augmentation_, image, random, std::span(pixels).subspan(begin, elements));
  }
}

void DataBatches::copy_labels(Split split, const std::vector<std::int64_t>& numbers,
                              void* into) const {
  const auto elements = numbers.size() * static_cast<std::size_t>(data_.format().labels.elements());
  data_.copy_labels(split, numbers, {static_cast<std::int32_t*>(into), elements});
}

}  // namespace rehearse::exec
