// One HTML page about what was predicted, measured and swept: works offline, needs no other file,
// and carries its data as JSON (page/main.js says how they become pictures).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/report/swept_rows.h"
#include "tools/summary/summary.h"

namespace rehearse {

struct Report {
  std::vector<Summary> summaries;  // of one scenario, predicted and measured in any order
  std::optional<SweptRows> sweep = std::nullopt;
};

std::string print_report(const Report& report);

}  // namespace rehearse
