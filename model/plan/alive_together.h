// Which lifetimes of a program's buffers may overlap, whatever the lanes do.
//
// Two do unless one has surely ended when the other begins (HappensBefore). What has not ended when
// a lifetime begins is, of those that end on one lane, a suffix in the order of that lane; of it a
// tree of minima finds those that begin before the lifetime has ended, without touching the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/plan/happens_before.h"
#include "model/plan/plan.h"

namespace rehearse {

struct OpRange {
  OpId begin, end;  // the ops that allocate and free
};

class AliveTogether {
 public:
  // None of them is there yet.
  AliveTogether(const RankProgram& program, const HappensBefore& before,
                std::vector<OpRange> lifetimes);

  // From now on with() has this one, too. O(lanes log n)
  void add(std::size_t lifetime);
  // Appends the numbers of the lifetimes that are there and may overlap with this one, in no order.
  // O(c log n) for c of them.
  void with(std::size_t lifetime, std::vector<std::size_t>& others) const;

 private:
  // Lifetimes that end on one lane, in that order; by lane m the least of ended_before(begin, m)
  // over those of a node's lifetimes that are there, as a heap-ordered tree over a power of two of
  // leaves.
  struct Lane {
    std::vector<std::size_t> lifetimes;
    std::vector<std::uint32_t> ends;  // positions of their last ops, ascending
    std::size_t leaves = 1;
    std::vector<std::vector<std::uint32_t>> least;  // by lane, then node; the root is 1
  };
  struct Query {
    std::size_t first;  // leaf
    std::size_t lane;   // that the lifetime asked about ends on,
    std::uint32_t end;  // and its last op's position there
  };
  void visit(const Lane& lane, const Query& query, std::size_t node, std::size_t begin,
             std::size_t size, std::vector<std::size_t>& others) const;

  const RankProgram& program_;
  const HappensBefore& before_;
  const std::vector<OpRange> lifetimes_;
  std::vector<Lane> lanes_;
  std::vector<std::size_t> leaf_;  // by lifetime, on the lane that it ends on
};

}  // namespace rehearse
