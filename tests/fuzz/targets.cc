#include "tests/fuzz/targets.h"

#include "model/plan/plan_text.h"
#include "model/plan/verify.h"
#include "model/scenario/import_config.h"
#include "model/scenario/scenario.h"
#include "model/schedule/schedule_csv.h"

namespace rehearse::fuzz {

void scenario(const std::string& text) {
  const ProfilePath profiles{{REHEARSE_SOURCE_DIR "/scenarios/devices"}};
  const Result<Scenario> parsed = parse_scenario(text, "fuzz.yaml", profiles);
  if (!parsed) format(parsed.errors());
}

void model_config(const std::string& text) {
  const Result<ImportedModel> parsed = parse_config(text, "fuzz.json");
  if (!parsed) return static_cast<void>(format(parsed.errors()));
  const Result<Net> net = build_net(parsed->spec);
  REHEARSE_CHECK(net.ok(), "an imported model cannot be built: {}", format(net.errors()));
}

void device_profile(const std::string& text) {
  const Result<Device> parsed = parse_device(text, "fuzz.yaml");
  if (!parsed) return static_cast<void>(format(parsed.errors()));
  const std::string printed = print_device(*parsed);
  const Result<Device> again = parse_device(printed, "printed.yaml");
  REHEARSE_CHECK(again.ok(), "a printed profile is refused: {}", format(again.errors()));
  REHEARSE_CHECK(print_device(*again) == printed, "a profile changed by being printed");
}

void plan(const std::string& text) {
  const Result<ParsedPlan> parsed = parse_plan(text, "fuzz.plan");
  if (!parsed) return static_cast<void>(format(parsed.errors()));
  const std::string printed = print(parsed->plan);
  const Result<ParsedPlan> again = parse_plan(printed, "printed.plan");
  REHEARSE_CHECK(again.ok(), "a printed plan is refused: {}", format(again.errors()));
  REHEARSE_CHECK(print(again->plan) == printed, "a plan changed by being printed");
  const Status meaningful = verify(parsed->plan, &parsed->places);
  if (!meaningful) format(meaningful.errors());
}

void schedule_csv(const std::string& text) {
  const Result<ScheduleTable> parsed = parse_schedule_csv(text, "fuzz.csv");
  if (!parsed) return static_cast<void>(format(parsed.errors()));
  const std::string printed = print_schedule_csv(*parsed);
  const Result<ScheduleTable> again = parse_schedule_csv(printed, "printed.csv");
  REHEARSE_CHECK(again.ok(), "a printed schedule is refused: {}", format(again.errors()));
  REHEARSE_CHECK(again->ranks == parsed->ranks, "a schedule changed by being printed:\n{}",
                 printed);
  const Result<PipelineShape> shape = shape_of(*parsed);
  if (!shape) format(shape.errors());
}

}  // namespace rehearse::fuzz
