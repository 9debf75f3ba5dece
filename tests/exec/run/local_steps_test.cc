// Local steps: replicas train each for itself, and come together by the mean of their weights or an
// outer optimizer. Every step of these runs synchronises, or none does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "exec/run/carried_state.h"
#include "exec/run/global_gradient.h"
#include "model/schedule/sequence.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::Batches;
using testing::difference;
using testing::executable;
using testing::local;
using testing::train_locally;
using testing::with_bucket;

constexpr std::int64_t kSteps = 3;
constexpr double kRounding = 1e-12;
constexpr OuterOptimizer kOuter{0.7, 0.9};

StrategySpec replicas() {
  return testing::data_parallel("replicas", Bytes::kib(3));
}

ModelSpec untied_gpt() {
  return {"gpt",
          {{"layers", {4}},
           {"width", {16}},
           {"heads", {4}},
           {"vocabulary", {20}},
           {"sequence", {6}},
           {"positions", {6}},
           {"tied", {0}}}};
}

Optimizer sgd(double momentum) {
  Optimizer optimizer = testing::training(16).optimizer;
  optimizer.rule = Sgd{momentum};
  return optimizer;
}

Optimizer adamw() {
  Optimizer optimizer;
  optimizer.rule = Adam{.decoupled = true};
  optimizer.lr = 0.01;
  optimizer.weight_decay = 0.1;
  return optimizer;
}

// ---- against data parallelism ------------------------------------------------------------------

// SGD is linear in the gradients, with momentum, too: the mean of w - lr v_i, where all begin with
// the same w, is w - lr (mean of v_i).
class SynchronisingEveryStep : public ::testing::TestWithParam<double> {};
INSTANTIATE_TEST_SUITE_P(Momenta, SynchronisingEveryStep, ::testing::Values(0.0, 0.9));

TEST_P(SynchronisingEveryStep, IsDataParallelismByTheMeanOfWeights) {
  const Optimizer optimizer = sgd(GetParam());
  const auto ddp = train_locally(executable(replicas(), 4, testing::mlp(), optimizer), kSteps);
  const Plan plan = executable(local(replicas(), 2), 4, testing::mlp(), optimizer);
  const auto run = train_locally(plan, kSteps);
  EXPECT_LT(difference(run.weights, ddp.weights), kRounding);
  EXPECT_EQ(differing_copies(run.ranks), "");
}

// The mean of differences is the difference of means: lr 1 without momentum is plain averaging.
TEST_P(SynchronisingEveryStep, IsDataParallelismByTheMeanOfDifferences) {
  const Optimizer optimizer = sgd(GetParam());
  const auto ddp = train_locally(executable(replicas(), 4, testing::mlp(), optimizer), kSteps);
  const Plan plan =
      executable(local(replicas(), 2, OuterOptimizer{1, 0}), 4, testing::mlp(), optimizer);
  EXPECT_LT(difference(train_locally(plan, kSteps).weights, ddp.weights), kRounding);
}

// The same in subnetworks, over the holders of each unit.
TEST_P(SynchronisingEveryStep, IsSubnetworkDataParallelismByTheMeanOfWeights) {
  const Optimizer optimizer = sgd(GetParam());
  for (const std::int64_t holders : {1, 2, 3}) {
    const StrategySpec strategy = with_bucket(testing::subnetwork({holders, 4}, 4), Bytes::kib(3));
    const auto every = train_locally(executable(strategy, 4, untied_gpt(), optimizer), kSteps);
    const Plan plan = executable(local(strategy, 2), 4, untied_gpt(), optimizer);
    const auto run = train_locally(plan, kSteps);
    EXPECT_LT(difference(run.weights, every.weights), kRounding) << holders << " holders";
    EXPECT_EQ(differing_copies(run.ranks), "");
  }
}

// ---- against formulas --------------------------------------------------------------------------

using Numbers = std::vector<std::vector<double>>;  // by parameter

