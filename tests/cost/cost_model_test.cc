#include "cost/cost_model.h"

#include <gtest/gtest.h>

#include "tests/cluster/machines.h"
#include "tests/cost/devices.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

using testing::simple_device;

struct Planned {
  Plan plan;
  Net net;
};

Planned planned(const testing::PlanCase& c, std::int64_t batch = 256) {
  Plan plan = testing::plan_of(c, batch).value();
  Net net = whole_net(plan).value();
  return {std::move(plan), std::move(net)};
}

const testing::PlanCase kOne{"one", testing::accumulation(1), testing::mlp(), 1};

std::size_t find_op(const RankProgram& program, OpKind kind) {
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (program.ops[i].kind == kind) return i;
  }
  ADD_FAILURE() << "no " << to_string(kind);
  return 0;
}

TEST(PriceWork, IsARooflineOrASum) {
  // Class matrix_product (1): 2 GFLOP/s, 20 GB/s, 2 us. 4 kFLOP take 2 us, 20 kB take 1 us.
  const StepWork work{KernelClass::matrix_product, Flops::flops(4000), Bytes::bytes(20000)};
  const OpPrice sum = price_work(work, simple_device(Combine::additive));
  EXPECT_NEAR(sum.seconds.seconds(), 2e-6 + 1e-6 + 2e-6, 1e-15);
  EXPECT_EQ(sum.memory_traffic, Bytes::bytes(20000));
  EXPECT_EQ(sum.rests_on, resting_on(Provenance::measured, sum.seconds));
  const OpPrice roofline = price_work(work, simple_device(Combine::roofline));
  EXPECT_NEAR(roofline.seconds.seconds(), 2e-6 + 2e-6, 1e-15);
  // Without FLOPs only the bytes count, and the other way round; without either, the call.
  const auto seconds = [](Flops flops, Bytes bytes) {
    return price_work({KernelClass::matrix_product, flops, bytes}, simple_device(Combine::roofline))
        .seconds;
  };
  EXPECT_NEAR(seconds({}, work.traffic).seconds(), 1e-6 + 2e-6, 1e-15);
  EXPECT_NEAR(seconds(work.flops, {}).seconds(), 2e-6 + 2e-6, 1e-15);
  EXPECT_NEAR(seconds({}, {}).seconds(), 2e-6, 1e-15);
}

// The first segment of resnet20 on one rank, by hand: conv 28x28x1 -> 28x28x16, batch norm, ReLU of
// 64 samples.
TEST(PricePass, IsTheHandSumOfASegment) {
  const Net net = build_net(testing::resnet20()).value();
  const Device device = simple_device();
  ASSERT_EQ(net.segments[0].layers.size(), 3u);
  const double n = 64, in = n * 28 * 28, out = n * 28 * 28 * 16, weights = 16 * 9;
  // convolution (class 0): two operations per weight and position; reads input and weights.
  const double conv = 2 * in * weights / 1e9 + (in + out + weights) * 4 / 10e9 + 1e-6;
  // normalization (class 3): 5 operations, 3 accesses.
  const double norm = 5 * out / 4e9 + 3 * out * 4 / 40e9 + 4e-6;
  // elementwise (class 4): 1 operation, 2 accesses.
  const double relu = out / 5e9 + 2 * out * 4 / 50e9 + 5e-6;
  const OpPrice price = price_pass(net, SegmentId(0), SegmentId(1), Pass::forward, 64, {}, device);
  EXPECT_NEAR(price.seconds.seconds(), conv + norm + relu, 1e-12);
  EXPECT_EQ(price.memory_traffic.bytes(),
            static_cast<std::int64_t>((in + out + weights + 3 * out + 2 * out) * 4));
}

// The kernels of a forward pass are queued one after another: where that takes longer than all of
// them do, it is what the pass takes; where it does not, the host is ahead.
TEST(PricePass, TakesNoLessThanItsLaunches) {
  const Net net = build_net(testing::resnet20()).value();
  Device device = simple_device();
  const auto forward = [&] {
    return price_pass(net, SegmentId(0), end_segment(net), Pass::forward, 4, {}, device);
  };
  const OpPrice queued_for_nothing = forward();
  const auto count = static_cast<double>(queued_for_nothing.kernels.size());
  device.launch = queued_for_nothing.seconds * (0.5 / count);
  EXPECT_EQ(forward().seconds, queued_for_nothing.seconds);
  device.launch = queued_for_nothing.seconds * (2 / count);
  EXPECT_NEAR(forward().seconds / queued_for_nothing.seconds, 2, 1e-12);
}

