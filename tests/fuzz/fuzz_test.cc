// The fuzz targets over everything there is to parse, whole and damaged. Damage is seeded: a
// failure can be repeated.
#include <gtest/gtest.h>

#include <random>

#include "model/plan/plan_text.h"
#include "model/schedule/schedule_csv.h"
#include "tests/fuzz/targets.h"
#include "tests/scenario/files.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

using Target = void (*)(const std::string&);

std::string text_of(const std::filesystem::path& file) {
  const Result<std::string> text = read_text_file(file.string());
  EXPECT_TRUE(text.ok());
  return text.ok() ? *text : std::string();
}

// One to four edits: a byte changed, a stretch removed, or a stretch repeated elsewhere.
std::string damaged(std::string text, std::mt19937_64& random) {
  constexpr std::string_view kBytes = "0123456789-+.,:;{}[]#=\"' \n\t\0abz\x80\xff";
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (std::size_t edits = 1 + below(4); edits > 0 && !text.empty(); --edits) {
    const std::size_t at = below(text.size());
    switch (below(3)) {
      case 0:
        text[at] = kBytes[below(kBytes.size())];
        break;
      case 1:
        text.erase(at, below(20));
        break;
      default:
        text.insert(below(text.size()), text.substr(at, below(40)));
    }
  }
  return text;
}

void try_damaged(Target target, const std::string& text, int times) {
  target(text);
  std::mt19937_64 random(text.size());
  for (int i = 0; i < times; ++i) {
    target(damaged(text, random));
    target(text.substr(0, random() % (text.size() + 1)));
  }
}

TEST(Fuzz, Scenarios) {
  for (const char* folder : {"scenarios", "tests/scenario/bad"}) {
    for (const auto& file : testing::yaml_files(testing::kSource / folder)) {
      SCOPED_TRACE(file);
      try_damaged(fuzz::scenario, text_of(file), 40);
    }
  }
}

TEST(Fuzz, ModelConfigs) {
  const auto folder = testing::kSource / "tests/scenario/configs";
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(file.path());
    try_damaged(fuzz::model_config, text_of(file.path()), 40);
  }
}

TEST(Fuzz, DeviceProfiles) {
  for (const char* folder : {"scenarios/devices", "tests/scenario/bad_devices"}) {
    for (const auto& file : testing::yaml_files(testing::kSource / folder)) {
      SCOPED_TRACE(file);
      try_damaged(fuzz::device_profile, text_of(file), 100);
    }
  }
}

TEST(Fuzz, Plans) {
  for (const testing::PlanCase& example : testing::all_cases()) {
    SCOPED_TRACE(example.name);
    try_damaged(fuzz::plan, print(*testing::plan_of(example)), 40);
  }
}

TEST(Fuzz, Schedules) {
  for (const PipelineSchedule& schedule : pipeline_schedules()) {
    PipelineRequest request;
    request.shape = {3, schedule.fewest_chunks, 6, schedule.placement};
    if (schedule.needs_costs || !schedule.check(request.shape)) continue;
    SCOPED_TRACE(schedule.name);
    const ScheduleTable table{add_messages(request.shape, schedule.order(request)), true};
    try_damaged(fuzz::schedule_csv, print_schedule_csv(table), 400);
    try_damaged(fuzz::schedule_csv, print_schedule_csv(without_messages(table)), 400);
  }
}

}  // namespace
}  // namespace rehearse