Numbers numbers(const exec::Weights& weights) {
  Numbers all;
  for (const auto& bytes : weights) {
    all.emplace_back(bytes.size() / sizeof(double));
    std::memcpy(all.back().data(), bytes.data(), bytes.size());
  }
  return all;
}

exec::Weights bytes_of(const Numbers& numbers) {
  exec::Weights weights;
  for (const auto& values : numbers) {
    weights.emplace_back(values.size() * sizeof(double));
    std::memcpy(weights.back().data(), values.data(), weights.back().size());
  }
  return weights;
}

// Micro-batches from a number on, counted from 0.
struct OfReplica : exec::BatchSource {
  OfReplica(const Batches<double>& all, std::int64_t first) : all_(all), first_(first) {}
  void load_input(std::int64_t step, std::int64_t m, void* into) override {
    all_.load_input(step, first_ + m, into);
  }
  void load_labels(std::int64_t step, std::int64_t m, void* into) override {
    all_.load_labels(step, first_ + m, into);
  }
  Batches<double> all_;
  std::int64_t first_;
};

// Data-parallel replicas with local AdamW or SGD, and what they come together by, written down once
// more: all weights and states as plain numbers.
class Formulas {
 public:
  Formulas(const Plan& plan, const Numbers& first)
      : plan_(plan), net_(*whole_net(plan)), anchor_(first), velocity_(zeros(first)) {
    replicas_.resize(plan.ranks.size(), {first, zeros(first), zeros(first)});
  }

  void step(std::int64_t step, bool synchronises) {
    for (std::size_t r = 0; r < replicas_.size(); ++r)
      train(replicas_[r], gradient(r, step), step);
    if (synchronises) come_together();
  }

  const Numbers& weights(std::size_t replica) const { return replicas_[replica].weights; }
  double norm_of_first_gradient() const { return first_norm_; }

 private:
  struct Replica {
    Numbers weights, m, v;
  };

  static Numbers zeros(const Numbers& like) {
    Numbers all = like;
    for (auto& values : all)
      std::fill(values.begin(), values.end(), 0.0);
    return all;
  }
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t p = 0; p < anchor_.size(); ++p) {
      for (std::size_t k = 0; k < anchor_[p].size(); ++k)
        visit(p, k);
    }
  }

  Numbers gradient(std::size_t r, std::int64_t step) const {
    Plan own = plan_;
    own.training.batch = program_of(plan_, RankId(r)).micro_batches * plan_.micro_batch_samples;
    const auto backend = exec::make_reference_backend(DataType::fp64);
    OfReplica batches(Batches<double>(net_, plan_.micro_batch_samples),
                      plan_.ranks[r].first_micro_batch);
    return numbers(
        exec::global_gradient(own, net_, bytes_of(replicas_[r].weights), step, *backend, batches));
  }

  void train(Replica& replica, Numbers g, std::int64_t step) {
    const Optimizer& rule = plan_.training.optimizer;
    double squares = 0;
    each([&](auto p, auto k) { squares += g[p][k] * g[p][k]; });
    if (&replica == &replicas_.front() && step == 0) first_norm_ = std::sqrt(squares);
    const double factor = rule.clip ? std::min(1.0, *rule.clip / (std::sqrt(squares) + 1e-6)) : 1.0;
    each([&](auto p, auto k) {
      double &w = replica.weights[p][k], &m = replica.m[p][k], &v = replica.v[p][k];
      const double gradient = factor * g[p][k];
      const Adam* adam = std::get_if<Adam>(&rule.rule);
      if (adam == nullptr) {
        m = std::get<Sgd>(rule.rule).momentum * m + gradient;
        w -= rule.lr * m;
        return;
      }
      const auto t = static_cast<double>(step + 1);
      if (net_.parameters[p].decays) w -= rule.lr * rule.weight_decay * w;
      m = adam->beta1 * m + (1 - adam->beta1) * gradient;
      v = adam->beta2 * v + (1 - adam->beta2) * gradient * gradient;
      w -= rule.lr * (m / (1 - std::pow(adam->beta1, t))) /
           (std::sqrt(v / (1 - std::pow(adam->beta2, t))) + adam->epsilon);
    });
  }

  // Delta = mean (anchor - weights); v = mu v + Delta; anchor -= lr (Delta + mu v).
  void come_together() {
    each([&](auto p, auto k) {
      double mean = 0;
      for (const Replica& replica : replicas_)
        mean += replica.weights[p][k] / static_cast<double>(replicas_.size());
      double next = mean;
      if (plan_.outer) {
        const double delta = anchor_[p][k] - mean;
        double& v = velocity_[p][k];
        v = plan_.outer->momentum * v + delta;
        next = anchor_[p][k] - plan_.outer->lr * (delta + plan_.outer->momentum * v);
      }
      anchor_[p][k] = next;
      for (Replica& replica : replicas_)
        replica.weights[p][k] = next;
    });
  }

  const Plan& plan_;
  const Net net_;
  Numbers anchor_, velocity_;
  std::vector<Replica> replicas_;
  double first_norm_ = 0;
};

