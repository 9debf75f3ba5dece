#include "tools/advise/search.h"

#include <algorithm>
#include <limits>
#include <queue>

namespace rehearse::advise {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
// Of those that do not fit: looked at, and kept.
constexpr std::size_t kMostUnfittingTried = 64, kMostUnfitting = 3;

// A family, a point of it, or a placement of a point, whose plan is to be played.
struct Node {
  enum class Kind : std::uint8_t { family, point, placement };
  double bound = 0;
  std::size_t number = 0;  // of the family, of the point, or of the placement among those met
  Kind kind = Kind::family;
  // The least bound first; of equals the one that comes first in the space.
  friend bool operator<(const Node& a, const Node& b) {
    if (a.bound != b.bound) return a.bound > b.bound;
    if (a.kind != b.kind) return a.kind > b.kind;
    return a.number > b.number;
  }
};

bool is_faster(const Found& a, const Found& b) {
  if (a.run_time() != b.run_time()) return a.run_time() < b.run_time();
  return a.point < b.point;
}

class Search {
 public:
  Search(const Scenario& scenario, const SearchSpace& space, Estimator& estimator,
         const SearchOptions& options)
      : space_(space),
        estimator_(estimator),
        options_(options),
        bounds_(scenario),
        memory_(scenario.cluster.device.memory.bytes()) {
    for (std::size_t p = 0; p < space.points().size(); ++p) {
      const std::uint32_t family = space.points()[p].family;
      if (family == begins_.size()) begins_.push_back(p);
    }
    begins_.push_back(space.points().size());
  }

  Searched run() {
    find_best();
    if (found_.best.empty() && found_.counts.unfitting > 0) find_least();
    if (!found_.best.empty()) find_faster();
    return std::move(found_);
  }

 private:
  const Family& family_of(std::size_t point) const {
    return space_.family_of(space_.points()[point]);
  }
  double multiplier(const Family& family) const {
    return step_multiplier(family, options_.step_multiplier);
  }
  // Longer runs are not asked for.
  double longest() const {
    return found_.best.size() < options_.best ? kNever : found_.best.back().run_time();
  }

  // ---- the fastest -----------------------------------------------------------------------------

  void find_best() {
    for (std::size_t f = 0; f < space_.families().size(); ++f) {
      const Family& family = space_.families()[f];
      queue_.push({options_.prunes ? bounds_.time(family) * multiplier(family) : 0, f});
    }
    found_.counts.slower = std::ssize(space_.points());
    while (!queue_.empty() && queue_.top().bound <= longest()) {
      const Node node = queue_.top();
      queue_.pop();
      switch (node.kind) {
        case Node::Kind::family:
          expand(node.number);
          break;
        case Node::Kind::point:
          --found_.counts.slower;
          price(node);
          break;
        case Node::Kind::placement:
          play(open_[node.number]);
          break;
      }
    }
  }

  void expand(std::size_t f) {
    const Family& family = space_.families()[f];
    for (std::size_t p = begins_[f]; p < begins_[f + 1]; ++p) {
      const Point& point = space_.points()[p];
      if (!options_.prunes) {
        queue_.push({0, p, Node::Kind::point});
        continue;
      }
      const double bound = bounds_.time(family, point) * multiplier(family);
      if (bounds_.memory(family, point.zero) <= memory_ &&
          bounds_.memory(family, point) <= memory_) {
        queue_.push({bound, p, Node::Kind::point});
        continue;
      }
      --found_.counts.slower;
      add_unfitting(p, bound);
    }
  }

  void price(const Node& node) {
    const Point& point = space_.points()[node.number];
    bool fits = false;
    for (const AxisOrder& placement : space_.placements(point)) {
      Found found{
          node.number, space_.spec(point, placement), {}, multiplier(family_of(node.number))};
      if (is_too_slow(found.spec)) {
        found.estimate.verdict = Verdict::played_pipeline;
        return add_unpriced(found, node.bound);
      }
      found.estimate = estimator_.estimate_fitting(found.spec);
      const Verdict verdict = found.estimate.verdict;
      if (verdict == Verdict::memory) continue;
      if (!found.estimate.ok()) return add_unpriced(found, node.bound);
      fits = true;
      if (found.estimate.unplayed_passes == 0) {
        keep(std::move(found));
        continue;
      }
      const double bound = found.estimate.may_be_shorter ? node.bound : found.run_time();
      queue_.push({bound, open_.size(), Node::Kind::placement});
      open_.push_back(std::move(found));
    }
    if (!fits) return add_unfitting(node.number, node.bound);
    ++found_.counts.fit;
  }