TEST(PricePass, OfNothingIsNothing) {
  const Net net = build_net(testing::resnet20()).value();
  const OpPrice price =
      price_pass(net, SegmentId(2), SegmentId(2), Pass::forward, 64, {}, simple_device());
  EXPECT_EQ(price.seconds, Seconds{});
  EXPECT_EQ(price.memory_traffic, Bytes{});
}

TEST(MakePrices, PricesLoadingByItsBytes) {
  const auto [plan, net] = planned(kOne);
  const std::size_t op = find_op(plan.programs[0], OpKind::load_batch);
  const OpPrice price = make_prices(plan, net, simple_device()).ops[0][op];
  // 256 images of 4x4 floats and a label of 4 bytes each, read and written; class copy (8): 90
  // GB/s, 9 us.
  const double bytes = 2 * 256 * (16 * 4 + 4);
  EXPECT_NEAR(price.seconds.seconds(), bytes / 90e9 + 9e-6, 1e-15);
}

TEST(MakePrices, PricesTheOptimizerByItsParameters) {
  const auto [plan, net] = planned(kOne);
  const RankProgram& program = plan.programs[0];
  const std::size_t op = find_op(program, OpKind::optimizer_step);
  const OpPrice price = make_prices(plan, net, simple_device()).ops[0][op];
  // With momentum, without decay: 4 operations; reads w, g, v, writes w, v: 20 bytes. Class
  // optimizer (7): 8 GFLOP/s, 80 GB/s, 8 us.
  const auto n = static_cast<double>(program.parameter_classes[0].elements);
  EXPECT_NEAR(price.seconds.seconds(), 4 * n / 8e9 + 20 * n / 80e9 + 8e-6, 1e-15);
}

TEST(MakePrices, PricesSquaresByTheGradientsRead) {
  const testing::PlanCase shared{"", testing::data_parallel(), testing::mlp(), 4};
  const Plan plan = *testing::plan_of(shared, 256, Reduction::fast, 1.0);
  const RankProgram& program = plan.programs[0];
  const std::size_t op = find_op(program, OpKind::sum_squares);
  const OpPrice price = make_prices(plan, *whole_net(plan), simple_device()).ops[0][op];
  // A quarter of them, rounded up: 2 operations and 4 bytes. Class optimizer, as above.
  ASSERT_EQ(program.parameter_classes.size(), 1u);
  const auto n = static_cast<double>((program.parameter_classes[0].elements + 3) / 4);
  EXPECT_NEAR(price.seconds.seconds(), 2 * n / 8e9 + 4 * n / 80e9 + 8e-6, 1e-15);
}

// As the optimizer, class 7. The outer gradient reads weights and anchor, and writes the gradients:
// one operation, 12 bytes. The step reads the average, anchor and momentum, writes anchor, momentum
// and weights: 6 operations, 24 bytes; in bf16 averages and weights of 2 bytes, and the masters.
TEST(MakePrices, PricesAnOuterOptimizerByItsParameters) {
  const StrategySpec diloco = testing::local(testing::data_parallel(), 8, OuterOptimizer{});
  const auto prices = [&](DataType type, OpKind kind) {
    Training training = testing::training();
    training.dtype = type;
    const Plan plan = *build_plan(diloco, testing::mlp(), training, 4, even_costs(4));
    const std::size_t op = find_op(plan.programs[0], kind);
    const auto n = static_cast<double>(plan.programs[0].parameter_classes[0].elements);
    Device device = simple_device();
    const double seconds = make_prices(plan, *whole_net(plan), device).ops[0][op].seconds.seconds();
    return (seconds - 8e-6) / n;
  };
  EXPECT_NEAR(prices(DataType::fp32, OpKind::outer_gradient), 1 / 8e9 + 12 / 80e9, 1e-18);
  EXPECT_NEAR(prices(DataType::fp32, OpKind::outer_step), 6 / 8e9 + 24 / 80e9, 1e-18);
  EXPECT_NEAR(prices(DataType::bf16, OpKind::outer_gradient), 1 / 8e9 + 10 / 80e9, 1e-18);
  EXPECT_NEAR(prices(DataType::bf16, OpKind::outer_step), 6 / 8e9 + 24 / 80e9, 1e-18);
}

