#include "model/plan/transition.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

Plan drawn(StrategySpec strategy, std::int64_t draw, std::int64_t workers = 8) {
  strategy.subnetwork->draw = draw;
  return *testing::plan_of({"", strategy, testing::resnet20(), workers});
}

// With what is parked there.
std::set<ParameterId> held_by(const Plan& plan, RankId rank) {
  std::set<ParameterId> held;
  for (const ParameterClass& own : program_of(plan, rank).parameter_classes) {
    if (own.is_held || is_parked(own)) held.insert(own.parameters.begin(), own.parameters.end());
  }
  return held;
}

TEST(Transition, SendsEachMissingParameterOnceFromAHolder) {
  StrategySpec pipes = testing::subnetwork({1, 2}, 4);
  pipes.pipeline = PipelineSpec{2, "1f1b", 2};
  StrategySpec random = testing::dealt(AssignmentKind::random, {{1, 3}, {1, 5}, {1, 9}, {1, 9}});
  random.data = 2;
  for (const StrategySpec& strategy :
       {testing::subnetwork({1, 2}), testing::masked_backward(testing::subnetwork({1, 4})),
        testing::by_width(testing::subnetwork({1, 4})), pipes, testing::redrawn(random, 0),
        testing::redrawn(testing::by_width(testing::dealt(AssignmentKind::rolling,
                                                          std::vector<Fraction>(8, {1, 4}))),
                         0)}) {
    const Plan before = drawn(strategy, 2), after = drawn(strategy, 3);
    const Transition transition = transition_between(before, after, *whole_net(before));
    EXPECT_FALSE(transition.moves.empty());
    for (std::size_t r = 0; r < before.ranks.size(); ++r) {
      std::set<ParameterId> known = held_by(before, RankId(r));
      for (const StateMove& move : transition.moves) {
        if (move.to != RankId(r)) continue;
        const std::set<ParameterId> sender = held_by(before, move.from);
        for (const ParameterId id : move.parameters) {
          EXPECT_EQ(sender.count(id), 1u) << "it is a holder's";
          EXPECT_TRUE(known.insert(id).second) << "it is missing, and sent once";
        }
      }
      for (const ParameterId id : held_by(after, RankId(r)))
        EXPECT_EQ(known.count(id), 1u) << "it is there now";
    }
  }
}

// Moments that start from 0 need not be sent; master copies must be.
TEST(Transition, MovesWhatTheReceiverLacks) {
  Training training = testing::training(32);
  training.optimizer = {.rule = Adam{}};
  training.dtype = DataType::bf16;
  for (const Masking masking : {Masking::forward, Masking::backward}) {
    StrategySpec strategy = testing::subnetwork({1, 2});
    strategy.subnetwork->masking = masking;
    std::vector<Plan> draws;
    for (const std::int64_t draw : {0, 1}) {
      strategy.subnetwork->draw = draw;
      draws.push_back(*build_plan(strategy, testing::resnet20(), training, 8,
                                  even_costs(build_net(testing::resnet20())->blocks.size())));
    }
    const Net net = *whole_net(draws[0]);
    const Transition kept = transition_between(draws[0], draws[1], net);
    const Transition reset = transition_between(draws[0], draws[1], net, Moments::reset);
    // bf16 weights, an fp32 master copy, two fp32 moments.
    const std::int64_t weights = masking == Masking::forward ? 2 : 0;
    EXPECT_EQ(kept.total().bytes() * (weights + 4), reset.total().bytes() * (weights + 12));
    const StateContent content{.weights = weights > 0, .moments = true, .master = true};
    for (const StateMove& move : kept.moves)
      EXPECT_EQ(move.content, content);
    for (const StateMove& move : reset.moves)
      EXPECT_FALSE(move.content.moments);
  }
}

TEST(Transition, StateIsKeptWhereNothingChanges) {
  const StrategySpec strategy = testing::subnetwork({1, 2});
  const Plan plan = drawn(strategy, 0), same = drawn(strategy, 0), next = drawn(strategy, 1);
  bool all_keep = true;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    EXPECT_TRUE(keeps_state(plan, same, RankId(r)));
    all_keep = all_keep && keeps_state(plan, next, RankId(r));
    Bytes kept;
    for (const Buffer& buffer : program_of(plan, RankId(r)).buffers) {
      if (buffer.kind == BufferKind::parameters || buffer.kind == BufferKind::optimizer_state)
        kept += buffer.size;
    }
    EXPECT_EQ(carried_by(program_of(plan, RankId(r))), kept);
  }
  EXPECT_FALSE(all_keep);
}

