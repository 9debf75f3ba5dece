// Training on a device whose memory the host cannot touch and whose queues run behind: whatever the
// plan, every number is that of the same kernels beside the host.
#include "tests/exec/far_device.h"

#include <gtest/gtest.h>

#include <atomic>

#include "exec/nccl/nccl_transport.h"
#include "exec/staged_transport.h"
#include "tests/exec/nccl/stand_in.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::Batches;
using testing::executable;
using testing::FarDevice;
using testing::make_far_backend;
using testing::narrow_gpt;
using testing::NcclStandIn;
using testing::NcclWorld;
using testing::TurningPlans;

struct Case {
  std::string name;
  std::vector<Plan> plans;
  friend void PrintTo(const Case& it, std::ostream* out) { *out << it.name; }
};

// How messages come from one device to another.
struct Way {
  std::string name;
  std::function<void(NcclWorld& world, exec::Transport& carrier, FarDevice& device,
                     const std::function<void(exec::Transport&)>& body)>
      with;
  friend void PrintTo(const Way& it, std::ostream* out) { *out << it.name; }
};

std::vector<Way> ways() {
  return {
      {"staged",
       [](NcclWorld&, exec::Transport& carrier, FarDevice& device, const auto& body) {
         exec::StagedTransport transport(carrier, device);
         body(transport);
       }},
      {"nccl", [](NcclWorld& world, exec::Transport& carrier, FarDevice& device, const auto& body) {
         NcclStandIn nccl(world, carrier.rank().value(),
                          [&](const auto& work) { device.reach(work); });
         exec::NcclTransport transport(carrier, device, nccl);
         body(transport);
       }}};
}

exec::TrainOptions everything(std::int64_t steps) {
  exec::TrainOptions options = testing::options_of(steps);
  options.evaluate_every = 4;
  options.align_every = 3;
  return options;
}

template <class Real>
exec::TrainingRun train_near(const std::vector<Plan>& plans) {
  const Batches<Real> batches(*whole_net(plans.front()), plans.front().micro_batch_samples);
  return testing::train_in_turns(batches, plans, 2, everything(4));
}

// How often queues of all ranks waited for others.
std::atomic<std::size_t> waits = 0;

template <class Real>
exec::TrainingRun train_far(const std::vector<Plan>& plans, const Way& way) {
  const Plan& first = plans.front();
  const Net net = *whole_net(first);
  exec::TrainingRun result;
  // One kernel at once: the worst case.
  NcclWorld world(1);
  exec::run_local(first.ranks.size(), [&](exec::Transport& carrier) {
    FarDevice device(carrier.rank().value());
    const auto backend = make_far_backend(first.training.dtype, device);
    way.with(world, carrier, device, [&](exec::Transport& transport) {
      Batches<Real> batches(net, first.micro_batch_samples);
      TurningPlans turns(plans, 2);
      exec::TrainingRun run =
          exec::train(turns, net, *backend, transport, batches, &batches, everything(4));
      if (transport.rank() == RankId(0)) result = std::move(run);
      waits += device.waits();
    });
  });
  EXPECT_EQ(world.made() > 0, way.name == "nccl");
  EXPECT_EQ(world.destroyed(), 2 * world.made());
  return result;
}

StrategySpec micro_batched(StrategySpec strategy, std::int64_t micro_batches) {
  strategy.micro_batches = micro_batches;
  return strategy;
}

StrategySpec sharded(Sharding sharding) {
  StrategySpec strategy = micro_batched(testing::data_parallel("sharded", Bytes::kib(64)), 2);
  strategy.sharding = sharding;
  return strategy;
}

Plan clipped(Reduction reduction) {
  Optimizer optimizer = testing::training(16).optimizer;
  optimizer.clip = 0.1;
  return executable(testing::data_parallel("clipped", Bytes::kib(64)), 4, narrow_gpt(true),
                    optimizer, reduction);
}

Plan in_bf16(StrategySpec strategy) {
  Training training = testing::training(16);
  training.dtype = DataType::bf16;
  return executable(strategy, 4, narrow_gpt(true), training);
}

StrategySpec tensor_parallel() {
  StrategySpec strategy = micro_batched(testing::data_parallel("tensor", Bytes::kib(64)), 2);
  strategy.tensor = TensorSpec{2, true};
  return strategy;
}

StrategySpec subnetwork_of(std::int64_t draw) {
  return testing::redrawn(testing::subnetwork({1, 1}), draw);
}

