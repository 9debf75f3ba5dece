// Collectives under way: who is there, and how far each member has come.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "model/collective/steps.h"
#include "model/plan/fidelity.h"
#include "model/plan/plan.h"
#include "sim/footprint.h"
#include "sim/machine.h"

namespace rehearse::sim {

class Collectives {
 public:
  // What becomes of a member's op. It starts when the last member has issued it, or, where it ends
  // before that, then. Its end is told last.
  struct Listener {
    std::function<void(RankId, OpId, std::int64_t step)> start, end;
  };
  Collectives(const Plan& plan, Fidelity fidelity, const Cluster& cluster, Machine& machine,
              Listener listener);

  // number: of the group's collectives that the rank has issued on such a lane in this step.
  void issue(RankId rank, OpId op, std::int64_t step, std::size_t number);

  std::vector<Bytes> sent, received;  // by rank

 private:
  using Key = std::tuple<GroupId, LaneKind, std::int64_t, std::size_t>;
  // Of one channel: the step it is at, and which of its messages wait for the other end.
  struct Progress {
    std::size_t number = 0;
    CollectiveStep step;
    int pending = 0;  // parts of the step that are under way
    bool offers = false, awaits = false;
  };
  struct Member {
    OpId op;
    std::size_t unfinished = 0;  // channels; 0: not there, or done
    std::array<Progress, kMostChannels> channels;
  };
  // Of one group in one step. Two members exchange a step's message when both are there; where
  // nothing is sent, nobody waits. It stays where it is until its last member has finished.
  struct Meeting {
    Key key;
    const Group* group = nullptr;
    std::int64_t step = 0;
    CollectiveShape shape;
    std::optional<StepLists> lists;             // stepwise
    const MessageProtocol* protocol = nullptr;  // of its messages
    std::int64_t element_bytes = 0, elements = 0;
    std::size_t played = 0;  // members: the first ones, all of them unless the plan is a replica's
    std::size_t issued = 0, finished = 0;
    std::vector<Member> members;
  };
  // A message of a meeting, until both ends have done with it.
  struct Message {
    Meeting* meeting = nullptr;
    std::size_t channel = 0, from = 0, to = 0;
    int ends = 2;
  };

  Meeting& meeting_of(const Key& key, RankId rank, const Op& op);
  bool is_played(RankId rank) const { return rank.index() < plan_.ranks.size(); }
  bool is_stepwise(const Meeting& meeting) const;
  void play_whole(Meeting& meeting);
  const Footprint& footprint(const Meeting& meeting);
  void next_step(Meeting& meeting, std::size_t channel, std::size_t member);
  void send(Meeting& meeting, std::size_t channel, std::size_t from, std::size_t to);
  void take(std::uint32_t message);
  void part_done(std::uint32_t message, std::size_t Message::*end);
  void finish(Meeting& meeting, std::size_t member);

  const Plan& plan_;
  const Fidelity fidelity_;
  const Cluster& cluster_;
  Machine& machine_;
  const Listener listener_;
  std::map<Key, Meeting> meetings_;
  std::vector<Message> messages_;
  std::vector<std::uint32_t> free_messages_;  // slots of messages_
  // Of collectives played as a whole, which come again in every step.
  using Kind = std::pair<CollectiveShape, std::int64_t>;  // and elements
  std::map<Kind, MessagePattern> patterns_;
  std::map<std::tuple<const Group*, Kind, std::int64_t>, Footprint> footprints_;
};

}  // namespace rehearse::sim
