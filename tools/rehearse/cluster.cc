#include <fmt/format.h>

#include <iostream>

#include "model/base/text.h"
#include "tools/cli/terminal.h"
#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"
#include "tools/summary/cluster.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SCENARIO"},
          {{"route", "A:B", "show the way of a message from rank A to rank B"},
           {"profile", "FILE", "device profile instead of the scenario's"},
           {"json", "", "print JSON, with every rank and link, instead of tables"}}};
}

Result<RankPair> parse_route(const std::string& text, std::size_t ranks) {
  const auto words = split(text, ':');
  if (words.size() == 2) {
    const auto from = parse_integer(words[0]), to = parse_integer(words[1]);
    const auto is_rank = [&](const auto& rank) {
      return rank && *rank >= 0 && *rank < static_cast<std::int64_t>(ranks);
    };
    if (is_rank(from) && is_rank(to)) return RankPair(*from, *to);
  }
  return error(fmt::format("--route takes two ranks from 0 to {}, such as 0:{}, not '{}'",
                           ranks - 1, ranks - 1, text));
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  const Result<Scenario> scenario =
      read_scenario(path, profile_path(path), arguments.get("profile"));
  if (!scenario) return fail(scenario.errors());
  if (scenario->prices)
    return fail(error(fmt::format("{} states its prices: it has no cluster", path)));
  const Result<Cluster> cluster = Cluster::build(scenario->cluster);
  if (!cluster) return fail(cluster.errors());
  std::optional<RankPair> route;
  if (const auto asked = arguments.get("route")) {
    const Result<RankPair> parsed = parse_route(*asked, cluster->rank_count());
    if (!parsed) {
      fail(parsed.errors());
      return kWrongCommandLine;
    }
    route = *parsed;
  }
  print(arguments.has("json") ? StyledText(print_json(*cluster, route))
                              : print_table(*cluster, route));
  return kDone;
}

}  // namespace

Command cluster_command() {
  return {"cluster", "print the machine described: its ranks, links and routes", syntax, run};
}

}  // namespace rehearse::cli
