#include "sim/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>
#include <utility>

namespace rehearse::sim {
namespace {

using ::testing::ElementsAre;

Time at(std::int64_t ns) {
  return Time::nanoseconds(ns);
}

TEST(Engine, RunsInTheOrderOfTime) {
  Engine engine;
  std::vector<int> seen;
  engine.schedule(at(3), [&] { seen.push_back(3); });
  engine.schedule(at(1), [&] { seen.push_back(1); });
  engine.schedule(at(2), [&] { seen.push_back(2); });
  engine.run([] {});
  EXPECT_THAT(seen, ElementsAre(1, 2, 3));
  EXPECT_EQ(engine.now(), at(3));
}

TEST(Engine, RunsWhatHappensAtOnceAsScheduled) {
  Engine engine;
  std::vector<int> seen;
  for (int i = 0; i < 100; ++i)
    engine.schedule(at(i % 2), [&seen, i] { seen.push_back(i); });
  engine.run([] {});
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(seen[static_cast<std::size_t>(i)], 2 * i);
    EXPECT_EQ(seen[static_cast<std::size_t>(50 + i)], 2 * i + 1);
  }
}

TEST(Engine, RunsWhatEventsSchedule) {
  Engine engine;
  std::vector<std::string> seen;
  engine.schedule(at(1), [&] {
    seen.push_back("first");
    engine.schedule(engine.now(), [&] { seen.push_back("at once"); });
    engine.schedule(at(5), [&] { seen.push_back("last"); });
  });
  engine.schedule(at(1), [&] { seen.push_back("second"); });
  engine.run([] {});
  EXPECT_THAT(seen, ElementsAre("first", "second", "at once", "last"));
}

// Rates are settled once per instant, after all of its events, and what settling schedules for the
// same instant still happens in it.
TEST(Engine, SettlesBeforeTimeGoesOn) {
  Engine engine;
  std::vector<std::string> seen;
  for (const std::int64_t time : {1, 1, 2}) {
    engine.schedule(at(time), [&] { seen.push_back("event"); });
  }
  bool once = false;
  engine.run([&] {
    seen.push_back("settle");
    if (engine.now() != at(1) || std::exchange(once, true)) return;
    engine.schedule(engine.now(), [&] { seen.push_back("more"); });
  });
  EXPECT_THAT(
      seen, ElementsAre("settle", "event", "event", "settle", "more", "settle", "event", "settle"));
}

TEST(Engine, RepeatsItself) {
  const auto run = [] {
    Engine engine;
    std::mt19937_64 random(3);
    std::vector<std::pair<Time, int>> seen;
    for (int i = 0; i < 1000; ++i) {
      engine.schedule(at(static_cast<std::int64_t>(random() % 50)),
                      [&seen, &engine, i] { seen.emplace_back(engine.now(), i); });
    }
    engine.run([] {});
    return seen;
  };
  const auto seen = run();
  EXPECT_EQ(seen, run());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end())) << "by time, then as scheduled";
}

// Events that are moved stand where they would if they had been scheduled then and there: the order
// is that of the last time and turn each of them was given.
TEST(Engine, MovesEvents) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Engine engine;
    std::mt19937_64 random(seed);
    const auto some_time = [&] { return at(static_cast<std::int64_t>(random() % 20)); };
    std::vector<int> seen;
    std::vector<EventId> events;
    std::vector<std::tuple<Time, std::size_t, int>> order;  // time, turn, event
    for (int event = 0; event < 60; ++event) {
      order.emplace_back(some_time(), order.size(), event);
      events.push_back(
          engine.schedule(std::get<Time>(order.back()), [&seen, event] { seen.push_back(event); }));
    }
    for (std::size_t turn = events.size(); turn < 300; ++turn) {
      const std::size_t event = random() % events.size();
      order[event] = {some_time(), turn, static_cast<int>(event)};
      engine.reschedule(events[event], std::get<Time>(order[event]));
    }
    engine.run([] {});
    std::sort(order.begin(), order.end());
    std::vector<int> expected;
    for (const auto& [time, turn, event] : order)
      expected.push_back(event);
    ASSERT_EQ(seen, expected) << "seed " << seed;
  }
}

TEST(EngineDeathTest, RefusesThePastAndWhatIsOver) {
  Engine engine;
  const EventId event = engine.schedule(at(10), [] {});
  engine.run([] {});
  EXPECT_DEATH(engine.schedule(at(9), [] {}), "an event at 9000 ps, now is 10000 ps");
  EXPECT_DEATH(engine.reschedule(event, at(11)), "event 0 is over");
}

}  // namespace
}  // namespace rehearse::sim
