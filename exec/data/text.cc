#include "exec/data/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace rehearse::exec {
namespace {

constexpr std::int64_t kTestShare = 10;  // one in so many bytes

class TextBytes final : public Dataset {
 public:
  TextBytes(const std::string& name, const SampleFormat& format, std::string text,
            std::int64_t train_bytes)
      : Dataset(name, format,
                {samples_in(train_bytes, format),
                 samples_in(static_cast<std::int64_t>(text.size()) - train_bytes, format)}),
        text_(std::move(text)),
        train_bytes_(train_bytes) {}

  static std::int64_t samples_in(std::int64_t bytes, const SampleFormat& format) {
    return std::max<std::int64_t>(0, (bytes - 1) / format.input.elements());
  }

 private:
  std::string_view sample(Split split, std::int64_t number, std::size_t shift) const {
    const auto begin = static_cast<std::size_t>((split == Split::train ? 0 : train_bytes_) +
                                                number * format().input.elements());
    return std::string_view(text_).substr(begin + shift,
                                          static_cast<std::size_t>(format().input.elements()));
  }
  static void copy(std::string_view from, std::span<std::int32_t> into) {
    std::transform(from.begin(), from.end(), into.begin(),
                   [](char c) { return static_cast<std::int32_t>(static_cast<unsigned char>(c)); });
  }

  void write_tokens(Split split, std::int64_t number, std::span<std::int32_t> into) const override {
    copy(sample(split, number, 0), into);
  }
  void write_labels(Split split, std::int64_t number, std::span<std::int32_t> into) const override {
    copy(sample(split, number, 1), into);
  }

  std::string text_;
  std::int64_t train_bytes_;
};

// What the text is as samples of the network; a vocabulary may have room for more than bytes.
Status check_tokens(const std::string& name, const SampleFormat& wanted) {
  SampleFormat has = wanted;
  has.input_type = ValueType::index;
  has.labels = has.input;
  has.classes = std::max(wanted.classes, kByteTokens);
  return check_match(name, has, wanted);
}

Result<std::unique_ptr<Dataset>> cut(const DatasetRequest& request, std::string text,
                                     const std::string& where) {
  const auto bytes = static_cast<std::int64_t>(text.size());
  const std::int64_t train = bytes - bytes / kTestShare;
  const std::int64_t length = request.wanted.input.elements();
  if (TextBytes::samples_in(bytes - train, request.wanted) < 1) {
    return error(
        fmt::format("{}: {} bytes of text; a tenth of it is the test set and needs one "
                    "sample of {} bytes and the label after them",
                    where, bytes, length));
  }
  return std::unique_ptr<Dataset>(
      std::make_unique<TextBytes>(request.name, request.wanted, std::move(text), train));
}

// Standard output of a command; none if it fails.
std::optional<std::string> output_of(const char* command) {
  std::FILE* pipe = popen(command, "r");
  if (pipe == nullptr) return std::nullopt;
  std::string text;
  std::array<char, 65536> part;
  while (const std::size_t n = std::fread(part.data(), 1, part.size(), pipe))
    text.append(part.data(), n);
  return pclose(pipe) == 0 ? std::optional(std::move(text)) : std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_bible(const DatasetRequest& request) {
  if (const Status match = check_tokens(request.name, request.wanted); !match)
    return match.errors();
  std::optional<std::string> text = output_of("bible -f Gen1:1-Rev22:21 2>/dev/null");
  if (!text || text->empty()) {
    return error("there is no program 'bible' that prints the text",
                 {{{},
                   "the Debian packages bible-kjv and bible-kjv-text have it: apt-get install "
                   "bible-kjv bible-kjv-text"}});
  }
  return cut(request, std::move(*text), "bible");
}

Result<std::unique_ptr<Dataset>> open_text(const DatasetRequest& request) {
  if (const Status match = check_tokens(request.name, request.wanted); !match)
    return match.errors();
  if (!request.directory)
    return error("data set text needs --data-directory, a folder with files *.txt");
  std::vector<std::filesystem::path> files;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(*request.directory, failure)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  if (failure) return error(fmt::format("{}: {}", *request.directory, failure.message()));
  if (files.empty()) return error(fmt::format("{}: it has no file *.txt", *request.directory));
  std::sort(files.begin(), files.end());
  std::string text;
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    text.append(std::istreambuf_iterator<char>(file), {});
    if (!file.good() && !file.eof()) return error(fmt::format("{}: cannot be read", path.string()));
  }
  return cut(request, std::move(text), *request.directory);
}

}  // namespace rehearse::exec
