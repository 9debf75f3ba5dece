#include "exec/data/cifar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace rehearse::exec {
namespace {

constexpr std::int64_t kSide = 32, kColours = 3;
constexpr std::size_t kPlane = kSide * kSide, kPixels = kPlane * kColours;

struct Version {
  std::string_view name;
  std::int64_t classes;
  std::size_t label_bytes;  // the last of them is the label
  std::array<double, kColours> mean, deviation;
  std::vector<std::string_view> train, test;
};

const Version& cifar_10() {
  static const Version version{"cifar-10",
                               10,
                               1,
                               {0.4914, 0.4822, 0.4465},
                               {0.2470, 0.2435, 0.2616},
                               {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                "data_batch_4.bin", "data_batch_5.bin"},
                               {"test_batch.bin"}};
  return version;
}

const Version& cifar_100() {
  static const Version version{
      "cifar-100",   100,         2, {0.5071, 0.4865, 0.4409}, {0.2673, 0.2564, 0.2762},
      {"train.bin"}, {"test.bin"}};
  return version;
}

using Records = std::vector<std::uint8_t>;

class Cifar final : public Dataset {
 public:
  Cifar(const Version& version, const SampleFormat& format, Records train, Records test)
      : Dataset(std::string(version.name), format, {count(version, train), count(version, test)}),
        record_(version.label_bytes + kPixels),
        train_(std::move(train)),
        test_(std::move(test)) {
    for (std::size_t c = 0; c < values_.size(); ++c) {
      for (std::size_t p = 0; p < values_[c].size(); ++p)
        values_[c][p] = static_cast<float>((static_cast<double>(p) / 255 - version.mean[c]) /
                                           version.deviation[c]);
    }
  }

 private:
  static std::int64_t count(const Version& version, const Records& records) {
    return static_cast<std::int64_t>(records.size() / (version.label_bytes + kPixels));
  }
  const std::uint8_t* record(Split split, std::int64_t number) const {
    const Records& records = split == Split::train ? train_ : test_;
    return records.data() + static_cast<std::size_t>(number) * record_;
  }

  // Planes in the file, channels last in ours.
  void write_pixels(Split split, std::int64_t number, std::span<float> into) const override {
    const std::uint8_t* pixels = record(split, number) + (record_ - kPixels);
    for (std::size_t c = 0; c < kColours; ++c) {
      for (std::size_t p = 0; p < kPlane; ++p)
        into[p * kColours + c] = values_[c][pixels[c * kPlane + p]];
    }
  }
  void write_labels(Split split, std::int64_t number, std::span<std::int32_t> into) const override {
    into[0] = record(split, number)[record_ - kPixels - 1];
  }

  std::size_t record_;
  Records train_, test_;
  std::array<std::array<float, 256>, kColours> values_;
};

Status append(const Version& version, const std::string& path, Records& records) {
  if (std::filesystem::is_directory(path)) return error(fmt::format("{}: it is a folder", path));
  std::ifstream file(path, std::ios::binary);
  if (!file) return error(fmt::format("{}: no such file", path));
  const std::size_t begin = records.size(), record = version.label_bytes + kPixels;
  records.insert(records.end(), std::istreambuf_iterator<char>(file), {});
  const std::size_t bytes = records.size() - begin;
  if (bytes == 0 || bytes % record != 0) {
    return error(fmt::format("{}: offset {}: expected whole images of {} bytes, got {} bytes", path,
                             bytes - bytes % record, record, bytes));
  }
  for (std::size_t at = begin + version.label_bytes - 1; at < records.size(); at += record) {
    if (records[at] < version.classes) continue;
    return error(fmt::format("{}: offset {}: expected a label below {}, got {}", path, at - begin,
                             version.classes, records[at]));
  }
  return success();
}

Result<Records> read_all(const Version& version, const std::string& directory,
                         const std::vector<std::string_view>& files) {
  Records records;
  for (const std::string_view file : files) {
    const Status read = append(version, fmt::format("{}/{}", directory, file), records);
    if (!read) return read.errors();
  }
  return records;
}

Result<std::unique_ptr<Dataset>> open(const Version& version, const DatasetRequest& request) {
  const SampleFormat format{ValueType::real, {{kSide, kSide, kColours}}, {{1}}, version.classes};
  if (const Status match = check_match(request.name, format, request.wanted); !match)
    return match.errors();
  if (!request.directory) {
    return error(
        fmt::format("data set {} needs --data-directory, the folder of its binary version "
                    "with {}",
                    version.name, version.train.front()));
  }
  Result<Records> train = read_all(version, *request.directory, version.train);
  if (!train) return train.errors();
  Result<Records> test = read_all(version, *request.directory, version.test);
  if (!test) return test.errors();
  return std::unique_ptr<Dataset>(
      std::make_unique<Cifar>(version, format, std::move(train).value(), std::move(test).value()));
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_cifar_10(const DatasetRequest& request) {
  return open(cifar_10(), request);
}

Result<std::unique_ptr<Dataset>> open_cifar_100(const DatasetRequest& request) {
  return open(cifar_100(), request);
}

}  // namespace rehearse::exec
