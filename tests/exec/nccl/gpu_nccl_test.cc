// Training over NCCL on a GPU for each of two ranks. Skipped where there are fewer.
#include <gtest/gtest.h>

#include "exec/cuda/cuda_backend.h"
#include "exec/nccl/cuda_calls.h"
#include "exec/nccl/nccl_transport.h"
#include "tests/exec/run/runs.h"

namespace rehearse::exec {
namespace {

constexpr std::size_t kRanks = 2;

class GpuNccl : public ::testing::TestWithParam<StrategySpec> {
 protected:
  void SetUp() override {
    const Result<int> gpus = count_gpus();
    if (!gpus) GTEST_SKIP() << "no GPU: " << gpus.errors().front().message;
    if (const Status enough = check_gpus_for_nccl(kRanks, *gpus); !enough)
      GTEST_SKIP() << enough.errors().front().message;
  }
};

TEST_P(GpuNccl, TrainsAsTheReference) {
  Training training = rehearse::testing::training(16);
  training.dtype = DataType::fp32;
  const Plan plan = rehearse::testing::executable(GetParam(), kRanks,
                                                  rehearse::testing::small_resnet(), training);
  const Net net = *whole_net(plan);
  const TrainOptions options = rehearse::testing::options_of(3);
  const TrainingRun expected = rehearse::testing::train_locally(plan, options);
  TrainingRun actual;
  run_local(kRanks, [&](Transport& carrier) {
    const auto gpu = make_cuda_backend(DataType::fp32, static_cast<int>(carrier.rank().value()));
    const auto nccl = make_nccl_calls();
    NcclTransport transport(carrier, gpu->device(), *nccl);
    rehearse::testing::Batches<float> batches(net, plan.micro_batch_samples);
    TrainingRun run = train(plan, net, *gpu, transport, batches, &batches, options);
    if (transport.rank() == RankId(0)) actual = std::move(run);
  });
  ASSERT_EQ(actual.losses.size(), expected.losses.size());
  for (std::size_t step = 0; step < expected.losses.size(); ++step)
    EXPECT_NEAR(actual.losses[step], expected.losses[step], 1e-3) << "step " << step;
  EXPECT_EQ(differing_copies(actual.ranks), "");
  for (std::size_t r = 0; r < kRanks; ++r)
    EXPECT_EQ(actual.ranks[r].traffic.sent, expected.ranks[r].traffic.sent);
}

INSTANTIATE_TEST_SUITE_P(Ways, GpuNccl,
                         ::testing::Values(rehearse::testing::data_parallel("data", Bytes::kib(64)),
                                           rehearse::testing::pipeline("1f1b", 2, 8),
                                           rehearse::testing::subnetwork({1, 1})),
                         [](const auto& info) { return std::to_string(info.index); });

}  // namespace
}  // namespace rehearse::exec
