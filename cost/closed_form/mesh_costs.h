// What the ranks of a mesh pay for messages and collectives, where it puts them on the cluster.
//
// Prices of an idle machine (cost/collective_cost.h), but that ranks which do the same at the same
// time share the links that they meet on: the messages of all replicas over one boundary of the
// pipeline, and the rings of all groups of one axis and stage. What else is under way then is not
// counted.
#pragma once

#include <cstdint>
#include <vector>

#include "cost/closed_form/paths.h"
#include "cost/closed_form/rank_buckets.h"
#include "cost/closed_form/shared_links.h"
#include "model/cluster/cluster.h"
#include "model/plan/plan.h"

namespace rehearse {

// A group whose members stand in a ring.
struct RingGroup {
  std::size_t members = 1;
  Paths paths;
  friend bool operator==(const RingGroup&, const RingGroup&) = default;
};
// By the protocol that is fastest; start: until the first message. 0 for one member, or no element.
struct RingCost {
  Seconds seconds, start;
  MessageCost message;    // of the longest chunk
  double rate_share = 1;  // of the links' rates that bytes reach alone: the protocol's
};
RingCost ring_cost(const RingGroup& group, CollectiveKind kind, const Device& device,
                   std::int64_t elements, std::int64_t element_bytes);
Seconds ring_seconds(const RingGroup& group, CollectiveKind kind, const Device& device,
                     std::int64_t elements, std::int64_t element_bytes);

// Links that messages cross.
class Crossed {
 public:
  void add(LinkId link);
  void add(const Crossed& others);
  bool meets(const Crossed& others) const;

 private:
  using Word = std::uint64_t;
  static constexpr std::size_t kBits = 64;
  std::vector<Word> words_;
};
// What members of groups, of as many each, send to those behind them.
Messages around(const std::vector<std::vector<RankId>>& groups);
// All rings at once. crossed: links that are added.
RingGroup ring_of(Routes& routes, const std::vector<std::vector<RankId>>& groups, Crossed& crossed);

struct MeshCosts {
  RingGroup tensor;  // of all ranks of the pipeline at once
  // By rank of the pipeline: its tensor-parallel ranks alone.
  std::vector<RingGroup> own_tensor;
  bool exchanges_take_turns = false;  // whether these take less of a link than all at once
  // By rank of the pipeline: the holders of its own parameters, and, where they are also summed
  // over the tensor-parallel ranks, of those.
  std::vector<RingGroup> holders, partial_holders;
  // By rank of the pipeline: the first one with equal ones of both.
  std::vector<std::size_t> like;
  // Of parameters that the first and the last rank of the pipeline share.
  RingGroup tied, partial_tied;
  // By rank of the pipeline: to the next one (of the last: to the first), and back.
  struct BoundaryWays {
    std::vector<Paths> forward, backward;
  };
  BoundaryWays messages;  // of all replicas at once
  // Replicas whose messages go as fast over each boundary are of one kind; none: all are.
  std::vector<BoundaryWays> replica_kinds;
  // By replica, one after the other the workers of a data-parallel one: its kind.
  std::vector<std::size_t> kind_of_replica;
  // Where any of these may have less of a link than alone.
  std::vector<SharedLink> shared;
  // By rank of the pipeline: the other ones whose reductions have less for its own.
  std::vector<std::vector<std::size_t>> reductions_meet;
  // Whether there are links on which both have less: tensor-parallel ranks and messages between
  // stages; reductions and tensor-parallel ranks; reductions and messages between stages.
  bool exchanges_meet_messages = false, reductions_meet_exchanges = false,
       reductions_meet_messages = false;
  // By rank of the pipeline: how much longer its messages may take, as a share of what they take
  // alone, beside those over other boundaries, all at once; and where stages wrap around the ranks.
  std::vector<double> held, held_wrapping;
  const std::vector<double>& held_of(bool wraps) const { return wraps ? held_wrapping : held; }
  bool messages_meet_others = false;  // over boundaries of different ranks
  // Whether flows meet otherwise than messages do on a rank's own link.
  bool meets_others() const;
  Crossed exchanges, between;  // by messages of tensor-parallel ranks; between stages
};

// Of more kinds of replicas the slowest one counts of each boundary.
inline constexpr std::size_t kMostReplicaKinds = 16;

// Who reduces a class of a rank of the pipeline.
const RingGroup& holders_of(const MeshCosts& mesh, const HeldClass& held, std::size_t rank);

// O(ranks x route)
MeshCosts mesh_costs(Routes& routes, const Mesh& mesh);

}  // namespace rehearse
