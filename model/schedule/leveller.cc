#include "model/schedule/leveller.h"

#include <algorithm>
#include <cmath>

#include "model/schedule/spectral_gap.h"

namespace rehearse {
namespace {

// Beyond this many workers the spectral gap, O(N^3) for many moves, is not looked at.
constexpr std::int64_t kLargestGap = 16;
// Loads are sums of the same few numbers in changing order, so equality has a tolerance.
constexpr double kSameLoad = 1e-9;
// Of units that are alike, whose loads are differences of large numbers.
constexpr double kRounding = 1e-12;

// Largest load, then how many workers have it: both are to fall.
struct Peak {
  double load = 0;
  int workers = 0;
  bool operator<(const Peak& other) const {
    const double slack = kSameLoad * std::max(load, other.load);
    if (std::abs(load - other.load) > slack) return load < other.load;
    return workers < other.workers;
  }
};

Peak peak_of(const std::vector<double>& loads) {
  Peak peak;
  for (const double load : loads)
    peak.load = std::max(peak.load, load);
  for (const double load : loads)
    peak.workers += load > peak.load * (1 - kSameLoad) ? 1 : 0;
  return peak;
}

// First the largest load as low as it goes, then the spectral gap as wide as it goes while loads
// stay nearly level. Without the second, a per cent of load decides, and may leave two halves of
// the workers that hold different halves of the network (ResNet-20 on Fashion-MNIST, 4 workers, c =
// 2, 300 steps, one seed: 68 % test accuracy instead of 80 %).
class Leveller {
 public:
  Leveller(Assignment assignment, const std::vector<double>& loads, std::vector<double> shares)
      : assignment_(std::move(assignment)),
        unit_loads_(loads),
        shares_(std::move(shares)),
        minds_gap_(assignment_.workers <= kLargestGap && !loads.empty()),
        all_units_(loads.size()),
        lighter_(loads.size()) {
    for (std::size_t unit = 0; unit < loads.size(); ++unit) {
      for (std::size_t other = 0; other < loads.size(); ++other) {
        all_units_[unit].push_back(other);
        if (loads[other] < loads[unit] * (1 - kRounding)) lighter_[unit].push_back(other);
      }
    }
  }

  Assignment run() {
    while (lower_peak()) {
    }
    limit_ = peak_.load * (1 + kNearlyLevel);
    while (minds_gap_ && widen_gap()) {
    }
    return std::move(assignment_);
  }

 private:
  void look() {
    loads_ = worker_loads(assignment_, unit_loads_);
    for (std::size_t worker = 0; worker < shares_.size(); ++worker)
      loads_[worker] /= shares_[worker];
    peak_ = peak_of(loads_);
    connected_ = is_connected(assignment_);
    if (minds_gap_) bounds_.look(assignment_);
  }

  // Makes the move away from the most loaded worker that lowers the peak most, if any does: none
  // where it gets as much back.
  bool lower_peak() {
    look();
    best_peak_ = peak_;
    best_.reset();
    const auto heaviest =
        static_cast<std::size_t>(std::max_element(loads_.begin(), loads_.end()) - loads_.begin());
    each_move(heaviest, lighter_, [&](const HolderMove& move) { return consider(move), false; });
    if (best_) apply(assignment_, *best_);
    return best_.has_value();
  }

  // Makes the first move between any two workers that widens the gap and keeps loads below the
  // limit.
  bool widen_gap() {
    look();
    over_limit_ =
        std::count_if(loads_.begin(), loads_.end(), [&](double load) { return load > limit_; });
    const Spectrum spectrum = spectrum_of(assignment_);
    gap_ = spectrum.gap;
    bounds_.note(spectrum.second);
    for (std::size_t from = 0; from < loads_.size(); ++from) {
      if (each_move(from, all_units_, [&](const HolderMove& move) { return widens(move); }))
        return true;
    }
    return false;
  }

  // Calls visit for every move of a unit away from this worker, until it returns true. taken: by
  // unit, those that it may be exchanged for.
  template <class Visit>
  bool each_move(std::size_t from, const std::vector<std::vector<std::size_t>>& taken,
                 Visit visit) {
    for (std::size_t unit = 0; unit < unit_loads_.size(); ++unit) {
      if (!assignment_.holders[unit][from]) continue;
      for (std::size_t to = 0; to < loads_.size(); ++to) {
        if (assignment_.holders[unit][to]) continue;
        if (visit(HolderMove{from, to, unit, std::nullopt})) return true;
        for (const std::size_t back : taken[unit]) {
          if (!assignment_.holders[back][to] || assignment_.holders[back][from]) continue;
          if (visit(HolderMove{from, to, unit, back})) return true;
        }
      }
    }
    return false;
  }