  // As long as there are passes left; then it takes its place by the estimate, where that is free.
  void play(Found& found) {
    passes_ += found.estimate.unplayed_passes;
    if (passes_ <= options_.passes) {
      found.estimate = estimator_.estimate(found.spec, Contention::played);
      ++found_.counts.played;
    } else if (++found_.counts.unplayed; longest() < kNever) {
      return;
    }
    keep(std::move(found));
  }

  // Of a point the fastest placement.
  void keep(Found found) {
    std::vector<Found>& best = found_.best;
    const auto same = std::find_if(best.begin(), best.end(),
                                   [&](const Found& other) { return other.point == found.point; });
    if (same != best.end()) {
      if (same->run_time() <= found.run_time()) return;
      best.erase(same);
    }
    const auto place = std::upper_bound(best.begin(), best.end(), found, is_faster);
    best.insert(place, std::move(found));
    if (best.size() > options_.best) best.pop_back();
  }

  bool is_too_slow(const StrategySpec& spec) {
    return !estimator_.is_quick(spec) && slow_++ >= options_.slow;
  }

  void add_unpriced(const Found& found, double bound) {
    ++found_.counts.unpriced[found.estimate.verdict];
    found_.unpriced.push_back(
        {found.point, found.spec, found.estimate.verdict, found.multiplier, bound});
  }

  // ---- what does not fit -----------------------------------------------------------------------

  void add_unfitting(std::size_t point, double bound) {
    ++found_.counts.unfitting;
    unfitting_.push_back({bound, point, Node::Kind::point});
  }

  // Priced or not, what it takes; with the placement that needs least, or of these is fastest.
  std::optional<Found> look_at(std::size_t number) {
    std::optional<Found> best;
    const Point& point = space_.points()[number];
    for (const AxisOrder& placement : space_.placements(point)) {
      Found found{number, space_.spec(point, placement), {}, multiplier(family_of(number))};
      if (is_too_slow(found.spec)) return std::nullopt;
      found.estimate = estimator_.estimate(found.spec);
      if (!found.estimate.ok()) return std::nullopt;
      if (!best || needs_less(found, *best)) best = std::move(found);
    }
    return best;
  }

  static bool needs_less(const Found& a, const Found& b) {
    if (a.estimate.memory != b.estimate.memory) return a.estimate.memory < b.estimate.memory;
    if (a.run_time() != b.run_time()) return a.run_time() < b.run_time();
    return a.point < b.point;
  }

  // By what they need at least, until that is more than what the last one that is asked for needs.
  void find_least() {
    std::vector<Node> nodes;
    for (const Node& node : unfitting_) {
      const Point& point = space_.points()[node.number];
      nodes.push_back({static_cast<double>(bounds_.memory(family_of(node.number), point)),
                       node.number, Node::Kind::point});
    }
    std::sort(nodes.rbegin(), nodes.rend());
    for (const Node& node : nodes) {
      auto& least = found_.unfitting;
      const bool is_full = least.size() == options_.best;
      if (options_.prunes && is_full &&
          node.bound > static_cast<double>(least.back().estimate.memory))
        break;
      auto found = look_at(node.number);
      if (!found) continue;
      least.insert(std::upper_bound(least.begin(), least.end(), *found, needs_less),
                   *std::move(found));
      if (least.size() > options_.best) least.pop_back();
    }
  }

  void find_faster() {
    std::sort(unfitting_.rbegin(), unfitting_.rend());
    const double best = found_.best.front().run_time();
    std::vector<Found>& faster = found_.unfitting;
    for (std::size_t n = 0; n < std::min(unfitting_.size(), kMostUnfittingTried); ++n) {
      if (unfitting_[n].bound > best) break;
      auto found = look_at(unfitting_[n].number);
      if (found && found->run_time() < best) faster.push_back(*std::move(found));
    }
    std::stable_sort(faster.begin(), faster.end(),
                     [](const Found& a, const Found& b) { return a.run_time() < b.run_time(); });
    if (faster.size() > kMostUnfitting) faster.resize(kMostUnfitting);
  }

  const SearchSpace& space_;
  Estimator& estimator_;
  const SearchOptions& options_;
  Bounds bounds_;
  const std::int64_t memory_;
  std::vector<std::size_t> begins_;  // of the families' points, and their end
  std::priority_queue<Node> queue_;
  std::vector<Found> open_;  // placements that are to be played
  std::vector<Node> unfitting_;
  std::int64_t passes_ = 0;  // played, or asked for
  std::size_t slow_ = 0;     // estimates that were asked for
  Searched found_;
};

}  // namespace

Searched search(const Scenario& scenario, const SearchSpace& space, Estimator& estimator,
                const SearchOptions& options) {
  return Search(scenario, space, estimator, options).run();
}

}  // namespace rehearse::advise
