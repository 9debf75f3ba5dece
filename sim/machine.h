// The cluster as shared resources, and the work that runs on them.
//
// GPUs compute beside each other: a compute op takes its price. CPUs share: the ranks of a node
// share its cores (whose joint capacity depends on how many are busy) and its memory bandwidth, and
// what a rank computes, sends and receives shares its one thread. All of it is flows in one max-min
// system with the links, so that a rank that waits gives its core away.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "model/cluster/cluster.h"
#include "model/plan/prices.h"
#include "sim/engine.h"
#include "sim/fair_share.h"
#include "sim/footprint.h"
#include "sim/link_flows.h"

namespace rehearse::sim {

// Thrown where an end is farther away than the clock counts; simulate() catches it.
struct BeyondTheClock {
  Seconds wait;
};

class Machine {
 public:
  using Done = std::function<void()>;

  Machine(const Cluster& cluster, const Messaging& messaging, Engine& engine);

  // An op on a rank's device that takes `stretch` times its price if it has the device to itself
  // and that runs at its profile's speed. The price outlives it.
  void compute(RankId rank, const OpPrice& price, double stretch, Done done);
  // A message between two ranks that are both ready for it; of a collective by a protocol, if it
  // has one (which outlives it).
  void transfer(RankId from, RankId to, Bytes bytes, Done done,
                const MessageProtocol* protocol = nullptr);
  // Calls back when the rank's thread next looks after its messages: at once, or, where a CPU rank
  // computes, after the mean wait for a kernel's end (ranks drift apart: no exact moment is known).
  void attend(RankId rank, Done done);
  // Adds received bytes to the rank's own.
  void reduce(RankId rank, Bytes bytes, Done done);

  // The protocol by which a collective is over soonest where nothing else is under way; null: none,
  // as the other constants of Messaging say. It is one of the first rank's.
  bool has_protocols() const;  // of any rank
  const MessageProtocol* fastest(const std::vector<RankId>& ranks, const Footprint& footprint);
  // Calls back when the rank may send its first message of a collective that it issues now, whose
  // first range has so many bytes; the other ways to play one have that in their
  // latencies.
  void start_collective(RankId rank, Bytes first, const MessageProtocol* protocol, Done done);
  // All messages of a collective in one flow, after its latencies; the footprint outlives it.
  void collective(const std::vector<RankId>& ranks, const Footprint& footprint, Done done);
  // How long it takes where nothing else is under way, by the fastest protocol: its latencies, and
  // the resource that it needs longest, or its messages one after the other.
  Seconds alone(const std::vector<RankId>& ranks, const Footprint& footprint);
  // The same bytes, in so much time.
  void collective_by_price(const Footprint& footprint, Seconds seconds, Done done);

  // Gives every flow its rate; before time goes on.
  void settle();

  const std::vector<Bytes>& link_bytes() const { return link_bytes_; }
  // What flows over these links is kept: as many bytes of each as link_bytes() has, but for
  // rounding.
  void watch(const std::vector<LinkId>& links) { flows_.watch(links, links_.size()); }
  std::vector<LinkFlow> take_flows() { return flows_.take(); }

 private:
  // Waits until no more than `left` of an activity's work is left.
  struct Watcher {
    double left = 0;
    Done done;
  };
  // Ranks whose thread an activity keeps busy: of a computation one, of a message up to two.
  struct BusyRanks {
    std::array<RankId, 2> ranks;
    std::size_t count = 0;
    void add(RankId rank) { ranks[count++] = rank; }
  };
  // Work under way: `left` of it at the time `since`, done at `rate` per second.
  struct Activity {
    FlowId flow;
    double work = 0, left = 0, rate = 0;
    Time since;
    // Once it has a rate: its end, or the next watcher's moment; and an event at this time or
    // before it, since rates fall and rise far more often than work ends.
    Time next, looks;
    std::optional<EventId> planned;
    BusyRanks busy;
    Done done;
    std::vector<Watcher> watchers;  // the next one last
    LinkFlows::Crossings crossings;
  };
  // A rank's compute op under way.
  struct Computing {
    FlowId flow;
    const OpPrice* price = nullptr;  // null: none
    double stretch = 1;              // of its kernels
  };

  // From the moment both ranks are ready for it until its bytes flow.
  struct Message {
    RankId from, to;
    Bytes bytes;
    const Route* route = nullptr;
    const MessageProtocol* protocol = nullptr;
    int unprepared = 2;  // threads that still work on it
    Done done;
  };

  bool is_cpu() const { return cluster_.device().kind == DeviceKind::cpu; }
  // Of work that uses what is in uses_.
  FlowId begin(double work, double weight, double bound, const BusyRanks& busy, Done done);
  void later(Seconds wait, Done done);
  Time after(Seconds wait) const;
  void thread_work(RankId rank, Seconds seconds, Done done);
  void prepared(std::uint32_t message);
  void leave(std::uint32_t message);
  void carry(std::uint32_t message);
  void bring_up_to_now(Activity& activity);
  void plan_next(Activity& activity);
  void look(std::uint32_t slot);
  void end(std::uint32_t slot);
  void set_busy(RankId rank, int change);
  const Messaging& messaging(RankId rank) const { return messaging_[cluster_.device_number(rank)]; }
  const Device& device_of_node(std::size_t node) const;
  // Of a node's cores, where its profile says it and so many of its ranks are busy.
  double joint_capacity(std::size_t node, int busy) const;
  double reach(const Message& message) const;
  void use_thread(RankId rank, double amount);
  const Route& route(RankId from, RankId to);
  void count_bytes(const Footprint& footprint);
  double seconds_on(const Footprint::OnLink& link) const;
  Seconds alone(const std::vector<RankId>& ranks, const Footprint& footprint,
                const MessageProtocol* protocol);
  Seconds latencies(const std::vector<RankId>& ranks, const Footprint& footprint,
                    const MessageProtocol* protocol) const;
  Seconds start_of(RankId rank, Bytes first, const MessageProtocol* protocol) const;
  double thread_seconds(RankId rank, const Footprint::OfMember& member) const;

  const Cluster& cluster_;
  const std::vector<Messaging> messaging_;  // by number of device
  Engine& engine_;
  FairShare shares_;
  std::vector<ResourceId> links_, threads_, memories_;
  std::vector<std::optional<ResourceId>> cores_;  // by node; none: as many as ranks
  std::vector<ResourceId> engines_;  // of GPUs that slow down while they send or receive
  std::vector<Use> uses_;            // of the activity that begins
  std::vector<int> activities_of_rank_, busy_ranks_of_node_;
  std::vector<Activity> activities_;  // by flow
  std::vector<Computing> computing_;  // by rank
  std::vector<Message> messages_;
  std::vector<std::uint32_t> free_messages_;     // slots of messages_
  std::vector<std::map<RankId, Route>> routes_;  // by sender: few receivers each
  std::vector<Bytes> link_bytes_;
  LinkFlows flows_;
};

}  // namespace rehearse::sim
