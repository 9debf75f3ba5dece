#include "exec/data/dataset.h"

#include <fmt/format.h>

#include "exec/data/cifar.h"
#include "exec/data/fashion_mnist.h"
#include "exec/data/synthetic.h"
#include "exec/data/text.h"

namespace rehearse::exec {
namespace {

// Calls write(number, part of `into`) for every sample.
template <class T, class Write>
void for_each_sample(std::span<const std::int64_t> numbers, std::int64_t samples,
                     const Shape& shape, std::span<T> into, const Write& write) {
  const auto elements = static_cast<std::size_t>(shape.elements());
  REHEARSE_CHECK(into.size() == numbers.size() * elements, "{} elements for {} samples of {}",
                 into.size(), numbers.size(), to_string(shape));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    REHEARSE_CHECK(numbers[i] >= 0 && numbers[i] < samples, "sample {} of {}", numbers[i], samples);
    write(numbers[i], into.subspan(i * elements, elements));
  }
}

struct DatasetRow {
  std::string_view name;
  Result<std::unique_ptr<Dataset>> (*open)(const DatasetRequest& request);
};

const std::vector<DatasetRow>& dataset_rows() {
  static const std::vector<DatasetRow> rows = {
      {"bible", open_bible},         {"cifar-10", open_cifar_10},
      {"cifar-100", open_cifar_100}, {"fashion-mnist", open_fashion_mnist},
      {"synthetic", open_synthetic}, {"text", open_text},
      {"text-bpe", open_text_bpe},
  };
  return rows;
}

std::string_view input_name(ValueType type) {
  return type == ValueType::real ? "pixels" : "token numbers";
}

bool inputs_match(const SampleFormat& has, const SampleFormat& wanted) {
  if (has.input_type != wanted.input_type) return false;
  return has.input == wanted.input || Shape{{has.input.elements()}} == wanted.input;
}

Result<std::unique_ptr<Dataset>> check_augmentation(const DatasetRequest& request,
                                                    Result<std::unique_ptr<Dataset>> data) {
  if (!data || !request.augmentation.any()) return data;
  const Shape& input = (*data)->format().input;
  if (input.dims.size() == 3) return data;
  return error(fmt::format("only images can be augmented, data set {} has {} {}", request.name,
                           input_name((*data)->format().input_type), to_string(input)));
}

}  // namespace

SampleFormat format_of(const Net& net) {
  const Value& input = net.values[net.input.index()];
  const Value& loss = net.values[net.loss.index()];
  REHEARSE_CHECK(loss.producer.has_value(), "network {} has no loss layer", net.name);
  const auto classes = classes_of_loss(net.layers[loss.producer->index()].spec);
  REHEARSE_CHECK(classes.has_value(), "the loss of network {} has no classes", net.name);
  return {input.type, input.shape, net.values[net.labels.index()].shape, *classes};
}

Dataset::Dataset(std::string name, SampleFormat format, Sizes sizes)
    : name_(std::move(name)), format_(std::move(format)), train_(sizes.train), test_(sizes.test) {}

void Dataset::copy_pixels(Split split, std::span<const std::int64_t> numbers,
                          std::span<float> into) const {
  for_each_sample(numbers, samples(split), format_.input, into,
                  [&](auto number, auto part) { write_pixels(split, number, part); });
}

void Dataset::copy_tokens(Split split, std::span<const std::int64_t> numbers,
                          std::span<std::int32_t> into) const {
  for_each_sample(numbers, samples(split), format_.input, into,
                  [&](auto number, auto part) { write_tokens(split, number, part); });
}

void Dataset::copy_labels(Split split, std::span<const std::int64_t> numbers,
                          std::span<std::int32_t> into) const {
  for_each_sample(numbers, samples(split), format_.labels, into,
                  [&](auto number, auto part) { write_labels(split, number, part); });
}

void Dataset::write_pixels(Split, std::int64_t, std::span<float>) const {
  REHEARSE_UNREACHABLE(fmt::format("data set {} has no pixels", name_));
}

void Dataset::write_tokens(Split, std::int64_t, std::span<std::int32_t>) const {
  REHEARSE_UNREACHABLE(fmt::format("data set {} has no tokens", name_));
}

Result<std::unique_ptr<Dataset>> open_dataset(const DatasetRequest& request) {
  for (const DatasetRow& row : dataset_rows()) {
    if (row.name == request.name) return check_augmentation(request, row.open(request));
  }
  const std::vector<std::string> names = dataset_names();
  std::string message = fmt::format("unknown data set '{}'", request.name);
  if (const auto near = nearest(request.name, names)) {
    message += fmt::format("; did you mean '{}'?", *near);
  } else {
    message += fmt::format("; there are {}", fmt::join(names, ", "));
  }
  return error(std::move(message));
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const DatasetRow& row : dataset_rows())
    names.emplace_back(row.name);
  return names;
}

Status check_match(const std::string& name, const SampleFormat& has, const SampleFormat& wanted) {
  Diagnostics errors;
  if (!inputs_match(has, wanted)) {
    errors.push_back({{},
                      fmt::format("data set {} has {} {}, the network reads {} {}", name,
                                  input_name(has.input_type), to_string(has.input),
                                  input_name(wanted.input_type), to_string(wanted.input)),
                      {}});
  }
  if (has.labels != wanted.labels) {
    errors.push_back({{},
                      fmt::format("data set {} has labels {}, the network reads labels {}", name,
                                  to_string(has.labels), to_string(wanted.labels)),
                      {}});
  }
  if (has.classes != wanted.classes) {
    const bool of_tokens = has.input_type == ValueType::index;
    errors.push_back({{},
                      of_tokens
                          ? fmt::format("data set {} has {} tokens, the network a vocabulary of {}",
                                        name, has.classes, wanted.classes)
                          : fmt::format("data set {} has {} classes, the network tells {} apart",
                                        name, has.classes, wanted.classes),
                      {}});
  }
  if (!errors.empty()) return errors;
  return success();
}

}  // namespace rehearse::exec
