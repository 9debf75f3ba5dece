#include "exec/run/alignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "exec/run/global_gradient.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::by_width;
using testing::executable;
using testing::masked_backward;
using testing::options_of;
using testing::subnetwork;
using testing::train_locally;
using testing::with_dropout;

constexpr std::int64_t kWorkers = 4;
// At this rate weights stay what they were at first.
const Optimizer kStill{.rule = Sgd{}, .lr = 1e-14};

struct Way {
  std::string name;
  StrategySpec strategy;
  ModelSpec model;
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
};

ModelSpec tiny_gpt() {
  return {"gpt",
          {{"layers", {4}},
           {"width", {16}},
           {"heads", {4}},
           {"vocabulary", {20}},
           {"sequence", {6}},
           {"positions", {6}}}};
}

StrategySpec held_by(std::int64_t holders) {
  return subnetwork({holders, kWorkers}, kWorkers);
}

StrategySpec accumulating(StrategySpec strategy) {
  strategy.micro_batches = 2;
  return strategy;
}

std::vector<Way> ways() {
  StrategySpec over_all = held_by(3);
  over_all.subnetwork->averaging = Averaging::all;
  StrategySpec scaled = held_by(2);
  scaled.subnetwork->scaling = Scaling::in_training;
  StrategySpec unscaled = held_by(2);
  unscaled.subnetwork->scaling = Scaling::none;
  StrategySpec sharded = held_by(2);
  sharded.sharding = Sharding::parameters;
  const ModelSpec resnet = testing::small_resnet();
  StrategySpec nested =
      by_width(testing::dealt(AssignmentKind::nested, {{1, 1}, {1, 2}, {1, 2}, {1, 4}}));
  nested.subnetwork->scaling = Scaling::in_training;
  // Half of the blocks are nobody's.
  const StrategySpec parked =
      testing::dealt(AssignmentKind::nested, {{1, 2}, {1, 2}, {1, 4}, {1, 4}});
  return {
      {"gpt", held_by(2), tiny_gpt()},
      {"gpt_width", by_width(held_by(2)), tiny_gpt()},
      {"gpt_one_holder", held_by(1), tiny_gpt()},
      {"gpt_over_all", over_all, tiny_gpt()},
      {"gpt_scaled", scaled, tiny_gpt()},
      {"gpt_unscaled", unscaled, tiny_gpt()},
      {"gpt_zero3", sharded, tiny_gpt()},
      {"gpt_accumulating", accumulating(held_by(3)), tiny_gpt()},
      {"resnet", held_by(2), resnet},
      {"resnet_width", by_width(held_by(3)), resnet},
      {"mlp", by_width(held_by(2)), testing::mlp()},
      {"gpt_nested", nested, tiny_gpt()},
      {"resnet_nested", nested, resnet},
      {"gpt_parked", parked, tiny_gpt()},
  };
}

exec::TrainOptions aligning(std::int64_t steps, std::int64_t every) {
  exec::TrainOptions options = options_of(steps);
  options.align_every = every;
  return options;
}

// ---- cosines by their definition --------------------------------------------------------------

// The same samples in every micro-batch of every step: what the workers train on is one common
// batch, and what they sum up is the aggregate of (c).
class OneBatch : public testing::Batches<double> {
 public:
  using Batches::Batches;
  void load_input(std::int64_t, std::int64_t, void* into) override {
    Batches::load_input(0, 0, into);
  }
  void load_labels(std::int64_t, std::int64_t, void* into) override {
    Batches::load_labels(0, 0, into);
  }
};

// Those of some parameters, one after the other.
std::vector<double> flatten(const exec::Weights& gradient, const std::vector<std::size_t>& of) {
  std::vector<double> flat;
  for (const std::size_t p : of) {
    const std::size_t begin = flat.size();
    flat.resize(begin + gradient[p].size() / sizeof(double));
    std::memcpy(flat.data() + begin, gradient[p].data(), gradient[p].size());
  }
  return flat;
}

std::optional<double> cosine(const exec::Weights& a, const exec::Weights& b,
                             const std::vector<std::size_t>& of) {
  const std::vector<double> x = flatten(a, of), y = flatten(b, of);
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t k = 0; k < x.size(); ++k)
    xy += x[k] * y[k], xx += x[k] * x[k], yy += y[k] * y[k];
  if (xx == 0 || yy == 0) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

class Alignment : public ::testing::TestWithParam<Way> {
 protected:
  Alignment() {
    const auto backend = exec::make_backend("reference", plan.training.dtype);
    OneBatch batches(net, plan.micro_batch_samples);
    const auto gradient = [&](const Net& network) {
      return exec::global_gradient(plan, network, run.first_step->weights, 0, *backend, batches);
    };
    whole = gradient(scale_branches(net, plan.branch_scale_at_test));
    for (std::size_t w = 0; w < kWorkers; ++w)
      own.push_back(gradient(net_of(plan, net, program_of(plan, RankId(w)))));
  }

