// The commands of `rehearse-exec`, one file each.
#pragma once

#include "tools/cli/cli.h"

namespace rehearse::cli {

Command measure_command();
Command train_command();

}  // namespace rehearse::cli