struct Way {
  std::string name;
  StrategySpec strategy;
  Optimizer optimizer;
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
};

std::vector<Way> ways() {
  StrategySpec accumulating = replicas();
  accumulating.micro_batches = 2;
  Optimizer clipped = adamw();
  clipped.clip = 0.5;
  return {
      {"mean", local(replicas(), 4), adamw()},
      {"nesterov", local(replicas(), 4, kOuter), adamw()},
      {"no_momentum", local(replicas(), 4, OuterOptimizer{0.5, 0}), adamw()},
      {"sgd", local(replicas(), 4, kOuter), sgd(0.9)},
      {"accumulating", local(accumulating, 4, kOuter), adamw()},
      {"clipped", local(replicas(), 4, kOuter), clipped},
      {"clipped_mean", local(accumulating, 4), clipped},
      {"between", local(replicas(), 4, kOuter, false), clipped},
  };
}

class LocalSteps : public ::testing::TestWithParam<Way> {};
INSTANTIATE_TEST_SUITE_P(Ways, LocalSteps, ::testing::ValuesIn(ways()),
                         [](const auto& way) { return way.param.name; });

TEST_P(LocalSteps, FollowTheFormulas) {
  const Plan plan = executable(GetParam().strategy, 4, testing::mlp(), GetParam().optimizer);
  const auto run = train_locally(plan, kSteps);
  Formulas formulas(plan, numbers(run.first_step->weights));
  for (std::int64_t step = 0; step < kSteps; ++step)
    formulas.step(step, plan.synchronises);
  // Where they have not come together, the first holder's are assembled.
  EXPECT_LT(difference(run.weights, bytes_of(formulas.weights(0))), kRounding);
  if (!plan.training.optimizer.clip) return;
  // Each clips by the norm of its own gradients; the first rank's is reported.
  ASSERT_EQ(run.gradient_norms.size(), static_cast<std::size_t>(kSteps));
  EXPECT_NEAR(run.gradient_norms[0], formulas.norm_of_first_gradient(), 1e-12);
  EXPECT_GT(run.gradient_norms[0], *plan.training.optimizer.clip);
}

