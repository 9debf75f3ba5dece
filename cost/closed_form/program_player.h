// Plays programs of ranks whose ops are priced, on an idle machine: lanes, dependencies, and what
// several ranks begin together.
//
// An op begins when its turn comes on its lane and what it waits for has ended; of a meeting, when
// that is so of all its ops. Messages whose bytes flow over a link at the same time go equally
// fast, as far as none of them is slower alone or on another link (max-min).
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace rehearse {

struct PlayedOp {
  std::size_t lane = 0;
  std::vector<std::size_t> after;  // ops of the rank
  double seconds = 0;              // alone
  // Messages one after the other: when the first one is under way, and how long the bytes of each
  // flow. What is left they wait, in equal parts.
  std::size_t messages = 0;
  double start = 0, flows = 0;
  double rate = 1;  // at which they flow alone, in any unit that all have
  struct Use {
    std::size_t link;  // any number
    double share = 1;  // of the link, alone
  };
  std::vector<Use> uses = {};
  std::optional<std::size_t> meeting = std::nullopt;
};
struct PlayedRank {
  std::size_t lanes = 0;
  std::vector<PlayedOp> ops;  // in the order of their lanes
};
// A message, or a collective of several ranks: as many ops as there are members, all alike.
struct Meeting {
  std::size_t members = 0;
};

struct PlayedStep {
  struct Span {
    double begin = 0, end = 0;
  };
  double end = 0;                        // of all of it
  std::vector<std::vector<Span>> spans;  // by rank and op
};
// Steps one after the other: a rank begins the next one when it has ended its own. Time from the
// beginning of the first.
std::vector<PlayedStep> play(const std::vector<PlayedRank>& ranks,
                             const std::vector<Meeting>& meetings, std::size_t steps);

}  // namespace rehearse
