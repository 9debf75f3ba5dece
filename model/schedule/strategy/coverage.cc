// How many workers hold a unit.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "model/schedule/deal.h"
#include "model/schedule/strategy.h"

namespace rehearse {
namespace {

// Times another coverage's denominator it fits an int64.
constexpr std::int64_t kLargestDenominator = 1'000'000'000;

std::string wrong_number_of(const std::vector<Fraction>& coverages, std::int64_t workers) {
  return fmt::format("{} coverages for {} workers, of whom each has its own", coverages.size(),
                     workers);
}

Result<std::int64_t> sum_of_coverages(const std::vector<Fraction>& coverages,
                                      std::int64_t workers) {
  if (static_cast<std::int64_t>(coverages.size()) != workers)
    return error(wrong_number_of(coverages, workers));
  Fraction sum{0, 1};
  for (const Fraction& coverage : coverages) {
    sum = sum + coverage;
    if (sum.denominator > kLargestDenominator)
      return error("the coverages have no common denominator below 10^9");
  }
  if (sum.denominator == 1) return sum.numerator;
  const std::int64_t below = sum.numerator / sum.denominator;
  return error(fmt::format(
      "the coverages add up to {:.4g} holders of every unit, which must be an integer: {}",
      sum.value(), below == 0 ? "1" : fmt::format("{} or {}", below, below + 1)));
}

}  // namespace

Result<std::int64_t> holders_of(const SubnetworkSpec& subnetwork, std::int64_t workers) {
  if (subnetwork.holders) {
    if (*subnetwork.holders <= workers) return *subnetwork.holders;
    return error(fmt::format("{} holders, but only {} workers, who can be holders once each",
                             *subnetwork.holders, workers));
  }
  if (!subnetwork.coverages.empty()) return sum_of_coverages(subnetwork.coverages, workers);
  const Fraction& coverage = subnetwork.coverage;
  if (coverage.numerator * workers % coverage.denominator == 0) {
    return coverage.numerator * workers / coverage.denominator;
  }
  const std::int64_t below = coverage.numerator * workers / coverage.denominator;
  const std::string above = to_string(fraction_of(below + 1, workers));
  const std::string nearest =
      below == 0 ? above + " works"
                 : fmt::format("{} or {} work", to_string(fraction_of(below, workers)), above);
  return error(fmt::format(
      "coverage {} of {} workers is {:g} holders, which must be an integer: {}",
      to_string(coverage), workers, coverage.value() * static_cast<double>(workers), nearest));
}

Result<std::vector<Fraction>> coverages_of(const SubnetworkSpec& subnetwork, std::int64_t workers) {
  if (subnetwork.coverages.empty())
    return std::vector<Fraction>(static_cast<std::size_t>(workers), subnetwork.coverage);
  if (std::ssize(subnetwork.coverages) == workers) return subnetwork.coverages;
  return error(wrong_number_of(subnetwork.coverages, workers));
}

Result<bool> masks(const SubnetworkSpec& subnetwork, std::int64_t workers) {
  if (subnetwork.assignment == AssignmentKind::balanced) {
    const Result<std::int64_t> holders = holders_of(subnetwork, workers);
    if (!holders) return holders.errors();
    return *holders < workers;
  }
  const Result<std::vector<Fraction>> coverages = coverages_of(subnetwork, workers);
  if (!coverages) return coverages.errors();
  return std::any_of(coverages->begin(), coverages->end(), [](const Fraction& coverage) {
    return coverage != Fraction{1, 1};
  });
}

namespace {

// Whether a unit may be held by a single worker: those that begin together leave it to the largest,
// if there is one; sets of their own meet for sure where two are of all units.
bool may_be_alone(AssignmentKind kind, std::vector<std::int64_t> counts, std::int64_t all) {
  std::sort(counts.begin(), counts.end(), std::greater<>());
  if (counts.size() < 2) return true;
  return counts[1] < (kind == AssignmentKind::random ? all : counts[0]);
}

}  // namespace

std::optional<StrategyProblem> check_dealing(const SubnetworkSpec& subnetwork, std::int64_t workers,
                                             const Net& net) {
  const AssignmentKind kind = subnetwork.assignment;
  if (kind == AssignmentKind::balanced || net.units.empty()) return std::nullopt;
  const std::int64_t all = units_dealt(net);
  std::vector<std::int64_t> counts;
  const std::vector<Fraction> coverages = *coverages_of(subnetwork, workers);
  for (const Fraction& coverage : coverages)
    counts.push_back(ceiling_of(coverage, all));
  const std::int64_t most = *std::max_element(counts.begin(), counts.end());
  if (subnetwork.masking == Masking::backward && most < all)
    return StrategyProblem{
        StrategyKey::masking,
        fmt::format("under backward masking everybody reads all units, and gets new weights from "
                    "their holders: with 'assignment: {}' all have one if a worker has coverage 1; "
                    "the most that one holds are {} of {} units",
                    to_string(kind), most, all)};
  if (subnetwork.averaging == Averaging::all && may_be_alone(kind, counts, all))
    return StrategyProblem{
        StrategyKey::averaging,
        fmt::format("with one holder nobody adds anything to its gradients: there is nothing to "
                    "average over all workers; with 'assignment: {}' no unit has a single one if "
                    "two workers have {}",
                    to_string(kind),
                    kind == AssignmentKind::random ? "coverage 1" : "the largest coverage")};
  return std::nullopt;
}

}  // namespace rehearse
