#include "cost/memory.h"

#include <gtest/gtest.h>

#include "model/plan/layout.h"
#include "tests/cluster/machines.h"
#include "tests/cost/devices.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

using testing::simple_device;

Bytes sum_of_pools(const RankMemory& m) {
  return m.parameters + m.gradients + m.optimizer_state + m.activations + m.communication;
}

TEST(MemoryOf, PoolsAddUpToTheLayout) {
  Device device = simple_device();
  device.workspace = Bytes::mib(3);
  for (const testing::PlanCase& c : testing::all_cases()) {
    const Plan plan = testing::plan_of(c).value();
    for (const RankProgram& program : plan.programs) {
      const RankMemory memory = memory_of(program, device);
      const Layout layout = lay_out(program);
      EXPECT_EQ(sum_of_pools(memory), memory.arena_live) << c.name;
      EXPECT_EQ(memory.arena_live, layout.live) << c.name;
      EXPECT_EQ(memory.arena, layout.arena) << c.name;
      EXPECT_LE(memory.arena_live, memory.arena) << c.name;
      EXPECT_EQ(memory.peak(), layout.arena + Bytes::mib(3)) << c.name;
    }
  }
}

// fp32 weights, gradients and momentum: 4 bytes each per parameter on every replica; a quarter of
// it all on the four stages of a pipeline together with the rest.
TEST(MemoryOf, HoldsTheParametersOfTheModel) {
  const std::int64_t parameters = parameter_count(build_net(testing::resnet20()).value());
  for (const testing::PlanCase& c : testing::all_cases()) {
    if (c.name != "ddp" && c.name != "1f1b") continue;
    const Plan plan = testing::plan_of(c).value();
    RankMemory sum;
    for (const RankProgram& program : plan.programs) {
      const RankMemory memory = memory_of(program, simple_device());
      sum.parameters += memory.parameters;
      sum.gradients += memory.gradients;
      sum.optimizer_state += memory.optimizer_state;
    }
    EXPECT_EQ(sum.parameters.bytes(), 4 * parameters) << c.name;
    EXPECT_EQ(sum.gradients.bytes(), 4 * parameters) << c.name;
    EXPECT_EQ(sum.optimizer_state.bytes(), 4 * parameters) << c.name;
  }
}

// Model state of one worker of eight, relative to data parallelism's (Singh et al., arXiv
// 2507.09029). LLaMA 134M has 36.7 % of its parameters in embeddings and head, which all hold: half
// the coverage saves 31.7 % of all state under forward masking, a quarter 47.5 %. Under backward
// masking weights stay: of 16 bytes per parameter (mixed precision) 14.
TEST(MemoryOf, SubnetworksSaveStateOfWhatIsMasked) {
  const ModelSpec llama{"llama", {{"sequence", {64}}}};
  Training training = testing::training(8);
  training.dtype = DataType::bf16;
  training.optimizer.rule = Adam{};
  const auto state = [&](const StrategySpec& strategy) {
    const Plan plan = *build_plan(strategy, llama, training, 8, even_costs(14));
    Bytes most;
    for (const RankProgram& program : plan.programs) {
      const RankMemory memory = memory_of(program, simple_device());
      most = std::max(most, memory.parameters + memory.gradients + memory.optimizer_state);
    }
    return static_cast<double>(most.bytes());
  };
  const double whole = state(testing::data_parallel());
  EXPECT_EQ(whole, 16.0 * static_cast<double>(parameter_count(*build_net(llama))));
  for (const auto& [holders, saved] : {std::pair{4, 0.317}, std::pair{2, 0.475}}) {
    const StrategySpec forward = testing::subnetwork({holders, 8});
    EXPECT_NEAR(1 - state(forward) / whole, saved, 1e-3) << holders;
    EXPECT_NEAR(1 - state(testing::masked_backward(forward)) / whole, saved * 14 / 16, 1e-3)
        << holders;
  }
}

// A ring has two neighbours, a pipeline's inner stage too, its ends one; only where messages go
// over NCCL (its memory is stated) is there a communicator for each.
TEST(PlanMemory, CountsACommunicatorForEveryPeer) {
  Device device = simple_device();
  const auto communicators = [&](const StrategySpec& strategy, std::int64_t ranks) {
    const Plan plan = testing::plan_of({"", strategy, testing::resnet20(), ranks}).value();
    std::vector<Bytes> by_rank;
    const PlanMemory memory = memory_of(plan, device, ranks);
    for (std::size_t r = 0; r < plan.ranks.size(); ++r)
      by_rank.push_back(memory.of(RankId(r)).communicators);
    return by_rank;
  };
  const Bytes one = Bytes::mib(48), two = one * 2;
  EXPECT_EQ(communicators(testing::data_parallel(), 4), std::vector<Bytes>(4));
  device.communicator = one;
  EXPECT_EQ(communicators(testing::data_parallel(), 4), std::vector<Bytes>(4, two));
  EXPECT_EQ(communicators(testing::data_parallel(), 2), std::vector<Bytes>(2, one));
  EXPECT_EQ(communicators(testing::data_parallel(), 1), std::vector<Bytes>(1));
  EXPECT_EQ(communicators(testing::pipeline("1f1b", 4, 8), 4), (std::vector{one, two, two, one}));
}

TEST(PlanMemory, CommunicatorsArePartOfThePeak) {
  const Plan plan =
      testing::plan_of({"", testing::data_parallel(), testing::resnet20(), 4}).value();
  Device device = simple_device();
  const Bytes without = memory_of(plan, device, 4).peak;
  device.communicator = Bytes::mib(48);
  EXPECT_EQ(memory_of(plan, device, 4).peak, without + Bytes::mib(96));
}

