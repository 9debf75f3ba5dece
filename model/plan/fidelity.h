// How closely a simulation plays a plan.
#pragma once

#include <string_view>
#include <vector>

namespace rehearse {

// Collectives.
// stepwise: every message of their lists, as the executor sends them.
// fluid: from when all members are there, all their messages at once and in proportion, as one flow
//   over all links and threads, after the latencies of all steps. The same on an idle machine where
//   all steps need the same links as long; steps that need different links, one after the other
//   (inside nodes, then between them), overlap here, and single steps wait for nobody.
// closed_form: from when all are there, for as long as that takes on an idle machine, whatever else
// is
//   under way: links may be asked for more than they have.
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
// all: every rank. first: one of several replicas that do the same, for all of them, where that is
// exact (sim/replicas.h). automatic: first where it can stand for all, else all.
enum class Replicas { all, first, automatic };
constexpr std::string_view to_string(Replicas replicas) {
  switch (replicas) {
    case Replicas::all:
      return "all";
    case Replicas::first:
      return "first";
    case Replicas::automatic:
      return "auto";
  }
  return "";
}
constexpr std::string_view to_string(Detail detail) {
  return detail == Detail::segment ? "segment" : "block";
}

}  // namespace rehearse