// Two periods of three steps and one step of the next: moments, anchor and velocity stay with their
// weights from plan to plan.
TEST_P(LocalSteps, FollowTheFormulasOverPeriods) {
  constexpr std::int64_t kPeriod = 3, kAll = 7;
  StrategySpec strategy = GetParam().strategy;
  strategy.local_steps = kPeriod;
  std::vector<Plan> plans;
  for (std::int64_t step = 0; step < kPeriod; ++step)
    plans.push_back(executable(at_step(strategy, step), 4, testing::mlp(), GetParam().optimizer));
  EXPECT_EQ(plans[1].synchronises, false);
  EXPECT_EQ(plans[2].synchronises, true);
  const Net net = *whole_net(plans[0]);
  const auto run = testing::train_in_turns(Batches<double>(net, plans[0].micro_batch_samples),
                                           plans, 1, testing::options_of(kAll));
  Formulas formulas(plans[0], numbers(run.first_step->weights));
  for (std::int64_t step = 0; step < kAll; ++step)
    formulas.step(step, at_step(strategy, step).synchronises);
  EXPECT_LT(difference(run.weights, bytes_of(formulas.weights(0))), kRounding);
  EXPECT_EQ(run.transitions.count, 0) << "nothing moves";
  EXPECT_NE(run.ranks[0].class_hashes, run.ranks[1].class_hashes);
}

// ---- inside and around -------------------------------------------------------------------------

// A pipeline inside a replica changes nothing but the order of sums; its ranks clip by one norm.
TEST(LocalStepsOfPipelines, AreThoseOfReplicas) {
  Optimizer optimizer = adamw();
  optimizer.clip = 0.5;
  StrategySpec whole = replicas();
  whole.micro_batches = 4;
  for (const std::string schedule : {"1f1b", "zb-v"}) {
    for (const bool synchronises : {true, false}) {
      const auto expected = train_locally(
          executable(local(whole, 3, kOuter, synchronises), 2, untied_gpt(), optimizer), kSteps);
      const StrategySpec piped = local(testing::pipeline(schedule, 2, 4), 3, kOuter, synchronises);
      const auto run = train_locally(executable(piped, 4, untied_gpt(), optimizer), kSteps);
      EXPECT_LT(difference(run.weights, expected.weights), 1e-11) << schedule;
      EXPECT_NEAR(run.gradient_norms[0], expected.gradient_norms[0], 1e-12) << schedule;
    }
  }
}

// Of 2 (N - 1) times the bytes of the weights, as of gradients; between synchronisations nothing.
TEST(LocalStepsOfReplicas, SendTheWeightsOnce) {
  const auto sent = [](const Plan& plan) {
    Bytes sum;
    for (const auto& rank : train_locally(plan, 1).ranks)
      sum += rank.traffic.sent;
    return sum.bytes();
  };
  std::int64_t elements = 0;
  const Net net = *build_net(testing::mlp());
  for (const Parameter& parameter : net.parameters)
    elements += parameter.shape.elements();
  for (const auto& outer : {std::optional<OuterOptimizer>(), std::optional(kOuter)}) {
    EXPECT_EQ(sent(executable(local(replicas(), 2, outer), 4, testing::mlp())),
              2 * (4 - 1) * elements * 8);
    EXPECT_EQ(sent(executable(local(replicas(), 2, outer, false), 4, testing::mlp())), 0);
  }
}

// Units with one holder are nobody else's: only what all have is exchanged. An outer optimizer
// moves them, too.
TEST(LocalStepsOfSubnetworks, SendNothingOfWhatOneHolds) {
  const StrategySpec ist = testing::by_width(testing::subnetwork({1, 4}, 4));
  for (const auto& outer : {std::optional<OuterOptimizer>(), std::optional(kOuter)}) {
    const Plan plan = executable(local(ist, 2, outer), 4, testing::mlp());
    const auto run = train_locally(plan, kSteps);
    const Net net = *whole_net(plan);
    std::int64_t shared = 0, alone = 0;
    for (const Parameter& parameter : net.parameters)
      (parameter.unit ? alone : shared) += parameter.shape.elements();
    ASSERT_GT(alone, 0);
    std::int64_t sent = 0;
    for (const auto& rank : run.ranks)
      sent += rank.traffic.sent.bytes();
    EXPECT_EQ(sent, kSteps * 2 * (4 - 1) * shared * 8);
    for (const RankProgram& program : plan.programs) {
      std::size_t moved = 0;
      for (const Op& op : program.ops)
        moved += op.kind == OpKind::outer_step ? 1 : 0;
      EXPECT_EQ(moved, outer ? program.parameter_classes.size() : 1);
    }
  }
}

