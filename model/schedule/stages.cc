#include "model/schedule/stages.h"

#include <algorithm>
#include <limits>

#include "model/base/check.h"

namespace rehearse {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

std::vector<double> sums_of(const std::vector<double>& terms) {
  std::vector<double> sums(terms.size() + 1, 0);
  for (std::size_t b = 0; b < terms.size(); ++b)
    sums[b + 1] = sums[b] + terms[b];
  return sums;
}

std::vector<double> bytes_of(const std::vector<Bytes>& sizes) {
  std::vector<double> bytes;
  for (const Bytes size : sizes)
    bytes.push_back(static_cast<double>(size.bytes()));
  return bytes;
}

class Cut {
 public:
  Cut(const std::vector<double>& costs, std::size_t stages, const std::optional<StageLimit>& limit)
      : blocks_(costs.size()), stages_(stages), limit_(limit), cost_(sums_of(costs)) {
    if (!limit_) return;
    state_ = sums_of(bytes_of(limit_->memory->state));
    activations_ = sums_of(bytes_of(limit_->memory->activations));
  }

  // First the smallest largest stage; then, of the cuts that reach it, the most even one.
  std::optional<std::vector<std::size_t>> run() const {
    const auto largest = best(kNever, [](double a, double b) { return std::max(a, b); });
    if (!largest) return std::nullopt;
    double limit = 0;
    for (std::size_t s = 0; s < stages_; ++s)
      limit = std::max(limit, cost_[(*largest)[s + 1]] - cost_[(*largest)[s]]);
    return best(limit, [](double a, double b) { return a * a + b; });
  }

 private:
  // The cut with the smallest fold(stage, fold(next stage, ...)), no stage above `most`.
  // value[n][b]: that of blocks [b, end) in the last n stages; cut[n][b]: where the first of them
  // ends.
  template <class Fold>
  std::optional<std::vector<std::size_t>> best(double most, Fold fold) const {
    std::vector<std::vector<double>> value(stages_ + 1, std::vector<double>(blocks_ + 1, kNever));
    std::vector<std::vector<std::size_t>> cut(stages_ + 1,
                                              std::vector<std::size_t>(blocks_ + 1, blocks_));
    value[0][blocks_] = 0;
    for (std::size_t n = 1; n <= stages_; ++n) {
      for (std::size_t b = 0; b + n <= blocks_; ++b) {
        for (std::size_t end = b + 1; end + n - 1 <= blocks_; ++end) {
          const double cost = cost_[end] - cost_[b];
          if (cost > most || !fits(stages_ - n, b, end)) break;
          const double all = fold(cost, value[n - 1][end]);
          if (all < value[n][b]) value[n][b] = all, cut[n][b] = end;
        }
      }
    }
    if (value[stages_][0] == kNever) return std::nullopt;
    std::vector<std::size_t> starts = {0};
    for (std::size_t n = stages_; n >= 1; --n)
      starts.push_back(cut[n][starts.back()]);
    return starts;
  }

  bool fits(std::size_t stage, std::size_t begin, std::size_t end) const {
    if (!limit_) return true;
    const double bytes = state_[end] - state_[begin] +
                         limit_->live[stage] * (activations_[end] - activations_[begin]);
    return bytes <= static_cast<double>(limit_->memory->limit.bytes());
  }

  std::size_t blocks_, stages_;
  const std::optional<StageLimit>& limit_;
  std::vector<double> cost_, state_, activations_;  // sums of the blocks before
};

}  // namespace

std::optional<std::vector<std::size_t>> cut_stages(const std::vector<double>& costs,
                                                   std::int64_t stages,
                                                   const std::optional<StageLimit>& limit) {
  REHEARSE_CHECK(stages >= 1 && static_cast<std::size_t>(stages) <= costs.size(),
                 "{} stages of {} blocks", stages, costs.size());
  return Cut(costs, static_cast<std::size_t>(stages), limit).run();
}

}  // namespace rehearse
