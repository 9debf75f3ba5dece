#include "tools/rehearse_exec/plans.h"

#include <fmt/format.h>

#include "model/base/text.h"
#include "model/plan/plan_text.h"
#include "model/plan/verify.h"
#include "model/schedule/sequence.h"
#include "tools/predict/predict.h"
#include "tools/rehearse_exec/ranks.h"

namespace rehearse::cli {
namespace {

// By its first line that says anything.
bool is_plan(std::string_view text) {
  for (const std::string_view line : split(text, '\n')) {
    const std::string_view content = trim(line);
    if (!content.empty() && !content.starts_with('#')) return content.starts_with("rehearse plan ");
  }
  return false;
}

Result<Plan> plan_from_text(const Arguments& arguments, const std::string& text,
                            const std::string& path) {
  for (const char* option : {"strategy", "profile"}) {
    if (arguments.has(option))
      return error(fmt::format("{} is a plan: --{} goes with scenarios", path, option));
  }
  Result<ParsedPlan> parsed = parse_plan(text, path);
  if (!parsed) return parsed.errors();
  const Status good = verify(parsed->plan, &parsed->places);
  if (!good) return good.errors();
  if (has_local_steps(parsed->plan)) {
    return error(
        fmt::format("{} is the plan of one of every {} steps, which have two: train with the "
                    "scenario that it was printed from",
                    path, parsed->plan.local_steps));
  }
  const auto& [every, survival] = std::pair(parsed->plan.redraw, parsed->plan.survival);
  if (every || survival) {
    return error(
        fmt::format("{} is the plan of one draw of {}, there is another one {}: train with the "
                    "scenario that it was printed from",
                    path, every ? "its masks" : "what runs in a step",
                    every ? fmt::format("after {} steps", *every) : "for every step"));
  }
  return std::move(parsed->plan);
}

Status check_ranks(const Plan& plan, std::size_t ranks) {
  const std::size_t needed = plan.ranks.size();
  if (needed == ranks) return success();
  return error(
      fmt::format("the plan has {} ranks, {} were started: start it with 'tools/mpirun -np {}' "
                  "or '--local {}'",
                  needed, ranks, needed, needed));
}

// A number that may be missing, as the first line of a text.
std::string line_of(const std::optional<std::int64_t>& number) {
  return fmt::format("{}\n", number.value_or(0));
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<std::int64_t> take_number(std::string_view& text) {
  const std::int64_t number = parse_integer(take_line(text)).value();
  return number == 0 ? std::nullopt : std::optional(number);
}

}  // namespace

std::unique_ptr<TrainingPlans> TrainingPlans::read(const Arguments& arguments,
                                                   exec::Transport& transport) {
  auto plans = std::unique_ptr<TrainingPlans>(new TrainingPlans(transport));
  const auto text = from_rank_0(transport, [&] { return plans->open(arguments); });
  if (!text) return nullptr;
  plans->accept(*text);
  return plans;
}

// On rank 0. What the others must know: how the run changes, its name (which may have several
// lines: its length says where it ends) and the first plan.
Result<std::string> TrainingPlans::open(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO|PLAN");
  const Result<std::string> text = read_file(path);
  if (!text) return text.errors();
  std::string name = path;
  std::optional<std::int64_t> change, redraw;
  Moments moments = Moments::keep;
  Result<Plan> plan = error("");
  if (is_plan(*text)) {
    plan = plan_from_text(arguments, *text, path);
  } else {
    const Result<Scenario> scenario = read_scenario(
        path, profile_path(path), arguments.get("profile"), arguments.get("strategy"));
    if (!scenario) return scenario.errors();
    const Result<ScenarioStrategy> strategy = find_strategy(*scenario, arguments.get("strategy"));
    if (!strategy) return strategy.errors();
    origin_ = Origin{*scenario, *strategy};
    name = scenario->name;
    change = next_change(strategy->spec, 0);
    if (const auto& subnetwork = strategy->spec.subnetwork)
      redraw = subnetwork->redraw, moments = subnetwork->moments;
    plan = build(0);
  }
  if (!plan) return plan.errors();
  const Status fits = check_ranks(*plan, transport_.size());
  if (!fits) return fits.errors();
  return line_of(redraw) + fmt::format("{}\n", moments == Moments::reset ? 1 : 0) +
         fmt::format("{}\n", name.size()) + name + line_of(change) + print(*plan);
}

void TrainingPlans::accept(const std::string& text) {
  std::string_view rest = text;
  redraw_ = take_number(rest);
  moments_ = take_number(rest) ? Moments::reset : Moments::keep;
  const std::size_t length = static_cast<std::size_t>(take_number(rest).value_or(0));
  name_ = rest.substr(0, length);
  rest.remove_prefix(length);
  next_change_ = take_number(rest);
  plan_ = std::make_shared<const Plan>(parse_plan(std::string(rest), "plan")->plan);
}

Result<Plan> TrainingPlans::build(std::int64_t step) const {
  ScenarioStrategy strategy = origin_->strategy;
  strategy.spec = at_step(strategy.spec, step);
  return plan_of(origin_->scenario, strategy);
}

std::shared_ptr<const Plan> TrainingPlans::plan_at(std::int64_t step) {
  if (!changes_at(step)) return plan_;
  std::string text;
  if (origin_) {
    const Result<Plan> plan = build(step);
    if (!plan) transport_.abort(format(plan.errors()));
    text = line_of(next_change(origin_->strategy.spec, step)) + print(*plan);
  }
  text = transport_.broadcast(text, RankId(0));
  std::string_view rest = text;
  next_change_ = take_number(rest);
  plan_ = std::make_shared<const Plan>(parse_plan(std::string(rest), "plan")->plan);
  return plan_;
}

}  // namespace rehearse::cli
