#include "exec/data/fashion_mnist.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "exec/data/idx.h"

namespace rehearse::exec {
namespace {

constexpr std::int64_t kSide = 28, kClasses = 10;
constexpr std::size_t kPixels = kSide * kSide;

// Over the pixels of the 60,000 training images, as fractions of 255: 0.28604 and 0.35302.
constexpr double kMean = 0.2860, kDeviation = 0.3530;

const SampleFormat& file_format() {
  static const SampleFormat format{ValueType::real, {{kSide, kSide, 1}}, {{1}}, kClasses};
  return format;
}

std::array<float, 256> normalised_values() {
  std::array<float, 256> values;
  for (std::size_t p = 0; p < values.size(); ++p) {
    values[p] = static_cast<float>((static_cast<double>(p) / 255 - kMean) / kDeviation);
  }
  return values;
}

struct Images {
  IdxArray pixels, labels;
};

class FashionMnist final : public Dataset {
 public:
  FashionMnist(Images train, Images test)
      : Dataset("fashion-mnist", file_format(), {train.pixels.count, test.pixels.count}),
        train_(std::move(train)),
        test_(std::move(test)),
        values_(normalised_values()) {}

 private:
  const Images& images(Split split) const { return split == Split::train ? train_ : test_; }

  void write_pixels(Split split, std::int64_t number, std::span<float> into) const override {
    const auto first = static_cast<std::size_t>(number) * kPixels;
    const auto pixels = images(split).pixels.elements().subspan(first, kPixels);
    std::transform(pixels.begin(), pixels.end(), into.begin(),
                   [this](std::uint8_t p) { return values_[p]; });
  }

  void write_labels(Split split, std::int64_t number, std::span<std::int32_t> into) const override {
    into[0] = images(split).labels.elements()[static_cast<std::size_t>(number)];
  }

  Images train_, test_;
  std::array<float, 256> values_;
};

// Adds where the files can be had, if one is missing.
Result<IdxArray> read_file(const std::string& path, const std::vector<std::int64_t>& item) {
  if (std::filesystem::exists(path)) return read_idx(path, item);
  return error(fmt::format("{}: no such file", path),
               {{{},
                 "the Debian package dataset-fashion-mnist has it: apt-get install "
                 "dataset-fashion-mnist"}});
}

Status check_labels(const IdxArray& labels, const IdxArray& images) {
  if (labels.count != images.count) {
    return error(fmt::format("{}: offset 4: expected {} labels, one for each image of {}, got {}",
                             labels.path, images.count, images.path, labels.count));
  }
  const auto values = labels.elements();
  const auto wrong =
      std::find_if(values.begin(), values.end(), [](std::uint8_t v) { return v >= kClasses; });
  if (wrong == values.end()) return success();
  return error(fmt::format("{}: offset {}: expected a label below {}, got {}", labels.path,
                           labels.begin + static_cast<std::size_t>(wrong - values.begin()),
                           kClasses, *wrong));
}

Result<Images> read_images(const std::string& directory, std::string_view split) {
  const auto path = [&](std::string_view rest) {
    return fmt::format("{}/{}-{}", directory, split, rest);
  };
  Result<IdxArray> pixels = read_file(path("images-idx3-ubyte.gz"), {kSide, kSide});
  if (!pixels) return pixels.errors();
  Result<IdxArray> labels = read_file(path("labels-idx1-ubyte.gz"), {});
  if (!labels) return labels.errors();
  if (const Status checked = check_labels(*labels, *pixels); !checked) return checked.errors();
  return Images{std::move(pixels).value(), std::move(labels).value()};
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_fashion_mnist(const DatasetRequest& request) {
  if (const Status match = check_match(request.name, file_format(), request.wanted); !match) {
    return match.errors();
  }
  const std::string directory = request.directory.value_or(std::string(kFashionMnistDirectory));
  Result<Images> train = read_images(directory, "train");
  if (!train) return train.errors();
  Result<Images> test = read_images(directory, "t10k");
  if (!test) return test.errors();
  return std::unique_ptr<Dataset>(
      std::make_unique<FashionMnist>(std::move(train).value(), std::move(test).value()));
}

}  // namespace rehearse::exec