TEST(PlanMemory, FitsToTheByte) {
  const Plan plan =
      testing::plan_of({"1f1b", testing::pipeline("1f1b", 4, 8), testing::resnet20(), 4}).value();
  Device device = simple_device();
  const PlanMemory memory = memory_of(plan, device, 4);
  Bytes all, worst;
  for (const RankMemory& rank : memory.kinds) {
    all += rank.peak();
    worst = std::max(worst, rank.peak());
  }
  EXPECT_EQ(memory.peak, worst);
  const auto fits = [&](DeviceKind kind, Bytes bytes, std::int64_t devices_per_node) {
    device.kind = kind;
    device.memory = bytes;
    return memory_of(plan, device, devices_per_node).fits;
  };
  // The four ranks share one node's memory, or have one each.
  EXPECT_TRUE(fits(DeviceKind::cpu, all, 4));
  EXPECT_FALSE(fits(DeviceKind::cpu, all - Bytes::bytes(1), 4));
  EXPECT_TRUE(fits(DeviceKind::cpu, worst, 1));
  EXPECT_TRUE(fits(DeviceKind::gpu, worst, 4));
  EXPECT_FALSE(fits(DeviceKind::gpu, worst - Bytes::bytes(1), 4));
}

// The third stage's device has a tenth of the memory and another workspace.
TEST(PlanMemory, IsHeldAgainstTheRanksOwnDevice) {
  const Plan plan =
      testing::plan_of({"1f1b", testing::pipeline("1f1b", 4, 8), testing::resnet20(), 4}).value();
  ClusterSpec spec = testing::crossbar(4);
  spec.device = simple_device();
  spec.device.kind = DeviceKind::gpu;
  spec.device.memory = memory_of(plan, spec.device, 1).peak;
  Device small = spec.device;
  small.workspace = spec.device.workspace + Bytes::mib(1);
  small.memory = spec.device.memory / 10;
  spec.ranks = {{{RankId(2)}, small, {}}};
  const PlanMemory memory = memory_of(plan, Cluster::build(spec).value());
  const PlanMemory alike = memory_of(plan, spec.device, 1);
  EXPECT_TRUE(alike.fits);
  EXPECT_FALSE(memory.fits);
  for (const std::size_t r : {0U, 1U, 3U}) {
    EXPECT_EQ(memory.spare[r], alike.spare[r]);
    EXPECT_EQ(memory.of(RankId(r)).peak(), alike.of(RankId(r)).peak());
  }
  const Bytes third = alike.of(RankId(2)).peak() + Bytes::mib(1);
  EXPECT_EQ(memory.of(RankId(2)).peak(), third);
  EXPECT_EQ(memory.spare[2], small.memory - third);
}

TEST(TrafficOf, IsConserved) {
  for (const testing::PlanCase& c : testing::all_cases()) {
    const Plan plan = testing::plan_of(c).value();
    Bytes sent, received;
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const RankTraffic traffic = traffic_of(plan, RankId(r));
      sent += traffic.total_sent();
      received += traffic.total_received();
    }
    EXPECT_EQ(sent, received) << c.name;
    if (!copies_agree(plan)) {
      EXPECT_EQ(sent, Bytes{}) << c.name;
    } else if (plan.ranks.size() > 1 && c.name != "alone") {
      EXPECT_GT(sent, Bytes{}) << c.name;
    }
  }
}

// Ring all-reduce over 4: everybody together sends 2 (4 - 1) times the gradients.
TEST(TrafficOf, OfDataParallelismIsTheRings) {
  const Plan plan =
      testing::plan_of({"ddp", testing::data_parallel(), testing::resnet20(), 4}).value();
  Bytes sent;
  for (std::size_t r = 0; r < 4; ++r)
    sent += traffic_of(plan, RankId(r)).sent[static_cast<std::size_t>(OpKind::all_reduce)];
  EXPECT_EQ(sent.bytes(), 2 * 3 * 4 * parameter_count(build_net(testing::resnet20()).value()));
}

// Megatron's fused accumulation has a stand-in for each shape of a layer's weights, in bf16: of a
// GPT of width 64 those of [192, 64], [64, 64], [256, 64] and [64, 256].
TEST(MemoryOf, CountsStandInsOfGradients) {
  const auto stand_ins = [](Kernels kernels, std::optional<DataType> gradients) {
    const ModelSpec gpt{"gpt",
                        {{"layers", {3}},
                         {"width", {64}},
                         {"heads", {4}},
                         {"sequence", {32}},
                         {"positions", {32}},
                         {"vocabulary", {128}},
                         {"kernels", {static_cast<std::int64_t>(kernels)}}}};
    Training training = testing::training(2);
    training.dtype = DataType::bf16;
    training.gradients = gradients;
    const Plan plan = *build_plan(testing::data_parallel(), gpt, training, 1, even_costs(5));
    return memory_of(plan, simple_device(), 1).kinds.front().stand_ins;
  };
  EXPECT_EQ(stand_ins(Kernels::megatron, DataType::fp32),
            Bytes::bytes(2 * (192 * 64 + 64 * 64 + 2 * 256 * 64)));
  EXPECT_EQ(stand_ins(Kernels::megatron, std::nullopt), Bytes{});
  EXPECT_EQ(stand_ins(Kernels::own, DataType::fp32), Bytes{});
}

}  // namespace
}  // namespace rehearse
