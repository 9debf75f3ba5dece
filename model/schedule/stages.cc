#include "model/schedule/stages.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "model/base/check.h"
#include "model/net/alike.h"

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
    state_ = sums_of(bytes_of(limit_->memory.state));
    activations_ = sums_of(bytes_of(limit_->memory.activations));
  }

  // First the smallest largest stage; then, of the cuts that reach it, the most even one.
  std::optional<StageCut> run() const {
    if (!limit_) return best(smallest_largest(), [](double a, double b) { return a * a + b; });
    const auto largest = best(kNever, [](double a, double b) { return std::max(a, b); });
    if (!largest) return std::nullopt;
    double limit = 0;
    for (std::size_t s = 0; s < stages_; ++s)
      limit = std::max(limit, cost_[(*largest)[s + 1]] - cost_[(*largest)[s]]);
    return best(limit, [](double a, double b) { return a * a + b; });
  }

 private:
  // Of blocks [begin, ...), as many as a stage of no more than `most` has, one at least.
  std::size_t fill(std::size_t begin, double most) const {
    std::size_t end = begin + 1;
    while (end < blocks_ && cost_[end + 1] - cost_[begin] <= most)
      ++end;
    return end;
  }

  // Stages filled one after the other are the fewest for a largest one, so that the answer lies
  // between what they can do and what they cannot; a limit that is too small is so until one of
  // its stages has room for one block more. O(stages + blocks) for each of a few dozen limits.
  double smallest_largest() const {
    double low = 0, high = cost_.back();
    for (std::size_t b = 0; b < blocks_; ++b)
      low = std::max(low, cost_[b + 1] - cost_[b]);
    while (low < high) {
      // Between neighbouring numbers the mean is one of them.
      const double most = std::min(low + (high - low) / 2, std::nextafter(high, low));
      double largest = 0, next = kNever;
      std::size_t begin = 0, stages = 0;
      for (; begin < blocks_ && stages < stages_; ++stages) {
        const std::size_t end = fill(begin, most);
        largest = std::max(largest, cost_[end] - cost_[begin]);
        if (end < blocks_) next = std::min(next, cost_[end + 1] - cost_[begin]);
        begin = end;
      }
      if (begin == blocks_) {
        high = std::max(largest, low);
      } else {
        low = std::min(next, high);
      }
    }
    return high;
  }

  // By number of stages before it: the last block at which a stage can begin.
  std::vector<std::size_t> last_starts(double most) const {
    std::vector<std::size_t> last = {0};
    for (std::size_t s = 0; s < stages_; ++s)
      last.push_back(last.back() == blocks_ ? blocks_ : fill(last.back(), most));
    return last;
  }

  // The cut with the smallest fold(stage, fold(next stage, ...)), no stage above `most`.
  // value[n][b]: that of blocks [b, end) in the last n stages; cut[n][b]: where the first of them
  // ends.
  template <class Fold>
  std::optional<StageCut> best(double most, Fold fold) const {
    std::vector<std::vector<double>> value(stages_ + 1, std::vector<double>(blocks_ + 1, kNever));
    std::vector<std::vector<std::size_t>> cut(stages_ + 1,
                                              std::vector<std::size_t>(blocks_ + 1, blocks_));
    value[0][blocks_] = 0;
    const std::vector<std::size_t> last = last_starts(most);
    for (std::size_t n = 1; n <= stages_; ++n) {
      for (std::size_t b = stages_ - n; b + n <= blocks_ && b <= last[stages_ - n]; ++b) {
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
    const double bytes =
        state_[end] - state_[begin] +
        static_cast<double>(limit_->live[stage]) * (activations_[end] - activations_[begin]);
    return bytes <= static_cast<double>(limit_->room[limit_->rank[stage]].bytes());
  }

  std::size_t blocks_, stages_;
  const std::optional<StageLimit> limit_;
  std::vector<double> cost_, state_, activations_;  // sums of the blocks before
};

// Stages of one rank share its room, so that none can be cut without the others: steepest descent
// from a cut that may not fit, by moving one or two of its bounds by a block.
class SharedRoom {
 public:
  SharedRoom(const std::vector<double>& costs, const StageLimit& limit)
      : cost_(sums_of(costs)),
        state_(sums_of(bytes_of(limit.memory.state))),
        activations_(sums_of(bytes_of(limit.memory.activations))),
        limit_(limit) {}

  std::optional<StageCut> run(StageCut cut) const {
    Score score = score_of(cut);
    while (const auto better = best_neighbour(cut, score))
      cut = *better;
    if (score.missing > 0) return std::nullopt;
    return cut;
  }

 private:
  // Bytes that ranks lack, the largest stage, the sum of squares: in this order.
  struct Score {
    double missing = 0, largest = 0, uneven = 0;
    friend auto operator<=>(const Score&, const Score&) = default;
  };

  Score score_of(const StageCut& cut) const {
    Score score;
    std::vector<double> used(limit_.room.size(), 0);
    for (std::size_t s = 0; s + 1 < cut.size(); ++s) {
      const auto of = [&](const std::vector<double>& sums) {
        return sums[cut[s + 1]] - sums[cut[s]];
      };
      used[limit_.rank[s]] += of(state_) + static_cast<double>(limit_.live[s]) * of(activations_);
      score.largest = std::max(score.largest, of(cost_));
      score.uneven += of(cost_) * of(cost_);
    }
    for (std::size_t r = 0; r < used.size(); ++r)
      score.missing += std::max(0.0, used[r] - static_cast<double>(limit_.room[r].bytes()));
    return score;
  }

  // `best` is lowered to what is found.
  std::optional<StageCut> best_neighbour(const StageCut& cut, Score& best) const {
    std::optional<StageCut> found;
    const auto consider = [&](const StageCut& moved) {
      const bool has_blocks =
          std::adjacent_find(moved.begin(), moved.end(), std::greater_equal<>()) == moved.end();
      if (!has_blocks) return;
      const Score score = score_of(moved);
      if (score < best) best = score, found = moved;
    };
    // Bounds i and j move; where they are one, only that does.
    constexpr int kWays[] = {-1, 1};
    const auto moved_by = [](std::size_t bound, int way) {
      return way < 0 ? bound - 1 : bound + 1;
    };
    for (std::size_t i = 1; i + 1 < cut.size(); ++i) {
      for (std::size_t j = i; j + 1 < cut.size(); ++j) {
        for (const int way_i : kWays) {
          for (const int way_j : kWays) {
            StageCut moved = cut;
            moved[i] = moved_by(moved[i], way_i);
            if (j != i) moved[j] = moved_by(moved[j], way_j);
            consider(moved);
          }
        }
      }
    }
    return found;
  }

  const std::vector<double> cost_, state_, activations_;  // sums of the blocks before
  const StageLimit& limit_;
};

}  // namespace

