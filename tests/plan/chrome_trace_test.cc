// The trace as Perfetto reads it: the trace event format's fields and units.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "model/plan/timeline.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

using Json = nlohmann::json;

// Every op of one step, each a microsecond long and a microsecond after the one before.
Timeline drawn(const Plan& plan) {
  Timeline timeline;
  timeline.steps = 1;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    for (std::size_t op = 0; op < program_of(plan, RankId(r)).ops.size(); ++op) {
      const auto at = [&](std::int64_t us) {
        return Time::nanoseconds(1000 * (2 * static_cast<std::int64_t>(op) + us));
      };
      timeline.spans.push_back({RankId(r), OpId(op), 0, at(0), at(1), at(2)});
    }
  }
  return timeline;
}

class ChromeTrace : public ::testing::Test {
 protected:
  ChromeTrace()
      : plan_(*testing::plan_of({"", testing::pipeline("1f1b", 2, 2), testing::mlp(), 2})),
        timeline_(drawn(plan_)) {}

  std::vector<Json> events(const char* phase, const std::vector<NamedTimeline>& timelines) const {
    std::vector<Json> found;
    const Json trace = Json::parse(chrome_trace(plan_, timelines));
    for (const Json& event : trace.at("traceEvents")) {
      if (event.at("ph") == phase) found.push_back(event);
    }
    return found;
  }

  const Plan plan_;
  const Timeline timeline_;
};

TEST_F(ChromeTrace, HasOneEventPerSpanInMicroseconds) {
  const std::vector<Json> complete = events("X", {{"predicted", &timeline_}});
  ASSERT_EQ(complete.size(), timeline_.spans.size());
  for (std::size_t s = 0; s < complete.size(); ++s) {
    const Span& span = timeline_.spans[s];
    EXPECT_EQ(complete[s].at("pid"), span.rank.index());
    EXPECT_EQ(complete[s].at("tid"),
              program_of(plan_, span.rank).ops[span.op.index()].lane.index());
    EXPECT_EQ(complete[s].at("ts").get<double>(), 2 * static_cast<double>(span.op.index()) + 1);
    EXPECT_EQ(complete[s].at("dur").get<double>(), 1);
  }
}

TEST_F(ChromeTrace, NamesRanksAndLanes) {
  std::set<std::string> processes, threads;
  for (const Json& event : events("M", {{"predicted", &timeline_}})) {
    auto& names = event.at("name") == "process_name" ? processes : threads;
    names.insert(event.at("args").at("name"));
  }
  EXPECT_EQ(processes,
            (std::set<std::string>{"predicted, rank 0 (stage0)", "predicted, rank 1 (stage1)"}));
  EXPECT_TRUE(threads.contains("compute"));
}

TEST_F(ChromeTrace, TimelinesStandSideBySide) {
  std::set<int> processes;
  for (const Json& event : events("X", {{"predicted", &timeline_}, {"measured", &timeline_}})) {
    processes.insert(event.at("pid").get<int>());
  }
  EXPECT_EQ(processes, (std::set<int>{0, 1, 2, 3}));
}

// A program's name is the plan's, and may be anything a plan can say.
TEST_F(ChromeTrace, EscapesNames) {
  Plan plan = plan_;
  plan.programs[0].name = R"(a "stage"\)";
  const Json trace = Json::parse(chrome_trace(plan, {{"predicted", &timeline_}}));
  EXPECT_EQ(trace.at("traceEvents")[0].at("args").at("name"), R"(predicted, rank 0 (a "stage"\))");
}

}  // namespace
}  // namespace rehearse
