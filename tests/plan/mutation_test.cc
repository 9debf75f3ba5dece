// The verifier against random damage: every mutant of a good plan is refused, or an independent
// judge (symbolic.h) plays it in many orders and finds it trains the same weights in all of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "model/base/text.h"
#include "model/plan/plan_text.h"
#include "model/plan/verify.h"
#include "tests/plan/good_plans.h"
#include "tests/plan/mutations/mutations.h"
#include "tests/plan/symbolic.h"
#include "tests/schedule/plans.h"

namespace rehearse::testing {
namespace {

// Both judges accept what the strategies build, in every order.
TEST(Mutations, GoodPlansAreGood) {
  for (const GoodPlan& good : good_plans()) {
    const Status status = verify(good.plan);
    EXPECT_TRUE(status.ok()) << good.name << ": " << (status ? "" : format(status.errors()));
    Random random(1);
    EXPECT_EQ(play(good.plan, random).problem, "") << good.name;
    EXPECT_EQ(what_goes_wrong(good.plan, good.plan, 50, 7), "") << good.name;
  }
}

// Whether tensor-parallel ranks send all that they have alike or a share each, everybody computes
// with the same and trains the same weights.
TEST(Mutations, SharesOfMessagesTrainWhatWholeOnesDo) {
  for (const char* schedule : {"1f1b", "gpipe", "zb-h1", "interleaved"}) {
    for (const Recomputation recomputation : {Recomputation::none, Recomputation::full}) {
      StrategySpec strategy = pipeline(schedule, 2, 2);
      strategy.tensor = TensorSpec{2, false};
      strategy.recomputation = recomputation;
      const auto trained = [&](bool scatter_gather) {
        strategy.pipeline->scatter_gather = scatter_gather;
        const Plan plan = *plan_of({schedule, strategy, small_gpt(3, 1), 4}, 4);
        Random random(1);
        const Played played = play(plan, random);
        EXPECT_EQ(played.problem, "") << schedule;
        return played.weights;
      };
      EXPECT_EQ(trained(true), trained(false)) << schedule;
    }
  }
}

// The first line of the good plan's text that is another one in the mutant's, and that.
std::string first_change(const std::string& good, const std::string& mutant) {
  const auto before = split(good, '\n'), after = split(mutant, '\n');
  for (std::size_t line = 0; line < std::min(before.size(), after.size()); ++line) {
    if (before[line] != after[line])
      return fmt::format("was: {}\nis:  {}", before[line], after[line]);
  }
  return "";
}

// Which replica runs what is drawn: with another's program a rank has another draw, which is as
// good.
bool is_another_draw(const Plan& plan, const Plan& good) {
  if (!good.survival) return false;
  return !std::equal(
      plan.ranks.begin(), plan.ranks.end(), good.ranks.begin(), good.ranks.end(),
      [](const RankBinding& a, const RankBinding& b) { return a.program == b.program; });
}

// Damage of one kind; of the one beyond the last, two at once.
void damage(Mutator& mutator, const std::vector<Mutation>& kinds, std::size_t kind) {
  if (kind < kinds.size()) return kinds[kind].apply(mutator);
  kinds[mutator.below(kinds.size())].apply(mutator);
  kinds[mutator.below(kinds.size())].apply(mutator);
}

struct Count {
  int mutants = 0, caught = 0, harmless = 0, missed = 0;
};

// A mutant that the verifier lets pass trains what the good plan trains, whatever the timing: all
// data is there when it is read, no two ops work on one thing at once, and nobody waits for ever.
TEST(Mutations, AreCaughtOrHarmless) {
  constexpr int kTrials = 20;     // by plan and kind
  constexpr int kSchedules = 20;  // by mutant that is let pass
  const std::vector<GoodPlan> plans = good_plans();
  const std::vector<Mutation> kinds = mutations();
  std::string table = fmt::format("{:28}{:>9}{:>9}{:>10}{:>8}\n", "mutation", "mutants", "caught",
                                  "harmless", "missed");
  for (std::size_t kind = 0; kind <= kinds.size(); ++kind) {
    const std::string_view name = kind < kinds.size() ? kinds[kind].name : "two of these";
    Count count;
    for (std::size_t p = 0; p < plans.size(); ++p) {
      const Plan& good = plans[p].plan;
      const std::string before = print(good);
      for (int trial = 0; trial < kTrials; ++trial) {
        Random random(kind * 1000 + p, static_cast<std::uint64_t>(trial));
        Plan plan = good;
        Mutator mutator(plan, random);
        damage(mutator, kinds, kind);
        if (print(plan) == before || is_another_draw(plan, good)) continue;
        ++count.mutants;
        if (!verify(plan)) {
          ++count.caught;
          continue;
        }
        const std::string wrong = what_goes_wrong(plan, good, kSchedules, 1000 * p + kind);
        ++(wrong.empty() ? count.harmless : count.missed);
        EXPECT_EQ(wrong, "") << name << ", " << plans[p].name << ", program "
                             << mutator.program_number << ", trial " << trial << "\n"
                             << first_change(before, print(plan));
      }
    }
    table += fmt::format("{:28}{:>9}{:>9}{:>10}{:>8}\n", name, count.mutants, count.caught,
                         count.harmless, count.missed);
  }
  fmt::print("{}", table);
}

}  // namespace
}  // namespace rehearse::testing
