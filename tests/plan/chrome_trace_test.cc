// The trace as Perfetto reads it: the trace event format's fields and units.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "model/plan/chrome_trace.h"
#include "model/plan/layout.h"
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

// Each message once, from a send to a receive of the same one, at the beginning of either.
TEST_F(ChromeTrace, FlowsJoinEachSendWithItsReceive) {
  const std::vector<NamedTimeline> timelines = {{"predicted", &timeline_},
                                                {"measured", &timeline_}};
  const std::vector<Json> begins = events("s", timelines), ends = events("f", timelines);
  std::map<std::int64_t, Json> by_id;
  for (const Json& begin : begins)
    EXPECT_TRUE(by_id.emplace(begin.at("id"), begin).second);
  std::size_t sends = 0;
  for (const Span& span : timeline_.spans)
    sends += program_of(plan_, span.rank).ops[span.op.index()].kind == OpKind::send ? 2 : 0;
  EXPECT_GT(sends, 0U);
  EXPECT_EQ(begins.size(), sends);
  EXPECT_EQ(ends.size(), sends);
  std::map<std::tuple<int, int, double>, std::string> kinds;
  for (const Json& span : events("X", timelines))
    kinds[{span.at("pid"), span.at("tid"), span.at("ts")}] = span.at("name");
  const auto kind_at = [&](const Json& flow) {
    return kinds.at({flow.at("pid"), flow.at("tid"), flow.at("ts")});
  };
  for (const Json& end : ends) {
    ASSERT_TRUE(by_id.contains(end.at("id")));
    const Json& begin = by_id.at(end.at("id"));
    EXPECT_EQ(kind_at(begin), "send");
    EXPECT_EQ(kind_at(end), "receive");
    // From a rank to the other of two, in one of the timelines.
    EXPECT_EQ(begin.at("pid").get<int>() / 2, end.at("pid").get<int>() / 2);
    EXPECT_NE(begin.at("pid"), end.at("pid"));
    EXPECT_EQ(end.at("bp"), "e");
  }
}

// The largest value is how far the arena of the rank goes, and what it has beside it.
TEST_F(ChromeTrace, CountsTheMemoryOfRanks) {
  const std::vector<Bytes> beside = {Bytes::bytes(1000), Bytes::bytes(7)};
  const auto counters = memory_counters(plan_, timeline_, beside);
  std::map<int, double> most;
  const Json trace = Json::parse(chrome_trace(plan_, {{"predicted", &timeline_}}, counters));
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "C" || event.at("name") != "memory") continue;
    double& largest = most[event.at("pid").get<int>()];
    largest = std::max(largest, event.at("args").at("bytes").get<double>());
  }
  ASSERT_EQ(most.size(), 2U);
  for (std::size_t r = 0; r < 2; ++r) {
    const Bytes arena = lay_out(program_of(plan_, RankId(r))).arena;
    EXPECT_EQ(most[static_cast<int>(r)], static_cast<double>((arena + beside[r]).bytes()));
  }
}

// What is of no rank is a process of its own, behind all ranks of all timelines.
TEST_F(ChromeTrace, CountersOfTheMachineStandApart) {
  const TraceCounter link{std::nullopt, "a->b", "utilisation", {{Time::nanoseconds(2000), 0.5}}};
  const Json trace = Json::parse(
      chrome_trace(plan_, {{"predicted", &timeline_}, {"measured", &timeline_}}, {link}));
  const Json& counter = trace.at("traceEvents").back();
  EXPECT_EQ(counter.at("pid"), 4);
  EXPECT_EQ(counter.at("ts"), 2.0);
  EXPECT_EQ(counter.at("args").at("utilisation"), 0.5);
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
