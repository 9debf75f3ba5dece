#include "model/plan/verify.h"

#include <fmt/format.h>

#include <iostream>

#include "model/plan/plan_text.h"
#include "model/schedule/schedule_csv.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"PLAN"}, {}};
}

// A schedule file of PyTorch's, by its name.
int verify_schedule(const std::string& text, const std::string& path) {
  const Result<ScheduleTable> table = parse_schedule_csv(text, path);
  if (!table) return fail(table.errors());
  const Result<PipelineShape> shape = shape_of(*table);
  if (!shape) return fail(shape.errors());
  std::cout << fmt::format("{}: the schedule is right: {} ranks, {} stages, {} micro-batches{}\n",
                           path, shape->ranks, shape->stages(), shape->micro_batches,
                           table->has_messages ? ", with messages" : "");
  return kDone;
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("PLAN");
  const Result<std::string> text = read_file(path);
  if (!text) return fail(text.errors());
  if (path.ends_with(".csv")) return verify_schedule(*text, path);
  const Result<ParsedPlan> parsed = parse_plan(*text, path);
  if (!parsed) return fail(parsed.errors());
  const Status good = verify(parsed->plan, &parsed->places);
  if (!good) return fail(good.errors());
  std::size_t ops = 0;
  for (std::size_t r = 0; r < parsed->plan.ranks.size(); ++r)
    ops += program_of(parsed->plan, RankId(r)).ops.size();
  std::cout << fmt::format("{}: plan {} is right: strategy {}, {} ranks, {} ops\n", path,
                           plan_hash(parsed->plan), parsed->plan.strategy,
                           parsed->plan.ranks.size(), ops);
  return kDone;
}

}  // namespace

Command verify_command() {
  return {"verify", "check a plan's text, or a pipeline schedule (.csv)", syntax, run};
}

}  // namespace rehearse::cli
