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

// Uniform in [-1, 1).
std::vector<float> draw(std::uint64_t seed, std::uint64_t stream, std::size_t count) {
  Random random(seed, stream);
  std::vector<float> drawn(count);
  for (float& value : drawn)
    value = static_cast<float>(2 * random.uniform() - 1);
  return drawn;
}

// Drawing numbers takes tens of times as long as adding them, and trainings would take the longer
// for it that are to show what training costs: all that is random is drawn when the set is opened.
class SyntheticImages final : public Dataset {
 public:
  SyntheticImages(const SampleFormat& format, std::uint64_t seed)
      : Dataset(kName, format, {kSyntheticTrainSamples, kSyntheticTestSamples}),
        pixels_(static_cast<std::size_t>(format.input.elements())),
        patch_(std::min(pixels_, kSyntheticPatch)),
        noise_(draw(seed, stream_of(Draw::sample, 0),
                    kSyntheticNoiseStep *
                            static_cast<std::size_t>(samples(Split::train) + samples(Split::test)) +
                        pixels_)) {
    for (std::int64_t c = 0; c < format.classes; ++c) {
      const std::vector<float> one =
          draw(seed, stream_of(Draw::prototype, static_cast<std::uint64_t>(c)), patch_);
      prototypes_.insert(prototypes_.end(), one.begin(), one.end());
    }
  }

 private:
  std::int64_t label_of(std::int64_t number) const { return number % format().classes; }

  void write_pixels(Split split, std::int64_t number, std::span<float> into) const override {
    const auto first =
        static_cast<std::size_t>(split == Split::train ? number : samples(Split::train) + number);
    const float* prototype =
        prototypes_.data() + static_cast<std::size_t>(label_of(number)) * patch_;
    const float* noise = noise_.data() + first * kSyntheticNoiseStep;
    for (std::size_t begin = 0; begin < pixels_; begin += patch_) {
      const std::size_t end = std::min(begin + patch_, pixels_);
      for (std::size_t i = begin; i < end; ++i)
        into[i] = prototype[i - begin] + noise[i];
    }
  }

  void write_labels(Split, std::int64_t number, std::span<std::int32_t> into) const override {
    into[0] = static_cast<std::int32_t>(label_of(number));
  }

  std::size_t pixels_, patch_;
  std::vector<float> noise_, prototypes_;  // the latter class after class
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
