#include "exec/data/synthetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "exec/data/streams.h"
#include "model/base/random.h"

namespace rehearse::exec {
namespace {

constexpr const char* kName = "synthetic";

// Test samples are numbered far behind the training samples: none is in both.
std::uint64_t stream_of_sample(Split split, std::int64_t number) {
  constexpr std::uint64_t kTestBegin = std::uint64_t{1} << 40;
  const auto n = static_cast<std::uint64_t>(number);
  return stream_of(Draw::sample, split == Split::train ? n : kTestBegin + n);
}

class SyntheticImages final : public Dataset {
 public:
  SyntheticImages(const SampleFormat& format, std::uint64_t seed)
      : Dataset(kName, format, {kSyntheticTrainSamples, kSyntheticTestSamples}), seed_(seed) {}

 private:
  std::int64_t label_of(std::int64_t number) const { return number % format().classes; }

  // Prototypes are drawn anew for each sample: a thousand of 224x224x3 would take 600 MB.
  void write_pixels(Split split, std::int64_t number, std::span<float> into) const override {
    Random prototype(seed_,
                     stream_of(Draw::prototype, static_cast<std::uint64_t>(label_of(number))));
    Random noise(seed_, stream_of_sample(split, number));
    for (float& pixel : into) {
      pixel = static_cast<float>(2 * (prototype.uniform() + noise.uniform()) - 2);
    }
  }

  void write_labels(Split, std::int64_t number, std::span<std::int32_t> into) const override {
    into[0] = static_cast<std::int32_t>(label_of(number));
  }

  std::uint64_t seed_;
};

class SyntheticTokens final : public Dataset {
 public:
  SyntheticTokens(const SampleFormat& format, std::uint64_t seed)
      : Dataset(kName, format, {kSyntheticTrainSamples, kSyntheticTestSamples}),
        seed_(seed),
        successors_(static_cast<std::size_t>(format.classes)) {
    std::iota(successors_.begin(), successors_.end(), 0);
    Random(seed, stream_of(Draw::successors, 0)).shuffle(std::span(successors_));
  }

 private:
  // Tokens [0, length] of a sample: the inputs are all but the last, the labels all but the first.
  std::vector<std::int32_t> chain(Split split, std::int64_t number, std::size_t length) const {
    Random random(seed_, stream_of_sample(split, number));
    const auto any = [&] { return static_cast<std::int32_t>(random.below(successors_.size())); };
    std::vector<std::int32_t> tokens = {any()};
    while (tokens.size() <= length) {
      const bool surprises = random.below(4) == 0;
      tokens.push_back(surprises ? any() : successors_[static_cast<std::size_t>(tokens.back())]);
    }
    return tokens;
  }

  void write_tokens(Split split, std::int64_t number, std::span<std::int32_t> into) const override {
    const std::vector<std::int32_t> tokens = chain(split, number, into.size());
    std::copy(tokens.begin(), tokens.end() - 1, into.begin());
  }

  void write_labels(Split split, std::int64_t number, std::span<std::int32_t> into) const override {
    const std::vector<std::int32_t> tokens = chain(split, number, into.size());
    std::copy(tokens.begin() + 1, tokens.end(), into.begin());
  }

  std::uint64_t seed_;
  std::vector<std::int32_t> successors_;
};

}  // namespace

Result<std::unique_ptr<Dataset>> open_synthetic(const DatasetRequest& request) {
  SampleFormat has = request.wanted;
  const bool tokens = has.input_type == ValueType::index;
  has.labels = tokens ? has.input : Shape{{1}};
  if (const Status match = check_match(kName, has, request.wanted); !match) return match.errors();
  if (tokens) return std::unique_ptr<Dataset>(std::make_unique<SyntheticTokens>(has, request.seed));
  return std::unique_ptr<Dataset>(std::make_unique<SyntheticImages>(has, request.seed));
}

}  // namespace rehearse::exec