  bool holds(std::size_t worker, std::size_t parameter) const {
    const auto& unit = net.parameters[parameter].unit;
    return !unit || program_of(plan, RankId(worker)).subnetwork.holds[unit->index()];
  }
  // Parameters of a block, or of all, that all these workers hold.
  std::vector<std::size_t> held(const std::vector<std::size_t>& workers,
                                std::optional<BlockId> block) const {
    std::vector<std::size_t> parameters;
    for (std::size_t p = 0; p < net.parameters.size(); ++p) {
      if (block && net.segments[net.parameters[p].segment.index()].block != *block) continue;
      if (std::all_of(workers.begin(), workers.end(), [&](std::size_t w) { return holds(w, p); }))
        parameters.push_back(p);
    }
    return parameters;
  }
  void expect(const exec::Alignment& found, std::optional<BlockId> block) const {
    const auto near = [](const std::optional<double>& got, const std::optional<double>& expected) {
      ASSERT_EQ(got.has_value(), expected.has_value());
      if (got) {
        EXPECT_NEAR(*got, *expected, 1e-10);
      }
    };
    for (std::size_t i = 0; i < kWorkers; ++i)
      near(found.workers.at(i), cosine(own[i], whole, held({i}, block)));
    for (const exec::Alignment::Pair& pair : found.pairs) {
      near(pair.cosine,
           cosine(own[pair.first], own[pair.second], held({pair.first, pair.second}, block)));
    }
    ASSERT_EQ(found.pairs.size(), kWorkers * (kWorkers - 1) / 2);
    near(found.aggregate, cosine(run.first_step->gradients, whole, held({}, block)));
  }

  const Way& way = GetParam();
  const Plan plan = executable(way.strategy, kWorkers, way.model, kStill);
  const Net net = *whole_net(plan);
  const exec::TrainingRun run =
      testing::train_on(OneBatch(net, plan.micro_batch_samples), plan, aligning(1, 1));
  exec::Weights whole;
  std::vector<exec::Weights> own;  // by worker
};
INSTANTIATE_TEST_SUITE_P(Ways, Alignment, ::testing::ValuesIn(ways()),
                         [](const auto& way) { return way.param.name; });

// The workers' own gradients, of which the executor only shows the aggregate.
TEST_P(Alignment, WorkersGradientsAreThoseOfTraining) {
  exec::Weights mean(net.parameters.size());
  for (std::size_t p = 0; p < mean.size(); ++p) {
    std::vector<double> sum;
    double holders = 0;
    for (std::size_t w = 0; w < kWorkers; ++w) {
      EXPECT_EQ(own[w][p].empty(), !holds(w, p)) << net.parameters[p].name;
      const std::vector<double> terms = flatten(own[w], {p});
      sum.resize(std::max(sum.size(), terms.size()), 0);
      std::transform(terms.begin(), terms.end(), sum.begin(), sum.begin(), std::plus<>());
      if (!terms.empty()) ++holders;
    }
    // What nobody holds is not trained.
    if (holders == 0) sum.resize(whole[p].size() / sizeof(double), 0);
    const double divisor = plan.averaging == Averaging::all ? kWorkers : std::max(holders, 1.0);
    for (double& x : sum)
      x /= divisor;
    mean[p].resize(sum.size() * sizeof(double));
    std::memcpy(mean[p].data(), sum.data(), mean[p].size());
  }
  EXPECT_LT(testing::difference(mean, run.first_step->gradients), 1e-13);
}

// Below 1: what is left out has a part in everybody's gradient.
TEST_P(Alignment, IsTheCosineOverWhatIsHeld) {
  ASSERT_EQ(run.alignments.size(), 1u);
  const exec::AlignmentAt& found = run.alignments[0];
  EXPECT_EQ(found.step, 1);
  {
    SCOPED_TRACE("overall");
    expect(found.overall, std::nullopt);
  }
  ASSERT_EQ(found.blocks.size(), net.blocks.size());
  for (std::size_t b = 0; b < net.blocks.size(); ++b) {
    SCOPED_TRACE(net.blocks[b].name);
    expect(found.blocks[b], BlockId(b));
  }
  EXPECT_LT(exec::over_workers(found.overall)->least, exec::over_workers(found.overall)->mean);
  EXPECT_LT(exec::over_workers(found.overall)->mean, 0.999);
  EXPECT_LT(exec::over_pairs(found.overall)->mean, 0.999);
  EXPECT_LT(found.overall.aggregate.value(), 0.9999);
}

// ---- where it is 1 -----------------------------------------------------------------------------

void expect_ones(const exec::Alignment& alignment) {
  const auto one = [](const std::optional<double>& cosine) {
    if (cosine) {
      EXPECT_NEAR(*cosine, 1, 1e-12);
    }
  };
  for (const auto& worker : alignment.workers)
    one(worker);
  for (const exec::Alignment::Pair& pair : alignment.pairs)
    one(pair.cosine);
  one(alignment.aggregate);
}

