// What people read.
#include <gtest/gtest.h>

#include "tests/tools/summaries.h"
#include "tools/summary/diff.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

TEST(Table, AlignsTheFirstColumnLeftAndTheOthersRight) {
  EXPECT_EQ(align_columns({{"name", "a"}, {"x", "1.5 ms"}, {"longer", "-"}}),
            "name         a\n"
            "x       1.5 ms\n"
            "longer       -\n");
}

TEST(Table, OfStrategies) {
  Summary summary = testing::summary("predicted");
  summary.strategies[1].fits = false;
  EXPECT_EQ(print_table(summary),
            "strategy  step time  samples/s  peak memory  sent/worker  compute  exposed comm     "
            "idle  bubble  fits\n"
            "ddp          100 ms       2560     12.0 MiB      101 KiB  50.0 ms       25.0 ms  25.0 "
            "ms  25.0 %   yes\n"
            "pipe         200 ms       1280     12.0 MiB      101 KiB   100 ms       50.0 ms  50.0 "
            "ms  25.0 %    NO\n");
}

TEST(Diff, HoldsOneAgainstTheOther) {
  const Summary predicted = testing::summary("predicted");
  Summary measured = testing::summary("measured");
  measured.strategies.resize(1);
  measured.strategies[0].step_time = Seconds::seconds(0.125);
  measured.strategies[0].ranks[1].sent += Bytes::bytes(1);
  const Result<std::string> text = print_diff(predicted, measured);
  ASSERT_TRUE(text.ok()) << format(text.errors());
  EXPECT_NE(text->find("100 ms"), std::string::npos) << *text;
  EXPECT_NE(text->find("-20.0 %"), std::string::npos) << "100 of 125 ms";
  EXPECT_NE(text->find("bytes differ on ranks 1"), std::string::npos) << *text;
}

TEST(Diff, RefusesDifferentPlans) {
  Summary measured = testing::summary("measured");
  measured.strategies[0].plan_hash = "fedcba9876543210";
  EXPECT_FALSE(print_diff(testing::summary("predicted"), measured).ok());
}

}  // namespace
}  // namespace rehearse
