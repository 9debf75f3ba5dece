// What a rank's kernels are bound to.
#include "exec/run/compute.h"

#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

// Two replicas of four micro-batches, two samples each: the second one's begin at 4 * 2.
TEST(Compute, RandomNumbersDependOnSeedStepLayerAndSample) {
  constexpr std::int64_t kSamples = 2, kStep = 7;
  StrategySpec strategy = testing::data_parallel("ddp", Bytes::kib(4));
  strategy.micro_batches = 4;
  const Plan plan = testing::executable(strategy, 2, testing::with_dropout(testing::mlp()));
  ASSERT_EQ(plan.micro_batch_samples, kSamples);
  const RankId rank(1);
  const RankProgram& program = program_of(plan, rank);
  const Net net = net_of(plan, *whole_net(plan), program);
  const auto backend = exec::make_reference_backend(DataType::fp64);
  exec::Arena arena(program, exec::host_device(), false);
  const exec::Parameters parameters(plan, rank, net, arena);
  exec::ComputeProgram compute(plan, rank, net, *backend, arena, parameters);
  compute.begin_step(kStep);
  std::size_t launches = 0;
  for (std::size_t id = 0; id < program.ops.size(); ++id) {
    if (!is_pass(program.ops[id].kind)) continue;
    const Compute& range = compute_of(program.ops[id]);
    const auto micro_batch = static_cast<std::int64_t>(range.micro_batch.index());
    for (const exec::Launch& launch : compute.launches(OpId(id))) {
      const exec::Draws& draws = launch.arguments.draws;
      EXPECT_EQ(draws.seed, plan.training.seed);
      EXPECT_EQ(draws.step, kStep);
      EXPECT_EQ(draws.first_sample, (4 + micro_batch) * kSamples);
      const SegmentId segment = net.layers[draws.layer.index()].segment;
      EXPECT_TRUE(range.begin <= segment && segment < range.end);
      ++launches;
    }
  }
  EXPECT_GT(launches, 0u);
}

}  // namespace
}  // namespace rehearse