// Of training that moves: whatever the weights are.
void expect_ones(const Plan& plan) {
  const exec::TrainingRun run = train_locally(plan, aligning(2, 1));
  ASSERT_EQ(run.alignments.size(), 2u);
  for (const exec::AlignmentAt& at : run.alignments) {
    expect_ones(at.overall);
    ASSERT_TRUE(at.overall.aggregate && exec::over_workers(at.overall));
    EXPECT_TRUE(exec::over_pairs(at.overall));
    for (const exec::Alignment& block : at.blocks)
      expect_ones(block);
  }
  EXPECT_NE(run.weight_hashes.back(), run.weight_hashes.front());
}

// Everybody computes the whole network's gradient, of its part, on the same batch, with the same
// draws.
TEST(AlignmentOfBackwardMasking, IsOne) {
  for (Way way : ways()) {
    // Refused.
    if (way.strategy.sharding == Sharding::parameters || way.name == "gpt_parked") continue;
    way.strategy = masked_backward(way.strategy);
    way.strategy.subnetwork->averaging = Averaging::holders;
    SCOPED_TRACE(way.name);
    expect_ones(executable(way.strategy, kWorkers, way.model));
    if (way.model.kind == "resnet20") continue;  // has no dropout
    expect_ones(executable(way.strategy, kWorkers, with_dropout(way.model)));
  }
}

// Nothing is left out.
TEST(AlignmentOfEverything, IsOne) {
  for (const StrategySpec& strategy : {held_by(kWorkers), by_width(held_by(kWorkers))}) {
    for (const ModelSpec& model :
         {tiny_gpt(), testing::small_resnet(), with_dropout(testing::mlp())})
      expect_ones(executable(strategy, kWorkers, model));
  }
}

// ---- beside training ---------------------------------------------------------------------------

// Training ends with the same bits and finds the same figures, whoever looks on.
TEST(AlignmentBesideTraining, ChangesNothing) {
  constexpr std::int64_t kSteps = 3;
  StrategySpec stages = subnetwork({1, 2}, 2);
  stages.pipeline = PipelineSpec{2, "1f1b", 2};
  const ModelSpec dropping = with_dropout(tiny_gpt()), untied = with_dropout(testing::small_gpt(4));
  for (const auto& [strategy, model] : {std::pair(held_by(2), dropping),
                                        {by_width(held_by(2)), dropping},
                                        {stages, untied},
                                        {stages, testing::small_resnet()},
                                        {held_by(2), testing::small_resnet()}}) {
    for (const auto& [backend, type] :
         {std::pair("reference", DataType::fp64), {"onednn", DataType::fp32}}) {
      Training training = testing::training(16);
      training.dtype = type;
      const Plan plan = executable(strategy, kWorkers, model, training);
      const auto alone = train_locally(plan, options_of(kSteps), backend);
      const auto watched = train_locally(plan, aligning(kSteps, 1), backend);
      EXPECT_EQ(watched.alignments.size(), static_cast<std::size_t>(kSteps));
      EXPECT_TRUE(alone.alignments.empty());
      EXPECT_EQ(watched.weight_hashes, alone.weight_hashes);
      EXPECT_EQ(watched.losses, alone.losses);
      for (std::size_t r = 0; r < alone.ranks.size(); ++r) {
        EXPECT_EQ(watched.ranks[r].workspace, alone.ranks[r].workspace) << backend << r;
        EXPECT_EQ(watched.ranks[r].arena_extent, alone.ranks[r].arena_extent);
        EXPECT_EQ(watched.ranks[r].traffic.sent, alone.ranks[r].traffic.sent);
      }
    }
  }
}

// Workers are compared, however many ranks each of them is.
TEST(AlignmentBesideTraining, IsOfWorkersNotOfRanks) {
  StrategySpec whole = subnetwork({1, 2}, 2);
  whole.micro_batches = 4;
  StrategySpec cut = whole;
  cut.micro_batches = 1;
  cut.data = 2;
  cut.pipeline = PipelineSpec{2, "1f1b", 2};
  StrategySpec inside_out = cut;
  inside_out.order = {Axis::tensor, Axis::pipeline, Axis::subnetwork, Axis::data};
  const ModelSpec model = with_dropout(testing::small_gpt(4));
  const auto reference =
      train_locally(executable(whole, 2, model, kStill), aligning(1, 1)).alignments.at(0);
  ASSERT_EQ(reference.overall.workers.size(), 2u);
  for (const StrategySpec& strategy : {cut, inside_out}) {
    const auto found =
        train_locally(executable(strategy, 8, model, kStill), aligning(1, 1)).alignments.at(0);
    ASSERT_EQ(found.overall.workers.size(), 2u);
    ASSERT_EQ(found.overall.pairs.size(), 1u);
    for (std::size_t w = 0; w < 2; ++w)
      EXPECT_NEAR(found.overall.workers[w].value(), reference.overall.workers[w].value(), 1e-10);
    EXPECT_NEAR(found.overall.pairs[0].cosine.value(), reference.overall.pairs[0].cosine.value(),
                1e-10);
    EXPECT_NEAR(found.overall.aggregate.value(), reference.overall.aggregate.value(), 1e-10);
  }
}

}  // namespace
}  // namespace rehearse
