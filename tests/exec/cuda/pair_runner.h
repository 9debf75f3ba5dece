// A linear layer and the GELU beside it, as one kernel and one after the other.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "exec/backend.h"

namespace rehearse::exec {

// x W^T + b and its GELU; the GELU's gradient of dz V.
struct PairCase {
  std::string name;
  std::int64_t rows, in, out;
  bool bias;
  friend void PrintTo(const PairCase& it, std::ostream* out) { *out << it.name; }
};
std::vector<PairCase> pair_cases();

struct PairOutcome {
  std::vector<double> before, after, gradient;  // what the GELU reads, gives and hands back
};
PairOutcome run_apart(Backend& backend, const PairCase& it, GeluForm form);
// None where the backend has no such kernels.
std::optional<PairOutcome> run_pair(Backend& backend, const PairCase& it, GeluForm form);

}  // namespace rehearse::exec
