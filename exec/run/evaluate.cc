#include "exec/run/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>

#include "exec/run/net_passes.h"
#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::exec {
namespace {

constexpr std::int64_t kSamples = 50;            // of one forward pass
constexpr std::int64_t kCalibrationPasses = 20;  // 1,000 samples
constexpr std::int64_t kLogits = 1 << 20;        // looked at at a time
constexpr double kEpsilon = 1e-5;                // of batch norm, as the kernels have it

// A batch norm's statistics, summed over calibration passes.
struct Statistics {
  std::vector<double> mean, variance;
  double passes = 0;
  void add(const std::vector<double>& m, const std::vector<double>& v) {
    mean.resize(m.size(), 0), variance.resize(v.size(), 0);
    std::transform(m.begin(), m.end(), mean.begin(), mean.begin(), std::plus<>());
    std::transform(v.begin(), v.end(), variance.begin(), variance.begin(), std::plus<>());
    passes += 1;
  }
};

// y = (x - mean) / sqrt(variance + eps) * scale + shift, per channel.
void normalize(Backend& backend, const Statistics& statistics, const KernelArguments& arguments,
               std::int64_t rows) {
  const auto channels = std::ssize(statistics.mean);
  std::vector<double> factors = backend.load(arguments.parameters[0], channels);
  std::vector<double> offsets = backend.load(arguments.parameters[1], channels);
  for (std::size_t c = 0; c < factors.size(); ++c) {
    const double mean = statistics.mean[c] / statistics.passes;
    const double variance = statistics.variance[c] / statistics.passes;
    factors[c] /= std::sqrt(variance + kEpsilon);
    offsets[c] -= mean * factors[c];
  }
  backend.scale_channels(arguments.output, arguments.inputs[0], factors, offsets, rows);
}

// A forward pass of the whole network.
class Forward {
 public:
  Forward(const Net& net, const Weights& weights, Backend& backend)
      : net_(net), backend_(backend), passes_(net, weights, kSamples, backend) {
    for (const BoundStep& step : steps_) {
      const auto classes = classes_of_loss(layer_of(step).spec);
      if (!classes) continue;
      logits_ = step.arguments.inputs[0];
      classes_ = *classes;
    }
  }

  // load(memory) fills them in.
  void fill_input(const std::function<void(void*)>& load) { passes_.fill(net_.input, load); }
  void fill_labels(const std::function<void(void*)>& load) { passes_.fill(net_.labels, load); }
  std::int32_t label(std::int64_t number) {
    std::int32_t label;
    const auto size = static_cast<std::int64_t>(sizeof label);
    std::memcpy(&label, passes_.on_host(net_.labels) + number * size, sizeof label);
    return label;
  }
  const void* losses() { return passes_.at(net_.loss); }
  // Of labels from `first` on.
  std::vector<double> logits(std::int64_t first, std::int64_t labels) {
    const std::int64_t skipped = first * classes_ * backend_.sizes().activation_bytes;
    return backend_.load(static_cast<const std::byte*>(logits_) + skipped, labels * classes_);
  }
  std::int64_t classes() const { return classes_; }

  // Batch norms use and collect the pass's own statistics ...
  void calibrate() {
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      steps_[s].run();
      if (!is_batch_norm(steps_[s])) continue;
      const auto& auxiliaries = steps_[s].arguments.auxiliaries;
      const std::int64_t channels = layer_of(steps_[s]).facts.parameters[0].shape.elements();
      statistics_[s].add(backend_.load_statistics(auxiliaries[0], channels),
                         backend_.load_statistics(auxiliaries[1], channels));
    }
  }

