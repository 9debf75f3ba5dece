// Training with plans that take turns: what ranks hold changes, what the model learns does not.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "model/plan/layout.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::executable;

// The same samples for every worker.
template <class Real>
class SameForAll : public testing::Batches<Real> {
 public:
  using testing::Batches<Real>::Batches;
  void load_input(std::int64_t step, std::int64_t, void* into) override {
    testing::Batches<Real>::load_input(step, 0, into);
  }
  void load_labels(std::int64_t step, std::int64_t, void* into) override {
    testing::Batches<Real>::load_labels(step, 0, into);
  }
};

struct Subject {
  std::string name;
  ModelSpec model;
  DataType dtype;
  Optimizer optimizer;
  Construction construction = Construction::block;
  AssignmentKind assignment = AssignmentKind::balanced;
};

std::vector<Subject> subjects() {
  const Optimizer momentum{.rule = Sgd{0.9}, .lr = 0.05}, adam{.rule = Adam{}, .lr = 1e-3};
  const ModelSpec mlp = {"mlp",
                         {{"image", {4, 4, 1}}, {"hidden", {16, 16, 16}}, {"classes", {10}}}};
  return {
      {"resnet_momentum", testing::small_resnet(), DataType::fp32, momentum},
      {"resnet_adam", testing::small_resnet(), DataType::fp32, adam},
      {"resnet_width", testing::small_resnet(), DataType::fp32, momentum, Construction::width},
      {"mlp_adam", mlp, DataType::fp64, adam, Construction::width},
      {"mlp_bf16_adam", mlp, DataType::bf16, adam, Construction::width},
      {"resnet_random", testing::small_resnet(), DataType::fp32, momentum, Construction::block,
       AssignmentKind::random},
      {"mlp_random_bf16", mlp, DataType::bf16, adam, Construction::width, AssignmentKind::random},
      {"mlp_rolling", mlp, DataType::fp64, adam, Construction::width, AssignmentKind::rolling},
      {"mlp_rolling_bf16", mlp, DataType::bf16, momentum, Construction::width,
       AssignmentKind::rolling},
  };
}

class Redraw : public ::testing::TestWithParam<Subject> {
 protected:
  static constexpr std::int64_t kSteps = 7, kEvery = 2;

  // By draw.
  std::vector<Plan> plans(Masking masking) const {
    Training training = testing::training(16);
    training.dtype = GetParam().dtype;
    training.optimizer = GetParam().optimizer;
    StrategySpec strategy = testing::redrawn(testing::subnetwork({1, 2}), 0);
    // Under forward masking a part is parked now and then.
    const Fraction most = masking == Masking::forward ? Fraction{1, 2} : Fraction{1, 1};
    if (GetParam().assignment != AssignmentKind::balanced)
      strategy = testing::redrawn(
          testing::dealt(GetParam().assignment, {most, {1, 4}, {1, 4}, {1, 4}}), 0);
    strategy.subnetwork->construction = GetParam().construction;
    strategy.subnetwork->masking = masking;
    std::vector<Plan> plans;
    for (strategy.subnetwork->draw = 0; strategy.subnetwork->draw < 4; ++strategy.subnetwork->draw)
      plans.push_back(executable(strategy, 4, GetParam().model, training));
    return plans;
  }

  static exec::TrainingRun train(const std::vector<Plan>& plans, bool same_for_all) {
    switch (plans.front().training.dtype) {
      case DataType::bf16:
        return train_as<BFloat16>(plans, same_for_all);
      case DataType::fp32:
        return train_as<float>(plans, same_for_all);
      default:
        return train_as<double>(plans, same_for_all);
    }
  }

