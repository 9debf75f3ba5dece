// How closely a simulation plays a plan.
#pragma once

#include <string_view>
#include <vector>

namespace rehearse {

// Collectives.
// stepwise: every message of their lists, as the executor sends them.
// fluid: from when all members are there, all their messages at once and in proportion, as one flow
//   over all links and threads, after the latencies of all steps. What single steps wait for is
//   left out: nothing on an idle machine whose members are alike.
// closed_form: from when all are there, what the formula of the algorithm says, whatever else is
//   under way.
enum class Fidelity { stepwise, fluid, closed_form };
constexpr std::string_view to_string(Fidelity fidelity) {
  switch (fidelity) {
    case Fidelity::stepwise:
      return "stepwise";
    case Fidelity::fluid:
      return "fluid";
    case Fidelity::closed_form:
      return "closed-form";
  }
  return "";
}
inline const std::vector<Fidelity>& fidelities() {
  static const std::vector<Fidelity> all = {Fidelity::closed_form, Fidelity::fluid,
                                            Fidelity::stepwise};
  return all;
}

// segment: every op of the plan. block: what tensor-parallel ranks exchange between passes is part
// of the passes (fold_exchanges.h), for clusters of thousands of ranks.
enum class Detail { segment, block };
constexpr std::string_view to_string(Detail detail) {
  return detail == Detail::segment ? "segment" : "block";
}

}  // namespace rehearse
