// The commands of `rehearse`, one file each.
#pragma once

#include "tools/cli/cli.h"

namespace rehearse::cli {

Command advise_command();
Command assignment_command();
Command calibrate_command();
Command cluster_command();
Command diff_command();
Command estimate_command();
Command explain_command();
Command init_command();
Command memory_command();
Command model_command();
Command plan_command();
Command report_command();
Command schema_command();
Command simulate_command();
Command strategies_command();
Command sweep_command();
Command trace_command();
Command verify_command();

}  // namespace rehearse::cli
