// The ranks' programs in motion: lanes, dependencies, and meetings of ranks.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "model/collective/steps.h"
#include "model/plan/plan.h"
#include "model/plan/prices.h"
#include "model/plan/timeline.h"
#include "sim/engine.h"
#include "sim/machine.h"

namespace rehearse::sim {

class Player {
 public:
  // jitter: of computing; none: every step takes what is priced.
  Player(const Plan& plan, const Prices& prices, const std::optional<Jitter>& jitter,
         std::int64_t steps, Engine& engine, Machine& machine);

  // Issues everything that can be issued at the beginning.
  void begin();
  // "rank 1 waits in op 3 (receive, tag 0)" for every rank that has not finished.
  std::vector<std::string> waiting() const;
  Timeline take_timeline();

  std::vector<Bytes> sent, received;  // by rank

 private:
  struct Rank {
    std::vector<std::vector<OpId>> lanes;  // ops in order
    std::vector<std::size_t> next;         // by lane
    std::vector<bool> issued, ended;       // by op
    std::size_t ended_count = 0;
    std::int64_t step = 0;
    std::vector<Span> spans;  // of all steps
    // Issued in this step, by group and kind of lane.
    std::map<std::pair<GroupId, LaneKind>, std::size_t> collectives;
  };
  using MeetingKey = std::tuple<GroupId, LaneKind, std::int64_t, std::size_t>;
  // A collective of one group in one step. Two members exchange a step's message when both are
  // there; where nothing is sent, nobody waits. It stays where it is in meetings_ until its last
  // member has finished.
  struct Meeting {
    MeetingKey key;
    GroupId group;
    std::optional<StepLists> lists;
    std::int64_t element_bytes = 0;
    std::int64_t elements = 0;
    std::size_t issued = 0, finished = 0;
    struct Progress {
      std::size_t step = 0;
      int pending = 0;  // parts of the current step that are under way
    };
    struct Member {
      OpId op;
      std::size_t unfinished = 0;  // channels
      std::array<Progress, kMostChannels> channels;
    };
    std::vector<Member> members;
    // Messages whose one end is there: by channel, step and sender.
    std::set<std::tuple<std::size_t, std::size_t, std::size_t>> ends;
  };
  using TransferKey = std::tuple<RankId, RankId, std::int64_t, std::int64_t>;

  void advance(RankId rank);
  bool issue_head(RankId rank, std::size_t lane);
  void start(RankId rank, OpId id);
  void end(RankId rank, OpId id);
  void begin_step(RankId rank);
  Span& span(RankId rank, OpId id);
  void meet_transfer(RankId rank, OpId id);
  void meet_collective(RankId rank, OpId id);
  static CollectiveStep current_step(const Meeting& meeting, std::size_t channel,
                                     std::size_t member);
  void next_step(Meeting& meeting, std::size_t channel, std::size_t member);
  void offer(Meeting& meeting, std::size_t channel, std::size_t step, std::size_t from,
             std::size_t to, const ElementRange& range);
  void take(Meeting& meeting, std::size_t channel, std::size_t member, RankId rank, Bytes bytes);
  void part_done(Meeting& meeting, std::size_t channel, std::size_t member);
  void finish_member(Meeting& meeting, std::size_t member);

  const Plan& plan_;
  const Prices& prices_;
  const std::optional<Jitter> jitter_;
  const std::int64_t steps_;
  Engine& engine_;
  Machine& machine_;
  std::vector<Rank> ranks_;
  std::map<TransferKey, OpId> transfers_;  // whose first end is there
  std::map<MeetingKey, Meeting> meetings_;
};

}  // namespace rehearse::sim