// With one holder the average is its own: v = mu v + d, so that after one step, where d = lr g,
// w = w0 - outer_lr (1 + mu) d.
TEST(LocalStepsOfSubnetworks, MoveWhatOneHoldsByTheOuterOptimizer) {
  const StrategySpec ist = testing::by_width(testing::subnetwork({1, 4}, 4));
  const Plan plan = executable(local(ist, 2, kOuter), 4, testing::mlp(), sgd(0));
  const Plan plain = executable(local(ist, 2), 4, testing::mlp(), sgd(0));
  const auto moved = train_locally(plan, 1), stepped = train_locally(plain, 1);
  const Numbers first = numbers(stepped.first_step->weights), inner = numbers(stepped.weights);
  Numbers expected = first;
  for (std::size_t p = 0; p < first.size(); ++p) {
    for (std::size_t k = 0; k < first[p].size(); ++k)
      expected[p][k] -= kOuter.lr * (1 + kOuter.momentum) * (first[p][k] - inner[p][k]);
  }
  EXPECT_LT(difference(moved.weights, bytes_of(expected)), kRounding);
}

// What a rank has of parameters, with a number of its own in every element of every array.
void number_state(const exec::Parameters& parameters, exec::Backend& backend) {
  for (const auto& [id, place] : parameters.places()) {
    const auto arrays = parameters.state_of(id).arrays();
    for (std::size_t k = 0; k < arrays.size(); ++k) {
      if (arrays[k].empty()) continue;
      std::vector<double> values(static_cast<std::size_t>(place.elements));
      std::iota(values.begin(), values.end(), 1e6 * static_cast<double>(id.value() * 8 + k));
      backend.store(arrays[k].data(), values);
    }
  }
}

// A unit's new holder gets what the outer optimizer keeps of it, with the weights and the moments.
TEST(LocalStepsOfSubnetworks, MoveTheirOuterStateWithTheUnits) {
  StrategySpec strategy = local(testing::subnetwork({1, 2}, 4), 2, kOuter);
  strategy.subnetwork->redraw = 2;
  const Plan before = executable(at_step(strategy, 1), 4, untied_gpt(), adamw());
  const Plan after = executable(at_step(strategy, 2), 4, untied_gpt(), adamw());
  const Net net = *whole_net(before);
  const Transition transition = transition_between(before, after, net);
  ASSERT_FALSE(transition.moves.empty());
  exec::run_local(4, [&](exec::Transport& transport) {
    const RankId rank = transport.rank();
    const auto backend = exec::make_reference_backend(DataType::fp64);
    const Net own = net_of(before, net, program_of(before, rank));
    const Net next = net_of(after, net, program_of(after, rank));
    exec::Arena first(program_of(before, rank), exec::host_device(), true);
    exec::Arena second(program_of(after, rank), exec::host_device(), true);
    const exec::Parameters old(before, rank, own, first), got(after, rank, next, second);
    number_state(old, *backend);
    exec::CarriedState(old).hand_over(transition, Moments::keep, got, transport);
    for (const auto& [id, place] : got.places()) {
      const auto arrays = got.state_of(id).arrays();
      for (std::size_t k = 0; k < arrays.size(); ++k) {
        EXPECT_EQ(arrays[k].empty(), k == exec::ParameterState::kMaster);
        if (arrays[k].empty()) continue;
        const std::vector<double> values = backend->load(arrays[k].data(), place.elements);
        EXPECT_EQ(values.front(), 1e6 * static_cast<double>(id.value() * 8 + k));
        EXPECT_EQ(values.back(), values.front() + static_cast<double>(place.elements - 1));
      }
    }
  });
}

