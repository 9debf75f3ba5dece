#include "model/schedule/leveller.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "model/base/random.h"
#include "model/schedule/spectral_gap.h"

namespace rehearse {
namespace {

// Its slow twin: every move is made and looked at in full.
class PlainLeveller {
 public:
  PlainLeveller(Assignment assignment, std::vector<double> loads, std::vector<double> shares)
      : now_(std::move(assignment)), loads_(std::move(loads)), shares_(std::move(shares)) {}

  Assignment run() {
    while (lower_peak()) {
    }
    const double limit = peak_of(now_).first * 1.05;
    while (now_.workers <= 16 && widen_gap(limit)) {
    }
    return now_;
  }

 private:
  using Peak = std::pair<double, int>;  // load, workers that have it

  std::vector<double> loads_of(const Assignment& assignment) const {
    std::vector<double> sums = worker_loads(assignment, loads_);
    for (std::size_t worker = 0; worker < sums.size(); ++worker)
      sums[worker] /= shares_[worker];
    return sums;
  }
  Peak peak_of(const Assignment& assignment) const {
    const std::vector<double> sums = loads_of(assignment);
    const double load = *std::max_element(sums.begin(), sums.end());
    const auto count =
        std::count_if(sums.begin(), sums.end(), [&](double it) { return it > load * (1 - 1e-9); });
    return {load, static_cast<int>(count)};
  }
  static int compare(const Peak& a, const Peak& b) {
    if (std::abs(a.first - b.first) > 1e-9 * std::max(a.first, b.first))
      return a.first < b.first ? -1 : 1;
    return a.second < b.second ? -1 : a.second > b.second ? 1 : 0;
  }

  // Every assignment a move away that gives up a unit of `from`, until visit says so.
  bool each_move(std::size_t from, const std::function<bool(const Assignment&)>& visit) const {
    const auto workers = static_cast<std::size_t>(now_.workers);
    const bool connected = is_connected(now_);
    const auto look = [&](const HolderMove& move) {
      Assignment moved = now_;
      apply(moved, move);
      return (!connected || is_connected(moved)) && visit(moved);
    };
    for (std::size_t unit = 0; unit < loads_.size(); ++unit) {
      if (!now_.holders[unit][from]) continue;
      for (std::size_t to = 0; to < workers; ++to) {
        if (now_.holders[unit][to]) continue;
        if (look({from, to, unit, std::nullopt})) return true;
        for (std::size_t back = 0; back < loads_.size(); ++back) {
          if (now_.holders[back][to] && !now_.holders[back][from] && look({from, to, unit, back}))
            return true;
        }
      }
    }
    return false;
  }

  bool lower_peak() {
    const std::vector<double> sums = loads_of(now_);
    Peak best_peak = peak_of(now_);
    double best_gap = 0;
    std::optional<Assignment> best;
    const auto heaviest =
        static_cast<std::size_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
    each_move(heaviest, [&](const Assignment& moved) {
      const Peak peak = peak_of(moved);
      const int order = compare(peak, best_peak);
      if (order > 0 || (order == 0 && (!best || now_.workers > 16))) return false;
      const double gap = now_.workers > 16 ? 0 : spectral_gap(moved);
      if (order == 0 && gap <= best_gap + 1e-9) return false;
      best = moved;
      best_peak = peak;
      best_gap = gap;
      return false;
    });
    if (best) now_ = *best;
    return best.has_value();
  }

  bool widen_gap(double limit) {
    const double gap = spectral_gap(now_);
    std::optional<Assignment> wider;
    for (std::size_t from = 0; from < shares_.size() && !wider; ++from) {
      each_move(from, [&](const Assignment& moved) {
        if (peak_of(moved).first > limit || spectral_gap(moved) <= gap + 1e-9) return false;
        wider = moved;
        return true;
      });
    }
    if (wider) now_ = *wider;
    return wider.has_value();
  }

