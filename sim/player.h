// The ranks' programs in motion: lanes, dependencies, and meetings of ranks.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "model/plan/plan.h"
#include "model/plan/prices.h"
#include "model/plan/timeline.h"
#include "sim/collectives.h"
#include "sim/engine.h"
#include "sim/machine.h"

namespace rehearse::sim {

class Player {
 public:
  Player(const Plan& plan, const Prices& prices, const Cluster& cluster, Fidelity fidelity,
         std::int64_t steps, Engine& engine, Machine& machine);

  // Issues everything that can be issued at the beginning.
  void begin();
  // "rank 1 waits in op 3 (receive, tag 0)" for every rank that has not finished.
  std::vector<std::string> waiting() const;
  Timeline take_timeline();

  // By rank.
  std::vector<Bytes> sent() const;
  std::vector<Bytes> received() const;

 private:
  struct Rank {
    const std::vector<std::vector<OpId>>* lanes = nullptr;  // its program's: ops in order
    std::vector<std::size_t> next;                          // by lane
    std::vector<bool> issued, ended;                        // by op
    std::size_t ended_count = 0;
    std::int64_t step = 0;
    std::size_t first_span = 0;  // of spans_: all of its steps, one after the other
    // Issued in this step, by group and kind of lane.
    std::map<std::pair<GroupId, LaneKind>, std::size_t> collectives;
  };
  struct TransferKey {
    RankId from, to;
    std::int64_t tag, step;
    friend bool operator==(const TransferKey&, const TransferKey&) = default;
  };
  struct TransferHash {
    // Multiplied by an odd number (2^64 over the golden ratio) and folded, one after the other.
    std::size_t operator()(const TransferKey& key) const {
      std::uint64_t hash = 0;
      for (const std::uint64_t part :
           {std::uint64_t{key.from.value()} << 32U | key.to.value(),
            static_cast<std::uint64_t>(key.tag), static_cast<std::uint64_t>(key.step)}) {
        hash = (hash ^ part) * 0x9E3779B97F4A7C15U;
        hash ^= hash >> 32U;
      }
      return hash;
    }
  };

  void advance(RankId rank);
  bool issue_head(RankId rank, std::size_t lane);
  void start(RankId rank, OpId id);
  void end(RankId rank, OpId id);
  void begin_step(RankId rank);
  Span& span(RankId rank, OpId id);
  void meet_transfer(RankId rank, OpId id);
  void meet_collective(RankId rank, OpId id);

  const Plan& plan_;
  const Prices& prices_;
  const std::optional<Jitter> jitter_;
  const std::int64_t steps_;
  Engine& engine_;
  Machine& machine_;
  std::vector<Rank> ranks_;
  std::vector<Span> spans_;                                        // by rank, step and op
  std::vector<std::vector<std::vector<OpId>>> lanes_;              // by program and lane
  std::unordered_map<TransferKey, OpId, TransferHash> transfers_;  // whose first end is there
  std::vector<Bytes> sent_, received_;                             // by rank, of these
  Collectives collectives_;
};

}  // namespace rehearse::sim
