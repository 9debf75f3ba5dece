#include "model/plan/plan_text.h"

#include <gtest/gtest.h>

#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

TEST(PlanText, ReadsBackAsItself) {
  for (const auto& c : testing::all_cases()) {
    const Result<Plan> plan = testing::plan_of(c);
    ASSERT_TRUE(plan.ok()) << c.name << "\n" << format(plan.errors());
    const std::string text = print(*plan);
    const Result<ParsedPlan> parsed = parse_plan(text, "plan.txt");
    ASSERT_TRUE(parsed.ok()) << c.name << "\n" << format(parsed.errors());
    EXPECT_EQ(print(parsed->plan), text) << c.name;
    EXPECT_EQ(plan_hash(parsed->plan), plan_hash(*plan));
  }
}

TEST(PlanText, SkipsCommentsAndEmptyLines) {
  const std::string text =
      print(*testing::plan_of({"", testing::data_parallel(), testing::mlp(), 2}));
  const Result<ParsedPlan> parsed =
      parse_plan("# a plan\n\n" + text + "\n   # the end\n", "plan.txt");
  ASSERT_TRUE(parsed.ok()) << format(parsed.errors());
  EXPECT_EQ(print(parsed->plan), text);
}

TEST(PlanText, HashTellsPlansApart) {
  const auto hash = [](Bytes bucket) {
    return plan_hash(
        *testing::plan_of({"", testing::data_parallel("ddp", bucket), testing::resnet20(), 4}));
  };
  EXPECT_EQ(hash(Bytes::kib(256)), hash(Bytes::kib(256)));
  EXPECT_NE(hash(Bytes::kib(256)), hash(Bytes::mib(25)));
}