std::vector<Case> cases() {
  return {
      {"data",
       {executable(testing::data_parallel("data", Bytes::kib(64)), 2, testing::small_resnet())}},
      {"zero1", {executable(sharded(Sharding::optimizer_state), 4, narrow_gpt(true))}},
      {"zero2", {executable(sharded(Sharding::gradients), 4, narrow_gpt(true))}},
      {"zero3", {executable(sharded(Sharding::parameters), 4, narrow_gpt(true))}},
      {"pipeline", {executable(testing::pipeline("1f1b", 4, 8), 4, narrow_gpt(true))}},
      {"zero_bubble", {executable(testing::pipeline("zb-v", 2, 8), 2, narrow_gpt(true))}},
      {"tensor", {executable(tensor_parallel(), 4, narrow_gpt(true))}},
      {"clipped", {clipped(Reduction::fast)}},
      {"clipped_exactly", {clipped(Reduction::exact)}},
      {"subnetwork", {executable(subnetwork_of(0), 4, narrow_gpt(true))}},
      {"redrawn",
       {executable(subnetwork_of(0), 4, narrow_gpt(true)),
        executable(subnetwork_of(1), 4, narrow_gpt(true))}},
      {"bf16", {in_bf16(subnetwork_of(0))}},
  };
}

class FarAway : public ::testing::TestWithParam<std::tuple<Case, Way>> {};

TEST_P(FarAway, AllNumbersAreTheSame) {
  const auto& [name, plans] = std::get<Case>(GetParam());
  waits = 0;
  const auto train = [&](auto near, auto far) {
    switch (plans.front().training.dtype) {
      case DataType::bf16:
        return std::pair(near(BFloat16()), far(BFloat16()));
      case DataType::fp32:
        return std::pair(near(float()), far(float()));
      default:
        return std::pair(near(double()), far(double()));
    }
  };
  const auto [near, far] =
      train([&](auto real) { return train_near<decltype(real)>(plans); },
            [&](auto real) { return train_far<decltype(real)>(plans, std::get<Way>(GetParam())); });
  // Only updates behind collectives wait for other queues.
  if (plans.front().groups.empty()) {
    EXPECT_EQ(waits, 0);
  }
  EXPECT_EQ(far.losses, near.losses);
  EXPECT_EQ(far.gradient_norms, near.gradient_norms);
  EXPECT_EQ(far.weights, near.weights);
  EXPECT_EQ(far.weight_hashes, near.weight_hashes);
  EXPECT_EQ(far.first_step->gradients, near.first_step->gradients);
  EXPECT_EQ(exec::differing_copies(far.ranks), "");
  ASSERT_EQ(far.evaluations.size(), 1);
  for (std::size_t k = 0; k < far.evaluations.size(); ++k) {
    EXPECT_EQ(far.evaluations[k].evaluation.loss, near.evaluations[k].evaluation.loss);
    EXPECT_EQ(far.evaluations[k].evaluation.accuracy, near.evaluations[k].evaluation.accuracy);
  }
  ASSERT_EQ(far.alignments.size(), near.alignments.size());
  for (std::size_t k = 0; k < far.alignments.size(); ++k)
    EXPECT_EQ(far.alignments[k].overall.aggregate, near.alignments[k].overall.aggregate);
  for (std::size_t r = 0; r < far.ranks.size(); ++r) {
    EXPECT_EQ(far.ranks[r].traffic.sent, near.ranks[r].traffic.sent);
    EXPECT_EQ(far.ranks[r].arena_extent, near.ranks[r].arena_extent);
    EXPECT_EQ(far.ranks[r].class_hashes, near.ranks[r].class_hashes);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Plans, FarAway, ::testing::Combine(::testing::ValuesIn(cases()), ::testing::ValuesIn(ways())),
    [](const auto& info) {
      return std::get<Case>(info.param).name + "_" + std::get<Way>(info.param).name;
    });

// Whether one collective still runs when its update is looked at is chance: of many in several
// trainings some do.
TEST(FarDeviceQueues, WaitForOthersWithoutTheHost) {
  const std::vector<Plan> plans = {executable(sharded(Sharding::gradients), 4, narrow_gpt(true))};
  waits = 0;
  for (int training = 0; training < 8 && waits == 0; ++training)
    train_far<double>(plans, ways().front());
  EXPECT_GT(waits, 0);
}

}  // namespace
}  // namespace rehearse
