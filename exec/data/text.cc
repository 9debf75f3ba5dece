#include "exec/data/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "exec/data/byte_pairs.h"

namespace rehearse::exec {
namespace {

constexpr std::int64_t kTestShare = 10;  // one in so many tokens

std::int64_t samples_in(std::int64_t tokens, const SampleFormat& format) {
  return std::max<std::int64_t>(0, (tokens - 1) / format.input.elements());
}

// Token: a number, as narrow as the vocabulary lets it be.
template <class Token>
class Text final : public Dataset {
 public:
  Text(const std::string& name, const SampleFormat& format, std::vector<Token> tokens,
       std::int64_t train)
      : Dataset(name, format,
                {samples_in(train, format),
                 samples_in(static_cast<std::int64_t>(tokens.size()) - train, format)}),
        tokens_(std::move(tokens)),
        train_(train) {}

 private:
  void copy(Split split, std::int64_t number, std::int64_t shift,
            std::span<std::int32_t> into) const {
    const auto begin = tokens_.begin() + (split == Split::train ? 0 : train_) +
                       number * format().input.elements() + shift;
    std::copy_n(begin, into.size(), into.begin());
  }

  void write_tokens(Split split, std::int64_t number, std::span<std::int32_t> into) const override {
    copy(split, number, 0, into);
  }
  void write_labels(Split split, std::int64_t number, std::span<std::int32_t> into) const override {
    copy(split, number, 1, into);
  }

  std::vector<Token> tokens_;
  std::int64_t train_;
};

// What the text is as samples of the network, which may have room for `room` tokens.
Status check_tokens(const std::string& name, std::int64_t vocabulary, std::int64_t room,
                    const SampleFormat& wanted) {
  SampleFormat has = wanted;
  has.input_type = ValueType::index;
  has.labels = has.input;
  const bool has_room = wanted.classes >= vocabulary && wanted.classes <= room;
  has.classes = has_room ? wanted.classes : vocabulary;
  return check_match(name, has, wanted);
}

constexpr std::int64_t kAnyRoom = std::numeric_limits<std::int64_t>::max();
// Vocabularies are padded so that products are of round sizes: GPT-2's 50257 to 50304.
constexpr std::int64_t kPadding = 128;
std::int64_t padded(std::int64_t vocabulary) {
  return (vocabulary + kPadding - 1) / kPadding * kPadding;
}

template <class Token>
Result<std::unique_ptr<Dataset>> cut(const DatasetRequest& request, std::vector<Token> tokens,
                                     const std::string& where, std::string_view unit) {
  const auto all = static_cast<std::int64_t>(tokens.size());
  const std::int64_t train = all - all / kTestShare;
  const std::int64_t length = request.wanted.input.elements();
  if (samples_in(all - train, request.wanted) < 1) {
    return error(
        fmt::format("{}: {} {} of text; a tenth of it is the test set and needs one "
                    "sample of {} {} and the label after them",
                    where, all, unit, length, unit));
  }
  return std::unique_ptr<Dataset>(
      std::make_unique<Text<Token>>(request.name, request.wanted, std::move(tokens), train));
}

Result<std::unique_ptr<Dataset>> cut_bytes(const DatasetRequest& request, const std::string& text,
                                           const std::string& where) {
  return cut(request, std::vector<std::uint8_t>(text.begin(), text.end()), where, "bytes");
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
  if (const Status match = check_tokens(request.name, kByteTokens, kAnyRoom, request.wanted);
      !match)
    return match.errors();
  std::optional<std::string> text = output_of("bible -f Gen1:1-Rev22:21 2>/dev/null");
  if (!text || text->empty()) {
    return error("there is no program 'bible' that prints the text",
                 {{{},
                   "the Debian packages bible-kjv and bible-kjv-text have it: apt-get install "
                   "bible-kjv bible-kjv-text"}});
  }
  return cut_bytes(request, *text, "bible");
}

namespace {

using Paths = std::vector<std::filesystem::path>;

// Files *.txt of the request's directory but for `other`, by name.
Result<Paths> text_files(const DatasetRequest& request, const std::filesystem::path& other) {
  if (!request.directory) {
    return error(
        fmt::format("data set {} needs --data-directory, a folder with files *.txt", request.name));
  }
  Paths files;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(*request.directory, failure)) {
    if (entry.is_regular_file() && entry.path().extension() == ".txt" && entry.path() != other)
      files.push_back(entry.path());
  }
  if (failure) return error(fmt::format("{}: {}", *request.directory, failure.message()));
  if (files.empty()) return error(fmt::format("{}: it has no file *.txt", *request.directory));
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::string> content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file.good() && !file.eof()) return error(fmt::format("{}: cannot be read", path.string()));
  return text;
}

// Of GPT-2's two names for it, the one that is there.
Result<std::filesystem::path> vocabulary_file(const std::string& directory) {
  for (const char* name : {"vocab.bpe", "merges.txt"}) {
    const std::filesystem::path path = std::filesystem::path(directory) / name;
    if (std::filesystem::exists(path)) return path;
  }
  return error(fmt::format("{}: it has no vocabulary, vocab.bpe or merges.txt", directory));
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_text(const DatasetRequest& request) {
  if (const Status match = check_tokens(request.name, kByteTokens, kAnyRoom, request.wanted);
      !match)
    return match.errors();
  const Result<Paths> files = text_files(request, {});
  if (!files) return files.errors();
  std::string text;
  for (const auto& path : *files) {
    const Result<std::string> part = content_of(path);
    if (!part) return part.errors();
    text += *part;
  }
  return cut_bytes(request, text, *request.directory);
}

Result<std::unique_ptr<Dataset>> open_text_bpe(const DatasetRequest& request) {
  if (!request.directory) {
    return error(
        "data set text-bpe needs --data-directory, a folder with files *.txt and a vocabulary, "
        "vocab.bpe or merges.txt");
  }
  const Result<std::filesystem::path> vocabulary = vocabulary_file(*request.directory);
  if (!vocabulary) return vocabulary.errors();
  const Result<BytePairs> pairs = BytePairs::read(vocabulary->string());
  if (!pairs) return pairs.errors();
  if (const Status match =
          check_tokens(request.name, pairs->size(), padded(pairs->size()), request.wanted);
      !match)
    return match.errors();
  const Result<Paths> files = text_files(request, *vocabulary);
  if (!files) return files.errors();
  std::vector<BytePairs::Token> tokens;
  for (const auto& path : *files) {
    const Result<std::string> text = content_of(path);
    if (!text) return text.errors();
    const auto part = pairs->encode(*text);
    if (!part) return error(fmt::format("{}: {}", path.string(), part.errors().front().message));
    tokens.insert(tokens.end(), part->begin(), part->end());
  }
  return cut(request, std::move(tokens), *request.directory, "tokens");
}

}  // namespace rehearse::exec