// A draw's first step begins with moments of 0 where they are reset; the velocity stays.
TEST(LocalStepsOfSubnetworks, KeepTheirVelocityWhereMomentsAreReset) {
  const Plan plan = executable(local(replicas(), 2, kOuter), 2, testing::mlp(), adamw());
  const Net net = *whole_net(plan);
  const auto backend = exec::make_reference_backend(DataType::fp64);
  exec::Arena arena(program_of(plan, RankId(0)), exec::host_device(), true);
  const exec::Parameters parameters(plan, RankId(0), net, arena);
  number_state(parameters, *backend);
  parameters.reset_moments();
  for (const auto& [id, place] : parameters.places()) {
    const auto arrays = parameters.state_of(id).arrays();
    for (const std::size_t k : {1, 2})
      EXPECT_THAT(backend->load(arrays[k].data(), place.elements), ::testing::Each(0.0));
    for (const std::size_t k : {0, 4, 5})
      EXPECT_EQ(backend->load(arrays[k].data(), 1)[0],
                1e6 * static_cast<double>(id.value() * 8 + k));
  }
}

// Copies differ until they come together: each is told apart, and the hash of all weights sees all.
TEST(LocalStepsOfReplicas, HaveCopiesOfTheirOwnBetweenSynchronisations) {
  const auto between = train_locally(
      executable(local(replicas(), 2, std::nullopt, false), 2, testing::mlp()), kSteps);
  const auto first_of = [&](std::size_t rank) { return between.ranks[rank].class_hashes; };
  EXPECT_NE(first_of(0), first_of(1));
  EXPECT_EQ(differing_copies(between.ranks), "");
  const auto together = train_locally(executable(local(replicas(), 2), 2, testing::mlp()), kSteps);
  EXPECT_EQ(together.ranks[0].class_hashes, together.ranks[1].class_hashes);
}

// Whoever computes: the library's kernels give what the plain loops do, as far as fp32 goes.
TEST(LocalStepsOfReplicas, RunOnTheLibrary) {
  Training training = testing::training(16);
  training.optimizer = adamw();
  const Plan plan = executable(local(replicas(), 2, kOuter), 4, testing::mlp(), training);
  const auto reference = train_locally(plan, kSteps);
  const auto library = train_locally(plan, kSteps, 0, Seconds::seconds(300), "onednn", 2);
  EXPECT_EQ(differing_copies(library.ranks), "");
  double largest = 0, apart = 0;
  for (std::size_t p = 0; p < reference.weights.size(); ++p) {
    for (std::size_t at = 0; at < reference.weights[p].size(); at += sizeof(float)) {
      float a = 0, b = 0;
      std::memcpy(&a, reference.weights[p].data() + at, sizeof a);
      std::memcpy(&b, library.weights[p].data() + at, sizeof b);
      largest = std::max(largest, std::abs(double{a}));
      apart = std::max(apart, std::abs(double{a} - double{b}));
    }
  }
  EXPECT_LT(apart / largest, 1e-4);
}

// In bf16 differences are averaged, so that master copies lose nothing: where nothing differs (a
// rate of 0), the weights and whatever they are rounded from stay.
TEST(LocalStepsOfReplicas, KeepTheMasterCopies) {
  Training training = testing::training(16);
  training.dtype = DataType::bf16;
  training.optimizer = sgd(0.9);
  const Plan plan =
      executable(local(replicas(), 2, OuterOptimizer{1, 0}), 4, testing::mlp(), training);
  const auto run = train_locally(plan, 20);
  EXPECT_EQ(differing_copies(run.ranks), "");
  const Plan every = executable(replicas(), 4, testing::mlp(), training);
  const auto ddp = train_locally(every, 20);
  // The two round at other places: what one step of bf16 gradients rounds is 2^-9 of them.
  for (std::size_t step = 0; step < run.losses.size(); ++step)
    EXPECT_NEAR(run.losses[step], ddp.losses[step], 0.02 * ddp.losses[0]) << step;
  EXPECT_LT(run.losses.back(), 0.8 * run.losses.front());
}

}  // namespace
}  // namespace rehearse