// Plans from before a model had it are still the same plans.
TEST(PlanText, SaysAShareOnlyWhereThereIsOne) {
  ModelSpec model = testing::mlp();
  const auto text = [&] {
    return print(*testing::plan_of({"", testing::data_parallel(), model, 2}));
  };
  EXPECT_EQ(text().find("dropout"), std::string::npos);
  model.fields["dropout"] = {100'000};
  const std::string line = "\nmodel mlp image=4x4x1 hidden=24x24x24 classes=10 dropout=0.1\n";
  ASSERT_NE(text().find(line), std::string::npos);
  const Result<ParsedPlan> parsed = parse_plan(text(), "plan.txt");
  ASSERT_TRUE(parsed.ok()) << format(parsed.errors());
  EXPECT_EQ(parsed->plan.model.at("dropout"), 100'000);
  EXPECT_EQ(print(parsed->plan), text());
}

TEST(PlanText, SaysALossOnlyWhereItIsAnother) {
  ModelSpec model = testing::mlp();
  const auto text = [&] {
    return print(*testing::plan_of({"", testing::data_parallel(), model, 2}));
  };
  model.fields["loss"] = {static_cast<std::int64_t>(Loss::cross_entropy)};
  EXPECT_EQ(text().find("loss"), std::string::npos);
  model.fields["loss"] = {static_cast<std::int64_t>(Loss::squared_error)};
  for (const std::string dropout : {"", " dropout=0.1"}) {
    const std::string line =
        "\nmodel mlp image=4x4x1 hidden=24x24x24 classes=10" + dropout + " loss=squared-error\n";
    EXPECT_NE(text().find(line), std::string::npos) << text();
    const Result<ParsedPlan> parsed = parse_plan(text(), "plan.txt");
    ASSERT_TRUE(parsed.ok()) << format(parsed.errors());
    EXPECT_EQ(parsed->plan.model.fields.at("loss"), model.fields.at("loss"));
    EXPECT_EQ(print(parsed->plan), text());
    model.fields["dropout"] = {100'000};
  }
}

// So are those of transformers from before they had relatives.
TEST(PlanText, SaysFieldsOfRelativesOnlyWhereTheyDiffer) {
  ModelSpec model{"llama",
                  {{"layers", {1}},
                   {"width", {8}},
                   {"hidden", {12}},
                   {"heads", {2}},
                   {"kv_heads", {2}},
                   {"sequence", {4}},
                   {"vocabulary", {11}},
                   {"tied", {0}}}};
  const auto text = [&] {
    return print(*testing::plan_of({"", testing::data_parallel(), model, 2}));
  };
  const std::string line =
      "\nmodel llama layers=1 width=8 hidden=12 heads=2 kv_heads=2 sequence=4 vocabulary=11 "
      "fused=true";
  EXPECT_NE(text().find(line + "\n"), std::string::npos) << text();
  model.fields["tied"] = model.fields["qkv_bias"] = {1};
  model.fields["head_size"] = {6};
  model.fields["rotary_base"] = {500'000};
  EXPECT_NE(text().find(line + " head_size=6 tied=true qkv_bias=true rotary_base=500000\n"),
            std::string::npos)
      << text();
  const Result<ParsedPlan> parsed = parse_plan(text(), "plan.txt");
  ASSERT_TRUE(parsed.ok()) << format(parsed.errors());
  EXPECT_EQ(parsed->plan.model, *resolve(model));
  EXPECT_EQ(print(parsed->plan), text());
}

// Plans without local steps are still the same plans.
TEST(PlanText, SaysLocalStepsOnlyWhereThereAreSome) {
  const auto text = [](const StrategySpec& strategy) {
    return print(*testing::plan_of({"", strategy, testing::mlp(), 2}));
  };
  const StrategySpec ddp = testing::data_parallel();
  EXPECT_EQ(text(ddp).find("local_steps"), std::string::npos);
  EXPECT_EQ(text(ddp).find("outer"), std::string::npos);
  EXPECT_NE(text(testing::local(ddp, 8)).find("\nlocal_steps 8 synchronises=yes\nmicro_batch"),
            std::string::npos);
  EXPECT_NE(text(testing::local(ddp, 8, OuterOptimizer{0.7, 0.9}, false))
                .find("\nlocal_steps 8 synchronises=no\nouter lr=0.7 momentum=0.9\nmicro_batch"),
            std::string::npos);
}

struct BadText {
  std::string from, to, error;
};

// Each edit of a good plan gives exactly this error.
TEST(PlanText, PointsAtWhatIsMalformed) {
  const std::string good =
      print(*testing::plan_of({"", testing::data_parallel(), testing::mlp(), 2}));
  const std::vector<BadText> cases = {
      {"rehearse plan 4", "rehearse plan 5",
       "plan.txt:1:15: error: this is version 5 of the plan's form, expected 4\n"
       "    1 | rehearse plan 5\n"
       "      |               ^\n"},
      {"mesh data=2", "mesh datum=2",
       "plan.txt:7:6: error: expected an axis, got 'datum'\n"
       "    7 | mesh datum=2 subnetwork=1 pipeline=1 tensor=1\n"
       "      |      ^~~~~\n"},
      {"model mlp", "model mpl",
       "plan.txt:3:7: error: there is no model kind 'mpl'\n"
       "    3 | model mpl image=4x4x1 hidden=24x24x24 classes=10\n"
       "      |       ^~~\n"},
      {"classes=10", "classes=10 dropout=1.5",
       "plan.txt:3:58: error: expected a share such as 0.1: at least 0, below 1, no more than six "
       "decimals, got '1.5'\n"
       "    3 | model mlp image=4x4x1 hidden=24x24x24 classes=10 dropout=1.5\n"
       "      |                                                          ^~~\n"},
      {"classes=10", "classes=10 loss=mse",
       "plan.txt:3:55: error: expected cross-entropy or squared-error, got 'mse'\n"
       "    3 | model mlp image=4x4x1 hidden=24x24x24 classes=10 loss=mse\n"
       "      |                                                       ^~~\n"},
      {"group 0 ranks=0,1", "group 0 ranks=0,x",
       "plan.txt:13:17: error: expected a number, got 'x'\n"
       "   13 | group 0 ranks=0,x\n"
       "      |                 ^\n"},
      {"micro_batch samples", "local_steps 1 synchronises=yes\nmicro_batch samples",
       "plan.txt:10:13: error: expected 2 steps or more, got '1'\n"
       "   10 | local_steps 1 synchronises=yes\n"
       "      |             ^\n"},
      {"micro_batch samples", "local_steps 2 synchronises=maybe\nmicro_batch samples",
       "plan.txt:10:28: error: expected yes or no, got 'maybe'\n"
       "   10 | local_steps 2 synchronises=maybe\n"
       "      |                            ^~~~~\n"},
      {"lane 0 compute", "lane 0 conpute",
       "plan.txt:15:8: error: expected a lane, got 'conpute'\n"
       "   15 | lane 0 conpute stage=0\n"
       "      |        ^~~~~~~\n"},
      {"group 0 ranks=0,1", "group 0",
       "plan.txt:13:8: error: expected 'ranks=', got the line's end\n"
       "   13 | group 0\n"
       "      |        ^\n"},
  };
  for (const BadText& bad : cases) {
    std::string text = good;
    const std::size_t at = text.find(bad.from);
    ASSERT_NE(at, std::string::npos) << bad.from;
    text.replace(at, bad.from.size(), bad.to);
    const Result<ParsedPlan> parsed = parse_plan(text, "plan.txt");
    ASSERT_FALSE(parsed.ok()) << bad.to;
    EXPECT_EQ(format(parsed.errors()), bad.error);
  }
}

// No text may crash the reader: cut a plan anywhere, or change any one character.
TEST(PlanText, SurvivesDamage) {
  const std::string good =
      print(*testing::plan_of({"", testing::data_parallel(), testing::mlp(), 2}));
  for (std::size_t at = 0; at < good.size(); at += 7) {
    (void)parse_plan(good.substr(0, at), "cut");
    for (const char c : {'-', '=', '9', ' ', '\n'}) {
      std::string damaged = good;
      damaged[at] = c;
      const Result<ParsedPlan> parsed = parse_plan(damaged, "damaged");
      if (parsed.ok()) {
        EXPECT_FALSE(print(parsed->plan).empty());
      }
    }
  }
}

}  // namespace
}  // namespace rehearse
