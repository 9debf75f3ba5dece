// Starting ranks: over MPI, or as threads of this process.
#pragma once

#include <functional>
#include <string>

#include "exec/transport.h"
#include "tools/cli/cli.h"

namespace rehearse::cli {

// Options that every command of rehearse-exec has.
std::vector<Option> rank_options();

// Runs body on every rank: on N threads with --local N, else on the processes that mpirun started.
// Returns the largest exit code of the ranks of this process.
int run_ranks(const Arguments& arguments, const std::function<int(exec::Transport&)>& body);

// What every rank finds wrong, said by rank 0; kWrongInput.
int fail_once(exec::Transport& transport, const Diagnostics& errors);

// Rank 0 makes a text, everybody gets it; where it fails, rank 0 prints why and everybody gets
// none.
std::optional<std::string> from_rank_0(exec::Transport& transport,
                                       const std::function<Result<std::string>()>& make);

}  // namespace rehearse::cli
