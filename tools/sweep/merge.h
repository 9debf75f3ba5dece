// Results of shards, made one.
#pragma once

#include <string>
#include <vector>

#include "tools/sweep/ranking.h"
#include "tools/sweep/results.h"

namespace rehearse::sweep {

struct Merged {
  Manifest manifest;  // of the whole
  Ranking ranking;
  std::uint64_t missing = 0;  // rows that no folder has
};

// Puts the rows of all folders into a new one, in order, each once: what one run of the whole sweep
// would have left, if nothing is missing; a run with --resume adds what is. Errors: folders of
// different sweeps, or that differ in a row.
Result<Merged> merge(const std::vector<std::string>& folders, const std::string& out);

}  // namespace rehearse::sweep
