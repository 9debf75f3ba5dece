#include "model/schedule/deal.h"

#include <algorithm>
#include <numeric>

#include "model/base/check.h"
#include "model/base/random.h"

namespace rehearse {
namespace {

// Streams of the scenario's seed, one for every draw, that nothing else uses.
constexpr std::uint64_t kDealStream = 0x6465616c00000000;

// Which of n units a worker holds `count` of.
std::vector<std::size_t> units_of_worker(AssignmentKind kind, std::size_t n, std::size_t count,
                                         std::int64_t draw, Random& random) {
  std::vector<std::size_t> units(n);
  std::iota(units.begin(), units.end(), 0);
  switch (kind) {
    case AssignmentKind::nested:
      break;
    case AssignmentKind::random:
      random.shuffle(std::span(units));
      break;
    case AssignmentKind::rolling:
      std::rotate(units.begin(), units.begin() + draw % std::ssize(units), units.end());
      break;
    case AssignmentKind::balanced:
      REHEARSE_UNREACHABLE("assignment by coverage");
  }
  units.resize(count);
  return units;
}

std::vector<std::int64_t> elements_of_units(const Net& net) {
  std::vector<std::int64_t> elements(net.units.size(), 0);
  for (const Parameter& parameter : net.parameters) {
    if (parameter.unit) elements[parameter.unit->index()] += parameter.shape.elements();
  }
  return elements;
}

// Goes from one draw to the next.
class Parker {
 public:
  Parker(const Net& net, std::int64_t data_replicas, std::int64_t workers)
      : elements_(elements_of_units(net)),
        workers_(static_cast<std::size_t>(workers)),
        replicas_(static_cast<std::size_t>(data_replicas) * workers_),
        by_size_(elements_.size()),
        parked_(elements_.size()) {
    std::iota(by_size_.begin(), by_size_.end(), 0);
    std::stable_sort(by_size_.begin(), by_size_.end(),
                     [&](std::size_t a, std::size_t b) { return elements_[a] > elements_[b]; });
  }

  void go_on(Assignment now) {
    loads_.assign(replicas_, 0);
    std::vector<std::size_t> homeless;
    for (const std::size_t unit : by_size_) {
      bool is_held = false;
      for (std::size_t r = 0; r < replicas_; ++r) {
        if (!now.holders[unit][r % workers_]) continue;
        loads_[r] += elements_[unit];
        is_held = true;
      }
      if (is_held) {
        parked_[unit].reset();
      } else if (parked_[unit]) {
        loads_[*parked_[unit]] += elements_[unit];
      } else {
        homeless.push_back(unit);
      }
    }
    for (const std::size_t unit : homeless)
      park(unit);
    before_ = std::move(now);
  }

  const std::vector<std::optional<std::size_t>>& parked() const { return parked_; }

 private:
  void park(std::size_t unit) {
    std::optional<std::size_t> best;
    for (std::size_t r = 0; r < replicas_; ++r) {
      const bool may = before_.holders.empty() || before_.holders[unit][r % workers_];
      if (may && (!best || loads_[r] < loads_[*best])) best = r;
    }
    REHEARSE_CHECK(best.has_value(), "unit {} was neither held nor parked", unit);
    loads_[*best] += elements_[unit];
    parked_[unit] = best;
  }

  const std::vector<std::int64_t> elements_;  // by unit
  const std::size_t workers_, replicas_;
  std::vector<std::size_t> by_size_;  // units
  std::vector<std::int64_t> loads_;   // by replica: elements that it has
  Assignment before_;
  std::vector<std::optional<std::size_t>> parked_;
};

}  // namespace

std::int64_t units_dealt(const Net& net) {
  return std::count_if(net.units.begin(), net.units.end(),
                       [&](const Unit& unit) { return unit.width == net.units.front().width; });
}

Assignment deal_units(const Net& net, AssignmentKind kind, const std::vector<Fraction>& coverages,
                      std::uint64_t seed, std::int64_t draw) {
  Assignment assignment{std::ssize(coverages), {}};
  assignment.holders.assign(net.units.size(), std::vector<bool>(coverages.size()));
  const auto n = static_cast<std::size_t>(units_dealt(net));
  Random random(seed, kDealStream + static_cast<std::uint64_t>(draw));
  for (std::size_t first = 0; first < net.units.size(); first += n) {
    for (std::size_t worker = 0; worker < coverages.size(); ++worker) {
      const std::int64_t count = ceiling_of(coverages[worker], static_cast<std::int64_t>(n));
      for (const std::size_t unit :
           units_of_worker(kind, n, static_cast<std::size_t>(count), draw, random))
        assignment.holders[first + unit][worker] = true;
    }
  }
  return assignment;
}

std::vector<std::optional<std::size_t>> park_units(const Net& net, AssignmentKind kind,
                                                   const std::vector<Fraction>& coverages,
                                                   std::int64_t data_replicas, std::uint64_t seed,
                                                   std::int64_t draw) {
  Parker parker(net, data_replicas, std::ssize(coverages));
  for (std::int64_t d = 0; d <= draw; ++d)
    parker.go_on(deal_units(net, kind, coverages, seed, d));
  return parker.parked();
}

}  // namespace rehearse
