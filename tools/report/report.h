// One self-contained HTML page from summaries: works offline, from a mail, for years.
#pragma once

#include <string>
#include <vector>

#include "tools/summary/summary.h"

namespace rehearse {

std::string print_report(const std::vector<Summary>& summaries);

}  // namespace rehearse