// Without one weights are copied to be averaged, and back: 8 bytes each, class copy (8): 90 GB/s,
// 9 us.
TEST(MakePrices, PricesAveragedWeightsAsCopies) {
  const testing::PlanCase local{"", testing::local(testing::data_parallel(), 8), testing::mlp(), 4};
  const auto [plan, net] = planned(local);
  const RankProgram& program = plan.programs[0];
  const auto n = static_cast<double>(program.parameter_classes[0].elements);
  const Prices prices = make_prices(plan, net, simple_device());
  for (const OpKind kind : {OpKind::outer_gradient, OpKind::outer_step})
    EXPECT_NEAR(prices.ops[0][find_op(program, kind)].seconds.seconds(), 8 * n / 90e9 + 9e-6,
                1e-15);
}

// Two of four ranks run the same program on a device of their own: each has the prices that a
// cluster of its device gives.
TEST(MakePrices, AreOfTheRanksOwnDevice) {
  const auto [plan, net] = planned({"", testing::data_parallel(), testing::mlp(), 4});
  ClusterSpec spec = testing::crossbar(4);
  spec.device = simple_device();
  Device other = simple_device();
  for (KernelRate& rate : other.kernels)
    rate.overhead = rate.overhead * 2;
  spec.ranks = {{{RankId(1), RankId(3)}, other, {}}};
  const Prices prices = make_prices(plan, net, Cluster::build(spec).value());
  const Prices usual = make_prices(plan, net, spec.device), own = make_prices(plan, net, other);
  EXPECT_EQ(prices.ops.size(), 2U);
  for (std::size_t r = 0; r < 4; ++r) {
    const RankId rank(r);
    for (std::size_t op = 0; op < program_of(plan, rank).ops.size(); ++op) {
      EXPECT_EQ(price_of(prices, plan, rank, OpId(op)).seconds,
                price_of(r % 2 == 1 ? own : usual, plan, rank, OpId(op)).seconds);
    }
  }
  const OpId forward(find_op(plan.programs[0], OpKind::forward));
  EXPECT_LT(price_of(prices, plan, RankId(0), forward).seconds,
            price_of(prices, plan, RankId(1), forward).seconds);
}

// Every op of every strategy costs what its range costs on its own, and messages cost nothing here.
TEST(MakePrices, AreThoseOfEachOpAlone) {
  const Device device = simple_device();
  for (const testing::PlanCase& c : testing::all_cases()) {
    const auto [plan, full] = planned(c);
    const Prices prices = make_prices(plan, full, device);
    ASSERT_EQ(prices.ops.size(), plan.programs.size()) << c.name;
    for (std::size_t p = 0; p < plan.programs.size(); ++p) {
      const RankProgram& program = plan.programs[p];
      const Net net = net_of(plan, full, program);
      ASSERT_EQ(prices.ops[p].size(), program.ops.size());
      for (std::size_t i = 0; i < program.ops.size(); ++i) {
        const Op& op = program.ops[i];
        if (is_communication(op.kind)) {
          EXPECT_EQ(prices.ops[p][i].seconds, Seconds{}) << c.name;
        }
        if (!is_pass(op.kind)) continue;
        const OpPrice alone =
            price_pass(net, compute_of(op).begin, compute_of(op).end, pass_of(program, op),
                       plan.micro_batch_samples, element_sizes(plan.training), device);
        EXPECT_EQ(prices.ops[p][i].seconds, alone.seconds) << c.name;
        EXPECT_EQ(prices.ops[p][i].memory_traffic, alone.memory_traffic) << c.name;
      }
    }
  }
}

}  // namespace
}  // namespace rehearse
