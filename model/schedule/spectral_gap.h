// The spectral gap of an assignment (assignment.h's spectral_gap()), and bounds of what it is after
// a move of a holder, which cost little.
//
// The second eigenvalue of an assignment with c holders for each of U units is the largest of
//   sum over units of (sum over holders of f)^2 / c  over  sum over workers of n f^2
// among functions f of the workers with sum n f = 0, n a worker's units: any f whatever, less its
// mean, bounds the eigenvalue from below and so the gap from above. An f that bounds one assignment
// well bounds most of those well that are a move away, in O(1): a move changes two of the sums.
// Where it does not, what it becomes when it is spread over the units and back (power iteration)
// may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <vector>

#include "model/schedule/assignment.h"

namespace rehearse {

// `given` goes from worker `from` to worker `to`; `taken`, if any, the other way.
struct HolderMove {
  std::size_t from, to, given;
  std::optional<std::size_t> taken;
};

void apply(Assignment& assignment, const HolderMove& move);

struct Spectrum {
  double gap = 1;
  std::vector<double> second;  // by worker: the f whose quotient is 1 - gap; 0: holds nothing
};
Spectrum spectrum_of(const Assignment& assignment);

// Of moves from one assignment, every unit of which has equally many holders.
class GapBounds {
 public:
  // What moves are made from from now on; those noted before are kept.
  void look(const Assignment& assignment);
  void note(const std::vector<double>& second);
  // Whether the gap after the move is known to be at most this, errors of rounding included.
  bool is_at_most(double gap, const HolderMove& move);

 private:
  // Of a function, with the assignment that was looked at.
  struct Sums {
    std::vector<double> values, of_unit;
    double squares = 0, norm = 0, total = 0;  // of of_unit; weighed by units
  };
  void sum_up(Sums& sums) const;
  double quotient(const Sums& sums, const HolderMove& move) const;
  // Whether the quotient reaches so much when the function is spread over the units and back,
  // after the move, a few times: the others' parts in it become smaller.
  bool reaches(double quotient, std::vector<double> values, const HolderMove& move) const;
  std::vector<double> spread(const std::vector<double>& values, const HolderMove& move) const;

  static constexpr std::size_t kMost = 16;  // functions that are tried
  const Assignment* assignment_ = nullptr;
  double holders_ = 1;          // of a unit
  std::vector<double> shared_;  // by worker and worker: units that both hold
  std::list<Sums> known_;       // which ruled out last first
};

}  // namespace rehearse
