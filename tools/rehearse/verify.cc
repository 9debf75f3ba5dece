#include "model/plan/verify.h"

#include <fmt/format.h>

#include <iostream>

#include "model/plan/plan_text.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"PLAN"}, {}};
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("PLAN");
  const Result<std::string> text = read_file(path);
  if (!text) return fail(text.errors());
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
  return {"verify", "check a plan's text", syntax, run};
}

}  // namespace rehearse::cli
