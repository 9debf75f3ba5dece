#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "model/base/text.h"
#include "tools/advise/advice.h"
#include "tools/advise/write_scenario.h"
#include "tools/cli/terminal.h"
#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {
      {"SCENARIO"},
      {{"top", "N", "the best N are printed, and as many simulated as that takes (preset: 5)"},
       {"space", "MAP", "what is searched, instead of the scenario's 'advise'"},
       {"unpriced", "N", "of strategies that only a simulation can price simulate N (preset: 3)"},
       {"steps-multiplier", "X", "steps of a run with subnetworks for one without (preset: 1/C)"},
       {"price", "PRICE", "of an hour of a device, such as '2.5 USD/h' (preset: the profile's)"},
       {"error", "X",
        "assume that log(measured / predicted) of a step deviates by X, instead of the profile's"},
       {"profile", "FILE", "device profile instead of the scenario's"},
       {"out", "FILE", "write a scenario with the best strategies to this file"},
       {"json", "", "print JSON instead of a table"}}};
}

Result<std::optional<double>> number(const Arguments& arguments, std::string_view option,
                                     double most) {
  const auto text = arguments.get(option);
  if (!text) return std::optional<double>();
  const auto value = parse_number(*text);
  if (!value || *value <= 0 || *value > most)
    return error(
        fmt::format("--{} expects a number above 0 and up to {:g}, got '{}'", option, most, *text));
  return value;
}

Result<advise::Options> read_options(const Arguments& arguments) {
  advise::Options options;
  const Result<std::int64_t> top = arguments.count("top", 5, 1);
  if (!top) return top.errors();
  constexpr std::int64_t kMostPlayed = 1000;
  const Result<std::int64_t> unpriced = arguments.count("unpriced", 3, 0);
  if (!unpriced) return unpriced.errors();
  if (*top > kMostPlayed || *unpriced > kMostPlayed)
    return error(fmt::format("--top and --unpriced are at most {}", kMostPlayed));
  constexpr double kMostMultiplier = 1e6;
  const auto multiplier = number(arguments, "steps-multiplier", kMostMultiplier);
  if (!multiplier) return multiplier.errors();
  const auto deviation = number(arguments, "error", kMostError);
  if (!deviation) return deviation.errors();
  if (const auto price = arguments.get("price")) {
    options.price = parse_hourly_price(*price);
    if (!options.price)
      return error(fmt::format("--price expects a price such as '2.5 USD/h', got '{}'", *price));
  }
  options.top = static_cast<std::size_t>(*top);
  options.unpriced = static_cast<std::size_t>(*unpriced);
  options.step_multiplier = *multiplier;
  if (*deviation) options.errors = PredictionErrors{0, 0, **deviation};
  return options;
}

Status write_strategies(const Arguments& arguments, const advise::Advice& advice) {
  const auto out = arguments.get("out");
  if (!out || advice.ranking.empty()) return success();
  std::vector<StrategySpec> strategies;
  for (const advise::Advised& it : advice.ranking)
    strategies.push_back(it.spec);
  const Result<std::string> text =
      advise::with_strategies(arguments.at("SCENARIO"), *out, strategies, arguments.get("profile"));
  return text ? write_file(*out, *text) : Status(text.errors());
}

// Before anything is searched.
Status can_write_best(const Arguments& arguments) {
  const auto out = arguments.get("out");
  if (!out) return success();
  std::error_code differ;  // of a file that is not there yet
  if (std::filesystem::equivalent(arguments.at("SCENARIO"), *out, differ))
    return error(fmt::format("'{}' is the scenario itself: its strategies would be lost", *out));
  const Result<std::string> text =
      advise::with_strategies(arguments.at("SCENARIO"), *out, {}, arguments.get("profile"));
  return text ? check_writable(*out) : Status(text.errors());
}

int run(const Arguments& arguments) {
  const Result<advise::Options> options = read_options(arguments);
  if (!options) return fail(options.errors()), kWrongCommandLine;
  const std::string& path = arguments.at("SCENARIO");
  const Result<Scenario> read = read_setting(path, profile_path(path), arguments.get("profile"));
  if (!read) return fail(read.errors());
  const Scenario& scenario = *read;
  AdviseSpace space = scenario.advise;
  if (const auto text = arguments.get("space")) {
    const Result<AdviseSpace> asked = parse_advise_space(*text, "--space");
    if (!asked) return fail(asked.errors());
    space = *asked;
  }
  const Status writable = can_write_best(arguments);
  if (!writable) return fail(writable.errors());
  const Result<advise::Advice> advice = advise::advise(scenario, space, *options);
  if (!advice) return fail(advice.errors());
  print(arguments.has("json") ? StyledText(advise::print_json(scenario, *advice))
                              : advise::print_table(scenario, *advice));
  const Status written = write_strategies(arguments, *advice);
  if (!written) return fail(written.errors());
  return advice->ranking.empty() ? kWrongInput : kDone;
}

}  // namespace

Command advise_command() {
  return {"advise", "search for the fastest strategies that fit, and say what each would cost",
          syntax, run};
}

}  // namespace rehearse::cli
