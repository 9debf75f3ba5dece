// Recordings of kernels: every number of a training is the same to the bit with and without them,
// on a device that keeps what it is told and does it again exactly.
#include "exec/run/recorder.h"

#include <gtest/gtest.h>

#include "exec/staged_transport.h"
#include "tests/exec/far_device.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::executable;
using testing::FarDevice;
using testing::narrow_gpt;
using testing::with_dropout;

// Enough for recordings that are no longer good, in the middle of all that is done between steps.
constexpr std::int64_t kSteps = 9;

struct Outcome {
  exec::TrainingRun run;
  std::size_t recorded = 0, replayed = 0;  // by rank 0
};

Outcome train(const std::vector<Plan>& plans, bool records) {
  const Plan& first = plans.front();
  const Net net = *whole_net(first);
  exec::TrainOptions options = testing::options_of(kSteps);
  options.evaluate_every = 4;
  options.executor.records = records;
  Outcome outcome;
  exec::run_local(first.ranks.size(), [&](exec::Transport& carrier) {
    FarDevice device(carrier.rank().value());
    const auto backend = testing::make_far_backend(first.training.dtype, device);
    exec::StagedTransport transport(carrier, device);
    testing::Batches<double> batches(net, first.micro_batch_samples);
    testing::TurningPlans turns(plans, 4);
    exec::TrainingRun run =
        exec::train(turns, net, *backend, transport, batches, &batches, options);
    if (transport.rank() == RankId(0))
      outcome = {std::move(run), device.recorded(), device.replayed()};
  });
  return outcome;
}

struct Case {
  std::string name;
  std::vector<Plan> plans;
  friend void PrintTo(const Case& it, std::ostream* out) { *out << it.name; }
};

// Whose numbers are others in every step: the learning rate's warm-up, unbiased moments, clipping.
Optimizer changing() {
  Optimizer optimizer = testing::training(16).optimizer;
  optimizer.rule = Adam{};
  optimizer.lr = 0.01;
  optimizer.schedule.warmup = 5;
  optimizer.clip = 0.1;
  return optimizer;
}

StrategySpec micro_batched(StrategySpec strategy) {
  strategy.micro_batches = 2;
  return strategy;
}

StrategySpec sharded() {
  StrategySpec strategy = micro_batched(testing::data_parallel("zero3", Bytes::kib(64)));
  strategy.sharding = Sharding::parameters;
  return strategy;
}

StrategySpec drawn(std::int64_t draw) {
  return testing::redrawn(testing::subnetwork({1, 1}), draw);
}

std::vector<Case> cases() {
  const ModelSpec dropping = with_dropout(narrow_gpt(true));
  const auto data = micro_batched(testing::data_parallel("data", Bytes::kib(64)));
  return {
      {"data", {executable(data, 2, dropping, changing())}},
      {"images", {executable(data, 2, testing::mlp())}},
      {"zero3", {executable(sharded(), 4, dropping, changing())}},
      {"pipeline", {executable(testing::pipeline("1f1b", 4, 8), 4, dropping, changing())}},
      {"zero_bubble", {executable(testing::pipeline("zb-v", 2, 8), 2, narrow_gpt(true))}},
      {"redrawn", {executable(drawn(0), 4, dropping), executable(drawn(1), 4, dropping)}},
  };
}

class Recordings : public ::testing::TestWithParam<Case> {};

TEST_P(Recordings, ChangeNoNumber) {
  const Outcome with = train(GetParam().plans, true), without = train(GetParam().plans, false);
  EXPECT_EQ(without.recorded + without.replayed, 0u);
  EXPECT_GT(with.recorded, 0u);
  EXPECT_GT(with.replayed, with.recorded);
  EXPECT_EQ(with.run.losses, without.run.losses);
  EXPECT_EQ(with.run.gradient_norms, without.run.gradient_norms);
  EXPECT_EQ(with.run.weight_hashes, without.run.weight_hashes);
  EXPECT_EQ(with.run.weights, without.run.weights);
  EXPECT_EQ(exec::differing_copies(with.run.ranks), "");
  ASSERT_EQ(with.run.evaluations.size(), without.run.evaluations.size());
  for (std::size_t k = 0; k < with.run.evaluations.size(); ++k)
    EXPECT_EQ(with.run.evaluations[k].evaluation.loss, without.run.evaluations[k].evaluation.loss);
  for (std::size_t r = 0; r < with.run.ranks.size(); ++r)
    EXPECT_EQ(with.run.ranks[r].arena_extent, without.run.ranks[r].arena_extent);
}

INSTANTIATE_TEST_SUITE_P(Plans, Recordings, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

// ---- which kernels ------------------------------------------------------------------------------

// The passes of one step of a rank: calls that their kernels take, and how many of these there are.
struct Passes {
  std::size_t ops = 0, kernels = 0, drawing = 0, calls = 0;
};

Passes last_step(const ModelSpec& model, std::int64_t steps) {
  const Plan plan = executable(testing::data_parallel("data", Bytes::kib(64)), 2, model);
  const RankProgram& program = program_of(plan, RankId(0));
  const Net net = net_of(plan, *whole_net(plan), program);
  FarDevice device(1);
  const auto backend = testing::make_far_backend(plan.training.dtype, device);
  exec::Arena arena(program, device, false);
  const exec::Parameters parameters(plan, RankId(0), net, arena);
  const exec::ComputeProgram compute(plan, RankId(0), net, *backend, arena, parameters);
  exec::Recorder recorder(compute, device, true);
  Passes passes;
  for (std::int64_t step = 0; step < steps; ++step) {
    passes = {};
    for (std::size_t id = 0; id < program.ops.size(); ++id) {
      const auto& launches = compute.launches(OpId(id));
      passes.ops += launches.empty() ? 0 : 1;
      passes.kernels += launches.size();
      for (const exec::Launch& launch : launches)
        passes.drawing += launch.draws ? 1 : 0;
      for (std::size_t done = 0; done < launches.size(); ++passes.calls)
        done = recorder.run(OpId(id), done);
    }
  }
  device.wait();
  return passes;
}

TEST(Recorder, RunsWholePassesAtOnce) {
  for (const std::int64_t steps : {1, 2, 3}) {
    const Passes passes = last_step(narrow_gpt(), steps);
    EXPECT_EQ(passes.drawing, 0u);
    EXPECT_EQ(passes.calls, passes.ops);
    EXPECT_GT(passes.kernels, 4 * passes.ops);
  }
}

// A stretch before each of them, and one behind the last.
TEST(Recorder, LeavesOutWhatDraws) {
  const Passes passes = last_step(with_dropout(narrow_gpt()), 3);
  EXPECT_GT(passes.drawing, 0u);
  EXPECT_LE(passes.calls, 2 * passes.drawing + passes.ops);
  EXPECT_GT(passes.calls, passes.drawing);
  EXPECT_LT(passes.calls, passes.kernels);
}

TEST(RecorderDeathTest, IsOfDevicesThatRecord) {
  const Plan plan = executable(testing::data_parallel("data", Bytes::kib(64)), 2, narrow_gpt());
  const RankProgram& program = program_of(plan, RankId(0));
  const Net net = net_of(plan, *whole_net(plan), program);
  const auto backend = exec::make_reference_backend(DataType::fp64);
  exec::Arena arena(program, exec::host_device(), false);
  const exec::Parameters parameters(plan, RankId(0), net, arena);
  const exec::ComputeProgram compute(plan, RankId(0), net, *backend, arena, parameters);
  EXPECT_DEATH(exec::Recorder(compute, exec::host_device(), true), "records nothing");
}

}  // namespace
}  // namespace rehearse