 private:
  template <class Real>
  static exec::TrainingRun train_as(const std::vector<Plan>& plans, bool same_for_all) {
    const Net net = *whole_net(plans.front());
    const std::int64_t samples = plans.front().micro_batch_samples;
    exec::TrainOptions options = testing::options_of(kSteps);
    options.evaluate_every = 3;
    const char* backend = std::is_same_v<Real, float> ? "onednn" : "reference";
    if (same_for_all)
      return testing::train_in_turns(SameForAll<Real>(net, samples), plans, kEvery, options,
                                     backend);
    return testing::train_in_turns(testing::Batches<Real>(net, samples), plans, kEvery, options,
                                   backend);
  }
};
INSTANTIATE_TEST_SUITE_P(Subjects, Redraw, ::testing::ValuesIn(subjects()),
                         [](const auto& s) { return s.param.name; });

// Under backward masking, where all workers have the same samples, every holder of a unit finds the
// same gradient, and the mean of two is one of them: who holds what makes no difference, bit for
// bit, unless weights, moments or master copies are lost on the way.
// Not so of three holders, whose sum is rounded: sets at random may meet so.
TEST_P(Redraw, LosesNothingOfTheState) {
  if (GetParam().assignment == AssignmentKind::random) return;
  const std::vector<Plan> draws = plans(Masking::backward);
  const auto still = train({draws.front()}, true), redrawn = train(draws, true);
  EXPECT_EQ(redrawn.weight_hashes, still.weight_hashes);
  EXPECT_EQ(redrawn.losses, still.losses);
  EXPECT_EQ(redrawn.weights, still.weights);
  EXPECT_EQ(exec::differing_copies(redrawn.ranks), "");
  ASSERT_EQ(redrawn.evaluations.size(), 2u);
  EXPECT_EQ(redrawn.evaluations.back().evaluation.loss, still.evaluations.back().evaluation.loss);
}

// What was parked is what it was when somebody holds it again: trained at no rate, weights are
// after all draws what they were at first.
TEST_P(Redraw, BringsBackWhatWasParked) {
  if (GetParam().assignment == AssignmentKind::balanced) return;
  std::vector<Plan> draws = plans(Masking::forward);
  bool parks = false;
  for (Plan& plan : draws) {
    plan.training.optimizer.lr = 0;
    for (const RankProgram& program : plan.programs)
      parks = parks || std::any_of(program.parameter_classes.begin(),
                                   program.parameter_classes.end(), is_parked);
  }
  EXPECT_TRUE(parks);
  const auto run = train(draws, false);
  EXPECT_GT(run.transitions.count, 0);
  EXPECT_EQ(run.weights, run.first_step->weights);
  EXPECT_EQ(std::set(run.weight_hashes.begin(), run.weight_hashes.end()).size(), 1u);
}

// What moved, and what was set aside for it, is what the transitions say; the arena is the largest
// of the draws'.
TEST_P(Redraw, MovesAsManyBytesAsItsTransitions) {
  for (const Masking masking : {Masking::forward, Masking::backward}) {
    const std::vector<Plan> draws = plans(masking);
    const auto run = train(draws, false);
    const Net net = *whole_net(draws.front());
    Bytes received;
    for (std::size_t draw = 1; draw < draws.size(); ++draw)
      received += transition_between(draws[draw - 1], draws[draw], net).total();
    EXPECT_GT(received, Bytes{});
    EXPECT_EQ(run.transitions.count, std::ssize(draws) - 1);
    EXPECT_EQ(run.transitions.received, received);
    EXPECT_EQ(exec::differing_copies(run.ranks), "");
    for (std::size_t r = 0; r < run.ranks.size(); ++r) {
      Bytes arena;
      for (const Plan& plan : draws)
        arena = std::max(arena, lay_out(program_of(plan, RankId(r))).arena);
      EXPECT_EQ(run.ranks[r].arena_extent, arena) << "rank " << r;
    }
    std::vector<std::int64_t> first_steps;
    for (const exec::Stretch& stretch : run.stretches) {
      first_steps.push_back(stretch.first_step);
      EXPECT_EQ(stretch.timeline.begin.has_value(), stretch.first_step > 0);
    }
    EXPECT_EQ(first_steps, (std::vector<std::int64_t>{0, 2, 4, 6}));
  }
}

}  // namespace
}  // namespace rehearse