  // Loads of the two workers after the move.
  struct Ends {
    double from, to;
    double larger() const { return std::max(from, to); }
  };
  Ends ends_after(const HolderMove& move) const {
    const double shift = unit_loads_[move.given] - (move.taken ? unit_loads_[*move.taken] : 0);
    return {loads_[move.from] - shift / shares_[move.from],
            loads_[move.to] + shift / shares_[move.to]};
  }
  Peak peak_after(const HolderMove& move, const Ends& ends) {
    const Ends now{loads_[move.from], loads_[move.to]};
    loads_[move.from] = ends.from, loads_[move.to] = ends.to;
    const Peak peak = peak_of(loads_);
    loads_[move.from] = now.from, loads_[move.to] = now.to;
    return peak;
  }
  bool stays_within_limit(const HolderMove& move) const {
    const Ends ends = ends_after(move);
    const int over = (loads_[move.from] > limit_ ? 1 : 0) + (loads_[move.to] > limit_ ? 1 : 0);
    return ends.from <= limit_ && ends.to <= limit_ && over == over_limit_;
  }

  // The assignment after the move, unless it cuts the workers apart.
  std::optional<Assignment> after(const HolderMove& move) const {
    Assignment moved = assignment_;
    apply(moved, move);
    if (connected_ && !is_connected(moved)) return std::nullopt;
    return moved;
  }

  void consider(const HolderMove& move) {
    const Ends ends = ends_after(move);
    if (ends.larger() > best_peak_.load * (1 + 2 * kSameLoad)) return;
    const Peak peak = peak_after(move, ends);
    const bool better = peak < best_peak_;
    const bool equal = minds_gap_ && best_ && !better && !(best_peak_ < peak);
    if (!better && !equal) return;
    if (equal && bounds_.is_at_most(best_gap() + kSameGap, move)) return;
    const std::optional<Assignment> moved = after(move);
    if (!moved) return;
    if (equal && !is_wider(*moved, best_gap())) return;
    best_ = move;
    best_peak_ = peak;
    best_gap_.reset();
  }

  bool widens(const HolderMove& move) {
    if (!stays_within_limit(move) || bounds_.is_at_most(gap_ + kSameGap, move)) return false;
    std::optional<Assignment> moved = after(move);
    if (!moved || !is_wider(*moved, gap_)) return false;
    assignment_ = *std::move(moved);
    return true;
  }

  // Of the best move so far; most moves are never asked for it.
  double best_gap() {
    if (!best_gap_) {
      Assignment moved = assignment_;
      apply(moved, *best_);
      best_gap_ = spectral_gap(moved);
    }
    return *best_gap_;
  }

  // Why one is not wider often holds for others, too.
  bool is_wider(const Assignment& moved, double gap) {
    const Spectrum spectrum = spectrum_of(moved);
    if (spectrum.gap > gap + kSameGap) return true;
    bounds_.note(spectrum.second);
    return false;
  }

  // Gaps that differ by less are equal: eigenvalues are rounded, and compilers round differently.
  static constexpr double kSameGap = 1e-9;
  // The largest load may be this much above the lowest possible for a wider gap's sake.
  static constexpr double kNearlyLevel = 0.05;

  Assignment assignment_;
  const std::vector<double>& unit_loads_;
  const std::vector<double> shares_;
  const bool minds_gap_;
  std::vector<std::vector<std::size_t>> all_units_, lighter_;  // by unit
  std::vector<double> loads_;
  bool connected_ = false;
  Peak peak_, best_peak_;
  std::optional<HolderMove> best_;
  std::optional<double> best_gap_;
  double limit_ = 0, gap_ = 0;
  std::ptrdiff_t over_limit_ = 0;  // workers
  GapBounds bounds_;
};

}  // namespace

Assignment levelled(Assignment start, const std::vector<double>& loads,
                    std::vector<double> shares) {
  return Leveller(std::move(start), loads, std::move(shares)).run();
}

}  // namespace rehearse