Bytes memory_of_stage(const StageLimit& limit, std::size_t stage, std::size_t begin,
                      std::size_t end) {
  Bytes state, activations;
  for (std::size_t b = begin; b < end; ++b) {
    state += limit.memory.state[b];
    activations += limit.memory.activations[b];
  }
  return state + activations * limit.live[stage];
}

std::optional<StageCut> cut_stages(const std::vector<double>& costs, std::int64_t stages,
                                   const std::optional<StageLimit>& limit) {
  REHEARSE_CHECK(stages >= 1 && static_cast<std::size_t>(stages) <= costs.size(),
                 "{} stages of {} blocks", stages, costs.size());
  const auto count = static_cast<std::size_t>(stages);
  if (!limit || limit->room.size() == count) return Cut(costs, count, limit).run();
  return SharedRoom(costs, *limit).run(*Cut(costs, count, std::nullopt).run());
}

std::vector<double> total_of(const StageCosts& costs) {
  std::vector<double> total(costs.forward.size());
  for (std::size_t b = 0; b < total.size(); ++b)
    total[b] = costs.forward[b] + costs.backward_input[b] + costs.backward_weight[b];
  return total;
}

std::optional<StageCut> cut_layers(const Net& net, std::int64_t stages) {
  const BlockRun layers = longest_run(alike_blocks(net));
  const auto count = static_cast<std::size_t>(stages);
  if (layers.size() % count != 0) return std::nullopt;
  StageCut cut = {0};
  for (std::size_t stage = 1; stage < count; ++stage)
    cut.push_back(layers.begin + stage * (layers.size() / count));
  cut.push_back(net.blocks.size());
  return cut;
}

StageCut cut_of(const Plan& plan, const Net& net) {
  std::set<std::size_t> starts = {net.blocks.size()};
  for (const RankProgram& program : plan.programs) {
    for (const Stage& stage : program.stages)
      starts.insert(net.segments[stage.begin.index()].block.index());
  }
  return {starts.begin(), starts.end()};
}

}  // namespace rehearse