  // ... or what was collected.
  void infer() {
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      if (!is_batch_norm(steps_[s])) {
        steps_[s].run();
        continue;
      }
      const Layer& layer = layer_of(steps_[s]);
      const std::int64_t channels = layer.facts.parameters[0].shape.elements();
      const std::int64_t rows = kSamples * layer.facts.output.elements() / channels;
      normalize(backend_, statistics_.at(s), steps_[s].arguments, rows);
    }
  }

 private:
  const Layer& layer_of(const BoundStep& step) const { return net_.layers[step.layer.index()]; }
  bool is_batch_norm(const BoundStep& step) const {
    return std::holds_alternative<BatchNorm>(layer_of(step).spec);
  }

  const Net& net_;
  Backend& backend_;
  NetPasses passes_;
  std::vector<BoundStep> steps_ = passes_.prepare(Pass::forward);
  std::map<std::size_t, Statistics> statistics_;  // by step
  const void* logits_ = nullptr;
  std::int64_t classes_ = 1;
};

struct Sums {
  double loss = 0;
  std::int64_t right = 0, labels = 0;
};

// One pass's labels that count: the first `count` samples'.
void score(Forward& forward, Backend& backend, std::int64_t labels, Sums& sums) {
  const auto losses = backend.load_statistics(forward.losses(), labels);
  const std::int64_t piece = std::max<std::int64_t>(1, kLogits / forward.classes());
  for (std::int64_t begin = 0; begin < labels; begin += piece) {
    const std::int64_t end = std::min(labels, begin + piece);
    const auto logits = forward.logits(begin, end - begin);
    auto row = logits.begin();
    for (std::int64_t l = begin; l < end; ++l, row += forward.classes()) {
      const auto best = std::max_element(row, row + forward.classes()) - row;
      sums.right += best == forward.label(l) ? 1 : 0;
      sums.loss += losses[static_cast<std::size_t>(l)];
    }
  }
  sums.labels += labels;
}

// A run that diverged has a loss that is no number.
double loss_in(std::string_view word) {
  return parse_number(word).value_or(std::numeric_limits<double>::quiet_NaN());
}

Sums add_up(const Sums& own, Transport& transport) {
  Sums total;
  for (const std::string& part :
       transport.gather(fmt::format("{} {} {}", exact(own.loss), own.right, own.labels))) {
    const auto words = split(part, ' ');
    total.loss += loss_in(words[0]);
    total.right += *parse_integer(words[1]);
    total.labels += *parse_integer(words[2]);
  }
  const std::string text = transport.broadcast(
      fmt::format("{} {} {}", exact(total.loss), total.right, total.labels), RankId(0));
  const auto words = split(text, ' ');
  return {loss_in(words[0]), *parse_integer(words[1]), *parse_integer(words[2])};
}

}  // namespace

Evaluation evaluate(const Net& net, const Weights& weights, Backend& backend, Transport& transport,
                    EvaluationSource& source) {
  Forward forward(net, weights, backend);
  forward.fill_labels([&](void* into) { source.load_test_labels(0, kSamples, into); });
  for (std::int64_t pass = 0; pass < kCalibrationPasses; ++pass) {
    forward.fill_input(
        [&](void* into) { source.load_training_input(pass * kSamples, kSamples, into); });
    forward.calibrate();
  }
  const auto ranks = static_cast<std::int64_t>(transport.size());
  const auto rank = static_cast<std::int64_t>(transport.rank().index());
  const std::int64_t samples = source.test_samples();
  const std::int64_t end = samples * (rank + 1) / ranks;
  Sums sums;
  for (std::int64_t first = samples * rank / ranks; first < end; first += kSamples) {
    forward.fill_input([&](void* into) { source.load_test_input(first, kSamples, into); });
    forward.fill_labels([&](void* into) { source.load_test_labels(first, kSamples, into); });
    forward.infer();
    score(forward, backend, std::min(kSamples, end - first) * labels_per_sample(net), sums);
  }
  const Sums total = add_up(sums, transport);
  const auto labels = static_cast<double>(total.labels);
  return {total.loss / labels, static_cast<double>(total.right) / labels, samples};
}

}  // namespace rehearse::exec
