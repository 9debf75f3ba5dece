// Messages that tensor-parallel ranks share out among themselves.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/plan/verify.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

constexpr std::int64_t kTensor = 2, kMicroBatches = 4;

Plan plan_of(const std::string& schedule, bool scatter, Recomputation recomputation) {
  StrategySpec strategy = testing::pipeline(schedule, 2, kMicroBatches);
  strategy.data = 1;
  strategy.tensor = TensorSpec{kTensor, false, true};
  strategy.recomputation = recomputation;
  strategy.pipeline->scatter_gather = scatter;
  return testing::plan_of({"scatter", strategy, testing::small_gpt(10), 2 * kTensor}, kMicroBatches)
      .value();
}

std::vector<Op*> ops_of(Plan& plan, OpKind kind) {
  std::vector<Op*> found;
  for (RankProgram& program : plan.programs) {
    for (Op& op : program.ops) {
      if (op.kind == kind) found.push_back(&op);
    }
  }
  return found;
}

Bytes sent(Plan& plan) {
  Bytes sum;
  for (const Op* op : ops_of(plan, OpKind::send))
    sum += transfer_of(*op).bytes;
  return sum;
}

// At both ends, by a fraction.
void scale_messages(Plan& plan, std::int64_t numerator, std::int64_t denominator) {
  for (const OpKind kind : {OpKind::send, OpKind::receive}) {
    for (Op* op : ops_of(plan, kind)) {
      Bytes& bytes = std::get<Transfer>(op->detail).bytes;
      bytes = Bytes::bytes(bytes.bytes() * numerator / denominator);
    }
  }
}

bool is_in_errors(const Plan& plan, const std::string& text) {
  const Status status = verify(plan);
  if (status) return false;
  return format(status.errors()).find(text) != std::string::npos;
}

// Every rank sends its share of a value, and what it receives is gathered once: nothing else is.
TEST(Scatter, SharesAreSentAndGathered) {
  for (const char* schedule : {"1f1b", "gpipe", "zb-h1", "interleaved", "zb-v"}) {
    for (const Recomputation recomputation : {Recomputation::none, Recomputation::full}) {
      Plan whole = plan_of(schedule, false, recomputation),
           shares = plan_of(schedule, true, recomputation);
      const Status verified = verify(shares);
      EXPECT_TRUE(verified) << schedule << format(verified.errors());
      EXPECT_EQ(kTensor * sent(shares).bytes(), sent(whole).bytes()) << schedule;
      EXPECT_EQ(ops_of(whole, OpKind::all_gather).size(), 0u);
      EXPECT_EQ(ops_of(shares, OpKind::all_gather).size(), ops_of(shares, OpKind::receive).size())
          << schedule;
    }
  }
}

TEST(Scatter, NobodyUsesAShare) {
  Plan plan = plan_of("1f1b", false, Recomputation::none);
  scale_messages(plan, 1, kTensor);
  EXPECT_TRUE(is_in_errors(plan, "it uses a value of which it has a share"));
}

TEST(Scatter, NobodyGathersWhatIsWhole) {
  Plan plan = plan_of("1f1b", true, Recomputation::none);
  scale_messages(plan, kTensor, 1);
  EXPECT_TRUE(is_in_errors(plan, "it gathers what is whole already"));
}

// Other parts of a value are no shares.
TEST(Scatter, SharesAreAsLargeAsTheRanksHaveThem) {
  Plan plan = plan_of("1f1b", true, Recomputation::none);
  scale_messages(plan, 1, 2);
  EXPECT_TRUE(is_in_errors(plan, "of a buffer of"));
}

}  // namespace
}  // namespace rehearse
