// Training data: samples with labels, by number.
//
//   fashion-mnist  60,000 + 10,000 grey images of clothes, 28x28x1, 10 classes (Xiao, Rasul,
//                  Vollgraf, arXiv 1708.07747; Copyright 2017 Zalando SE, MIT licence), as the
//                  Debian package dataset-fashion-mnist installs it. Pixels are (p / 255 - 0.2860)
//                  / 0.3530: mean and standard deviation of the training images.
//   cifar-10, cifar-100
//                  50,000 + 10,000 colour images 32x32x3 from the user's files (cifar.h).
//   bible, text    bytes of text: the King James Bible, the user's files (text.h).
//   text-bpe       the user's files in the tokens of GPT-2's vocabulary, or one like it (text.h).
//   synthetic      drawn from the seed in whatever form the network reads; learnable (synthetic.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/net/net.h"
#include "model/plan/training.h"

namespace rehearse::exec {

// What a sample is made of; both what a data set has and what a network reads.
struct SampleFormat {
  ValueType input_type = ValueType::real;  // real: pixels; index: token numbers below `classes`
  Shape input;
  Shape labels;  // every one of them below `classes`
  std::int64_t classes = 1;
  friend bool operator==(const SampleFormat&, const SampleFormat&) = default;
};
SampleFormat format_of(const Net& net);

enum class Split { train, test };

// Inputs and labels are copied sample after sample, each dense with channels last, as the buffers
// of a network's input and labels hold them. A rank that has only one end of the network copies
// only what that end reads. Safe to use from several threads.
class Dataset {
 public:
  virtual ~Dataset() = default;
  const std::string& name() const { return name_; }
  const SampleFormat& format() const { return format_; }
  std::int64_t samples(Split split) const { return split == Split::train ? train_ : test_; }

  // Sample numbers are below samples(split); `into` has exactly the samples' elements.
  void copy_pixels(Split split, std::span<const std::int64_t> numbers, std::span<float> into) const;
  void copy_tokens(Split split, std::span<const std::int64_t> numbers,
                   std::span<std::int32_t> into) const;
  void copy_labels(Split split, std::span<const std::int64_t> numbers,
                   std::span<std::int32_t> into) const;

 protected:
  struct Sizes {
    std::int64_t train, test;
  };
  Dataset(std::string name, SampleFormat format, Sizes sizes);

 private:
  // One sample each. A data set has pixels or tokens, as its format says.
  virtual void write_pixels(Split split, std::int64_t number, std::span<float> into) const;
  virtual void write_tokens(Split split, std::int64_t number, std::span<std::int32_t> into) const;
  virtual void write_labels(Split split, std::int64_t number,
                            std::span<std::int32_t> into) const = 0;

  std::string name_;
  SampleFormat format_;
  std::int64_t train_, test_;
};

struct DatasetRequest {
  std::string name;
  SampleFormat wanted;                   // format_of the network to be trained
  std::uint64_t seed = 1;                // of synthetic data
  std::optional<std::string> directory;  // of the files, if not where their package puts them
  Augmentation augmentation = {};
};

// Reads and checks all files. Errors: an unknown name, data that do not fit the network or its
// augmentation, and files that are missing or damaged (path, offset in the unpacked data, expected
// and got).
Result<std::unique_ptr<Dataset>> open_dataset(const DatasetRequest& request);

// The names open_dataset knows, sorted.
std::vector<std::string> dataset_names();

// Whether a network that reads `wanted` can be trained with data in the form `has`; a network may
// read an image as one vector. Every error gives both sides.
Status check_match(const std::string& name, const SampleFormat& has, const SampleFormat& wanted);

}  // namespace rehearse::exec
