// Training in bf16 on every backend that has it: near fp32, alike for every way of splitting, the
// same bits with exact reductions, in the memory that the plan says.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/plan/layout.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::executable;
using testing::narrow_gpt;
using testing::train_locally;

constexpr std::int64_t kSteps = 4;
const Optimizer kAdamW{
    .rule = Adam{.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-3, .decoupled = true},
    .lr = 0.01,
    .weight_decay = 0.1,
    .schedule = {}};

// Batch norm magnifies rounding from step to step, the more the fewer values it is over: small
// steps with micro-batches of eight samples, where others have two.
struct Subject {
  ModelSpec model;
  std::int64_t micro_batches;
  Optimizer optimizer;
};
std::vector<Subject> subjects() {
  Optimizer small = testing::training(16).optimizer;
  small.lr = 0.003;
  return {{narrow_gpt(), 8, testing::training(16).optimizer}, {testing::small_resnet(), 2, small}};
}

Training training_in(DataType type, const Optimizer& optimizer,
                     Reduction reduction = Reduction::fast) {
  Training training = testing::training(16);
  training.dtype = type;
  training.reduction = reduction;
  training.optimizer = optimizer;
  return training;
}

// On two ranks each.
std::vector<StrategySpec> ways(std::int64_t micro_batches) {
  std::vector<StrategySpec> list;
  for (const Sharding sharding :
       {Sharding::none, Sharding::optimizer_state, Sharding::gradients, Sharding::parameters}) {
    StrategySpec strategy = testing::data_parallel(std::string(to_string(sharding)), Bytes::kib(1));
    strategy.sharding = sharding;
    strategy.micro_batches = micro_batches / 2;
    list.push_back(strategy);
  }
  for (const char* schedule : {"1f1b", "zb-h1"})
    list.push_back(testing::pipeline(schedule, 2, micro_batches));
  return list;
}

std::vector<std::string_view> backends() {
  std::vector<std::string_view> list;
  for (const std::string_view name : exec::backend_names()) {
    const auto& types = exec::backend_types(name);
    if (std::find(types.begin(), types.end(), DataType::bf16) != types.end()) list.push_back(name);
  }
  return list;
}

class Bf16 : public ::testing::TestWithParam<std::string_view> {
 protected:
  static exec::TrainingRun train(const Plan& plan, int threads = 1) {
    return train_locally(plan, kSteps, 0, Seconds::seconds(300), GetParam(), threads);
  }
  static Plan alone(const Subject& subject, const Training& training) {
    return executable(testing::accumulation(subject.micro_batches), 1, subject.model, training);
  }
};

// Of losses. Weights and what each layer writes are rounded by 2^-8 at most, with random sign; a
// loss is as far off as its logits, whose errors are those of all layers before, relative to logits
// of the loss's own size. Mean losses average over labels: what is left is below one layer's.
double rounding_of(const ModelSpec& model) {
  return 0x1p-8 * std::sqrt(static_cast<double>(build_net(model)->layers.size()));
}

void expect_like(const std::vector<double>& expected, const std::vector<double>& losses,
                 double error, const std::string& what) {
  ASSERT_EQ(losses.size(), expected.size()) << what;
  for (std::size_t step = 0; step < losses.size(); ++step)
    EXPECT_NEAR(losses[step], expected[step], error * expected[step]) << what << ", step " << step;
}

TEST_P(Bf16, HasTheLossesOfFp32) {
  for (const Subject& it : subjects()) {
    const auto wide = train(alone(it, training_in(DataType::fp32, it.optimizer)));
    const auto run = train(alone(it, training_in(DataType::bf16, it.optimizer)));
    expect_like(wide.losses, run.losses, rounding_of(it.model), it.model.kind);
  }
}

// The first losses are those of the same weights and micro-batches. Then sums of gradients are
// rounded in another order.
TEST_P(Bf16, TrainsAlikeHoweverItIsSplit) {
  for (const Subject& it : subjects()) {
    const Training training = training_in(DataType::bf16, it.optimizer);
    const auto reference = train(alone(it, training));
    for (const StrategySpec& strategy : ways(it.micro_batches)) {
      const Plan plan = executable(strategy, 2, it.model, training);
      const auto run = train(plan);
      EXPECT_EQ(run.losses.front(), reference.losses.front());
      expect_like(reference.losses, run.losses, rounding_of(it.model),
                  it.model.kind + strategy.name);
      EXPECT_EQ(exec::differing_copies(run.ranks), "");
      for (std::size_t r = 0; r < plan.ranks.size(); ++r)
        EXPECT_EQ(run.ranks[r].arena_extent, lay_out(program_of(plan, RankId(r))).arena);
    }
  }
}

// Every sum of two gradients is rounded to bf16, in one order; masters and moments follow.
TEST_P(Bf16, HasTheSameBitsWithExactReductions) {
  for (const Subject& it : subjects()) {
    const Training training = training_in(DataType::bf16, kAdamW, Reduction::exact);
    const auto reference = train(alone(it, training));
    EXPECT_EQ(train(alone(it, training), 3).weight_hashes, reference.weight_hashes);
    for (const StrategySpec& strategy : ways(it.micro_batches)) {
      const auto run = train(executable(strategy, 2, it.model, training));
      EXPECT_EQ(run.weight_hashes, reference.weight_hashes) << it.model.kind << strategy.name;
      EXPECT_EQ(run.losses, reference.losses) << it.model.kind << strategy.name;
    }
  }
}

// Sizes of a rank's buffers of a kind.
Bytes bytes_of(const Plan& plan, BufferKind kind) {
  Bytes sum;
  for (const Buffer& buffer : program_of(plan, RankId(0)).buffers)
    sum += buffer.kind == kind ? buffer.size : Bytes();
  return sum;
}

// Half of fp32's, but for statistics, token numbers and alignment; the master copy is added to the
// optimizer's momentum: twice fp32's.
TEST(Bf16Memory, IsHalfOfFp32s) {
  const auto plan_in = [](DataType type) {
    return executable(testing::accumulation(2), 1, testing::small_resnet(),
                      training_in(type, testing::training().optimizer));
  };
  const Plan half = plan_in(DataType::bf16), whole = plan_in(DataType::fp32);
  for (const BufferKind kind : {BufferKind::parameters, BufferKind::gradients})
    EXPECT_EQ(2 * bytes_of(half, kind), bytes_of(whole, kind));
  EXPECT_EQ(bytes_of(half, BufferKind::optimizer_state),
            2 * bytes_of(whole, BufferKind::optimizer_state));
  const auto saved = static_cast<double>(bytes_of(half, BufferKind::saved).bytes()) /
                     static_cast<double>(bytes_of(whole, BufferKind::saved).bytes());
  EXPECT_GE(saved, 0.5);
  EXPECT_LT(saved, 0.52);
}

INSTANTIATE_TEST_SUITE_P(Backends, Bf16, ::testing::ValuesIn(backends()),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace rehearse
