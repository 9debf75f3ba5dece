#include "tests/plan/symbolic.h"

#include <set>

#include "tests/plan/symbolic/machine.h"

namespace rehearse::testing {
namespace {

// How a plan deals the batch to the ranks of another: by the other's number of a micro-batch its
// own. Empty if it deals to no two ranks of a replica alike, or leaves out samples.
std::vector<std::int64_t> deal_of(const Plan& plan, const Plan& other) {
  std::map<std::int64_t, std::int64_t> deal;
  std::set<std::int64_t> dealt;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const std::int64_t from = other.ranks[r].first_micro_batch;
    for (std::int64_t m = 0; m < program_of(other, RankId(r)).micro_batches; ++m) {
      const std::int64_t to = plan.ranks[r].first_micro_batch + m;
      if (deal.try_emplace(from + m, to).first->second != to) return {};
      dealt.insert(to);
    }
  }
  const auto batches = static_cast<std::int64_t>(deal.size());
  if (dealt.size() != deal.size() || *dealt.begin() != 0 || *dealt.rbegin() != batches - 1)
    return {};
  std::vector<std::int64_t> list;
  for (const auto& [from, to] : deal)
    list.push_back(to);
  return list;
}

}  // namespace

Played play(const Plan& plan, Random& random) {
  const symbolic::PlanFacts facts(plan);
  return symbolic::Machine(facts, random).run();
}

std::string what_goes_wrong(const Plan& mutant, const Plan& good, int schedules,
                            std::uint64_t seed) {
  const symbolic::PlanFacts facts(mutant), good_facts(good);
  const std::vector<std::int64_t> deal = deal_of(mutant, good);
  if (deal.empty()) return "its ranks do not train on the batch";
  Random first(seed);
  const Played expected = symbolic::Machine(good_facts, first, deal).run();
  for (int schedule = 0; schedule < schedules; ++schedule) {
    Random random(seed, static_cast<std::uint64_t>(schedule));
    const Played played = symbolic::Machine(facts, random).run();
    if (!played.problem.empty()) return played.problem;
    if (played.weights != expected.weights) return "the weights are others";
  }
  return "";
}

}  // namespace rehearse::testing