// A worker that holds a unit with probability C before and after, independently, lacks C (1 - C) of
// all units: of those it receives the state, and under forward masking the weights. Nobody sends
// much more than another.
TEST(Transition, MovesTheShareThatIsExpected) {
  for (const Masking masking : {Masking::forward, Masking::backward}) {
    for (const std::int64_t holders : {2, 4, 6}) {
      StrategySpec strategy = testing::subnetwork({holders, 8});
      strategy.subnetwork->masking = masking;
      const Net net = *whole_net(drawn(strategy, 0));
      std::int64_t maskable = 0;
      for (const Parameter& parameter : net.parameters)
        maskable += parameter.unit ? parameter.shape.elements() : 0;
      const StateSizes sizes = state_sizes(testing::training());
      const std::int64_t element =
          sizes.optimizer + (masking == Masking::forward ? sizes.parameter : 0);
      constexpr std::int64_t kDraws = 40;
      double received = 0;
      std::vector<double> sent(8, 0);
      Plan before = drawn(strategy, 0);
      for (std::int64_t draw = 1; draw <= kDraws; ++draw) {
        Plan after = drawn(strategy, draw);
        const Transition transition = transition_between(before, after, net);
        for (const StateMove& move : transition.moves)
          sent[move.from.index()] += static_cast<double>(move.size.bytes());
        received += static_cast<double>(transition.total().bytes()) / 8;
        before = std::move(after);
      }
      const double coverage = static_cast<double>(holders) / 8;
      const double expected =
          coverage * (1 - coverage) * static_cast<double>(maskable * element) * kDraws;
      EXPECT_NEAR(received / expected, 1, 0.1) << holders;
      for (const double bytes : sent)
        EXPECT_LT(bytes, 1.5 * received) << holders;
    }
  }
}

// With a unit come, of 4 bytes each, its weights, the momentum and what the outer optimizer keeps.
TEST(Transition, MovesTheOuterOptimizersState) {
  const StrategySpec plain = testing::subnetwork({1, 2});
  const auto moved = [](const StrategySpec& strategy) {
    const Plan before = drawn(strategy, 0), after = drawn(strategy, 1);
    return transition_between(before, after, *whole_net(before)).total().bytes();
  };
  EXPECT_EQ(moved(testing::local(plain, 4)), moved(plain));
  EXPECT_EQ(2 * moved(testing::local(plain, 4, OuterOptimizer{0.7, 0.9})), 4 * moved(plain));
  EXPECT_EQ(2 * moved(testing::local(plain, 4, OuterOptimizer{0.7, 0})), 3 * moved(plain));
}

TEST(Transition, ToTheSameHoldersMovesNothing) {
  const Plan plan = drawn(testing::subnetwork({1, 2}), 0);
  EXPECT_TRUE(transition_between(plan, plan, *whole_net(plan)).moves.empty());
  // A worker changes with those of equal coverage only.
  StrategySpec unequal = testing::subnetwork({1, 2});
  unequal.subnetwork->coverages = {{3, 4}, {3, 4}, {1, 4}, {1, 4}};
  for (std::int64_t draw = 0; draw < 6; ++draw) {
    const Plan drawn_plan = drawn(unequal, draw, 4);
    const auto units = [&](std::size_t r) {
      const auto& holds = program_of(drawn_plan, RankId(r)).subnetwork.holds;
      return std::count(holds.begin(), holds.end(), true);
    };
    EXPECT_GT(std::min(units(0), units(1)), std::max(units(2), units(3))) << draw;
  }
}

// A rolling window of 2 of 8 units for everybody: one unit comes in, which one of the 8 had, and
// one goes out, which stays parked where it was; all else stays. So 7 receive a unit of every
// width.
TEST(Transition, MovesOneUnitOfARollingWindow) {
  const StrategySpec strategy =
      testing::by_width(testing::dealt(AssignmentKind::rolling, std::vector<Fraction>(8, {1, 4})));
  const auto plan = [&](std::int64_t draw) {
    return *testing::plan_of({"", testing::redrawn(strategy, draw), testing::resnet20(), 8});
  };
  Plan before = plan(0);
  const Net net = *whole_net(before);
  for (std::int64_t draw = 1; draw < 12; ++draw) {
    Plan after = plan(draw);
    std::int64_t elements = 0;
    for (const Parameter& parameter : net.parameters) {
      const bool comes =
          parameter.unit && parameter.unit->index() % 8 == static_cast<std::size_t>((draw + 1) % 8);
      if (comes) elements += parameter.shape.elements();
    }
    const StateSizes sizes = state_sizes(testing::training());
    EXPECT_EQ(transition_between(before, after, net).total().bytes(),
              7 * elements * (sizes.parameter + sizes.optimizer))
        << draw;
    before = std::move(after);
  }
}

// Plain gradient descent under backward masking keeps nothing: there is nothing to move.
TEST(Transition, OfNoStateMovesNothing) {
  StrategySpec strategy = testing::masked_backward(testing::subnetwork({1, 2}));
  Training training = testing::training(256);
  training.optimizer.rule = Sgd{0};
  const auto plan = [&](std::int64_t draw) {
    strategy.subnetwork->draw = draw;
    return *build_plan(strategy, testing::resnet20(), training, 8, even_costs(11));
  };
  const Plan before = plan(0), after = plan(1);
  EXPECT_NE(program_of(before, RankId(0)).subnetwork, program_of(after, RankId(0)).subnetwork);
  EXPECT_TRUE(transition_between(before, after, *whole_net(before)).moves.empty());
}

}  // namespace
}  // namespace rehearse