  Assignment now_;
  const std::vector<double> loads_, shares_;
};

struct Start {
  Assignment assignment;
  std::vector<double> loads, shares;
};

// Loads as networks have them: few different ones; or any.
Start draw_start(Random& random) {
  const auto workers = 2 + random.below(random.below(8) == 0 ? 20 : 8);
  const auto holders = 1 + random.below(workers - 1);
  const auto units = 1 + random.below(14);
  const bool any_loads = random.below(2) == 0, any_shares = random.below(4) == 0;
  const bool cyclic = random.below(2) == 0;
  Start start;
  start.assignment.workers = static_cast<std::int64_t>(workers);
  for (std::size_t unit = 0; unit < units; ++unit) {
    std::vector<bool> by_worker(workers, false);
    std::fill_n(by_worker.begin(), holders, true);
    std::vector<std::size_t> order(workers);
    for (std::size_t worker = 0; worker < workers; ++worker)
      order[worker] = (worker + unit) % workers;
    if (!cyclic) random.shuffle(std::span(order));
    start.assignment.holders.emplace_back(workers, false);
    for (std::size_t worker = 0; worker < workers; ++worker)
      start.assignment.holders.back()[order[worker]] = by_worker[worker];
    start.loads.push_back(any_loads ? 0.1 + random.uniform()
                                    : static_cast<double>(1 + random.below(3)));
  }
  for (std::size_t worker = 0; worker < workers; ++worker)
    start.shares.push_back(any_shares ? 0.25 * static_cast<double>(1 + random.below(3)) : 1);
  return start;
}

TEST(Leveller, IsItsPlainTwin) {
  Random random(11);
  int moved = 0;
  for (int draw = 0; draw < 300; ++draw) {
    const Start start = draw_start(random);
    const Assignment got = levelled(start.assignment, start.loads, start.shares);
    const Assignment expected = PlainLeveller(start.assignment, start.loads, start.shares).run();
    ASSERT_EQ(got.holders, expected.holders) << "draw " << draw << ": " << start.loads.size()
                                             << " units, " << start.shares.size() << " workers";
    moved += got.holders != start.assignment.holders ? 1 : 0;
  }
  EXPECT_GT(moved, 150);
}

// What is ruled out is no wider; with the functions of a few assignments near by most of what is
// no wider is ruled out.
TEST(GapBounds, RuleOutOnlyWhatIsNotWider) {
  Random random(5);
  constexpr double kSame = 1e-9;
  int narrower = 0, ruled_out = 0;
  for (int draw = 0; draw < 60; ++draw) {
    const Start start = draw_start(random);
    const Assignment& from = start.assignment;
    const auto workers = static_cast<std::uint64_t>(from.workers);
    GapBounds bounds;
    bounds.look(from);
    const Spectrum own = spectrum_of(from);
    EXPECT_NEAR(own.gap, spectral_gap(from), 1e-12);
    bounds.note(own.second);
    for (int trial = 0; trial < 200; ++trial) {
      HolderMove move{random.below(workers), random.below(workers),
                      random.below(from.holders.size()), std::nullopt};
      if (!from.holders[move.given][move.from] || from.holders[move.given][move.to]) continue;
      const auto back = random.below(from.holders.size());
      if (from.holders[back][move.to] && !from.holders[back][move.from]) move.taken = back;
      Assignment moved = from;
      apply(moved, move);
      const Spectrum after = spectrum_of(moved);
      const bool is_out = bounds.is_at_most(own.gap + kSame, move);
      EXPECT_TRUE(!is_out || after.gap <= own.gap + kSame) << "draw " << draw;
      narrower += after.gap <= own.gap + kSame ? 1 : 0;
      ruled_out += is_out ? 1 : 0;
      if (!is_out && after.gap <= own.gap + kSame) bounds.note(after.second);
    }
  }
  EXPECT_GT(ruled_out, narrower * 3 / 4) << narrower;
}

}  // namespace
}  // namespace rehearse
