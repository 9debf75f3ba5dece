#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "model/schedule/strategies.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{}, {}};
}

int run(const Arguments&) {
  std::size_t width = 0;
  for (const StrategyRow& row : strategy_rows())
    width = std::max(width, row.name.size());
  for (const StrategyRow& row : strategy_rows()) {
    std::cout << fmt::format("{:<{}}  {}\n{:<{}}    - {{name: x, {}}}\n", row.name, width, row.help,
                             "", width, row.example);
  }
  std::cout << "\nKeys of several strategies in one entry combine them; the ranks along the axes\n"
               "multiply to the devices, and one axis may be auto.\n";
  return kDone;
}

}  // namespace

Command strategies_command() {
  return {"strategies", "list every way of splitting, and how a scenario asks for it", syntax, run};
}

}  // namespace rehearse::cli
