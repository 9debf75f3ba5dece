// All ranks of a plan, each with its memory and its lanes, and what is on the way between them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/plan/symbolic.h"
#include "tests/plan/symbolic/meetings.h"
#include "tests/plan/symbolic/messages.h"
#include "tests/plan/symbolic/random_order.h"

namespace rehearse::testing::symbolic {

class Machine {
 public:
  // deal: by number of a micro-batch, the one whose samples are loaded for it; empty: its own.
  Machine(const PlanFacts& facts, Random& random, std::vector<std::int64_t> deal = {});

  Played run();

 private:
  struct Rank {
    explicit Rank(const RankFacts& rank) : facts(rank), memory(rank) {}
    OpId head(std::size_t lane) const { return facts.lanes[lane][next[lane]]; }

    const RankFacts& facts;
    RankMemory memory;
    std::vector<bool> ended;                        // by op
    std::vector<std::size_t> next;                  // by lane
    std::vector<std::optional<RunningOp>> running;  // by lane
    int period = 0;
  };

  void begin_period(std::size_t r);
  bool step();
  bool can_begin(const Rank& rank, std::size_t lane) const;
  bool can_end(const Rank& rank, std::size_t lane) const;
  void begin(Rank& rank, std::size_t lane);
  void end(std::size_t r, std::size_t lane);
  void start(const Rank& rank, RunningOp& running);
  std::int64_t sample_of(const RunningOp& load) const;

  void collect(std::size_t r, Played& played) const;
  void copy_share(std::size_t r, const ParameterClass& wanted, std::vector<Word>& whole) const;

  const std::vector<std::int64_t> deal_;
  ValueShares shares_;
  Messages messages_;
  Meetings meetings_;
  RandomOrder order_;
  std::vector<std::unique_ptr<Rank>> ranks_;
};

}  // namespace rehearse::testing::symbolic
