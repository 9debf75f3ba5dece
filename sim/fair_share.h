// Max-min fair sharing of resources.
//
// A flow f runs at a rate x_f and uses u_fr of resource r per unit of rate. It has a weight w_f, in
// which unit rates are compared, and a bound b_f. Rates are weighted max-min fair: no flow's x_f /
// w_f can grow without that of another flow shrinking which is no larger (Bertsekas and Gallager,
// Data Networks, section 6.5.2):
//
//   sum_f u_fr x_f <= C_r,   x_f <= b_f,
//   and every flow is at its bound or crosses a full resource on which its x_f / w_f is the
//   largest.
//
// Progressive filling: all rates grow as w_f t until a resource is full or a flow at its bound; the
// flows concerned are fixed at this level t, the others go on. A resource is full at
//
//   t_r = (C_r - sum over fixed f of u_fr x_f) / (sum over open f of u_fr w_f),
//
// which only grows as others are fixed (at levels below it), so that a queue of resources by a t_r
// that may be out of date is enough: O((uses + resources) log resources).
//
// What changes is solved again as far as the change reaches, in the order of levels. A resource is
// met at a level if from there on it may be full elsewhere than before: those that changed, at a
// level below which nothing stops elsewhere than before; then those of a flow that is fixed below
// its former level, and of one that goes on beyond it. Flows of met resources are open again, but a
// flow that a resource stopped which is not met stops where it did. Fixing only ever concerns
// levels above, so each resource is met once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "model/base/ids.h"

namespace rehearse::sim {

using ResourceId = Id<struct ResourceTag>;
using FlowId = Id<struct FlowTag>;

struct Use {
  ResourceId resource;
  double amount = 1;  // of the resource per unit of rate; above 0
};

class FairShare {
 public:
  static constexpr double kUnbounded = std::numeric_limits<double>::infinity();

  ResourceId add_resource(double capacity);
  void set_capacity(ResourceId resource, double capacity);

  // weight and bound above 0; a flow without uses needs a finite bound. No resource twice.
  FlowId add_flow(std::span<const Use> uses, double weight, double bound = kUnbounded);
  void remove_flow(FlowId flow);

  // Flows whose rates have changed since the last call, each once, solved anew.
  const std::vector<FlowId>& solve();
  double rate(FlowId flow) const { return flows_[flow.index()].rate; }
  // What the flows use of it.
  double load(ResourceId resource) const;

 private:
  // A flow's use of a resource, from its side ...
  struct Crossing {
    std::uint32_t resource;
    std::uint32_t place;  // in the resource's list
    double pull;          // amount x weight: of the resource per unit of level
  };
  // ... and from the resource's.
  struct Member {
    std::uint32_t flow;
    std::uint32_t crossing;  // of all
    double pull;
  };
  struct Flow {
    double weight = 1, bound = kUnbounded, rate = 0;
    std::uint32_t crossings = 0, count = 0, room = 0;  // a range of all crossings
  };
  struct Resource {
    double capacity = 0;
    std::vector<Member> members;
    bool changed = false;
    // Numbers of the solve() that last met it, and that last opened flows that it had stopped: the
    // first of these.
    std::size_t visit = 0, former_visit = 0;
    std::uint32_t first_former = 0;
  };
  // Of a resource while solving: what fixed flows leave, what open ones use per unit of level, how
  // many they are.
  struct Filling {
    double left = 0, pull = 0;
    std::size_t open = 0;
    double full_at() const { return left > 0 ? left / pull : 0; }
  };
  // What may come next: a met resource is full, at the earliest; a flow is at its bound; the flows
  // that a resource has stopped are where it did.
  enum class Event : std::uint8_t { full, bound, former };
  struct Stop {
    double level;
    std::uint32_t id;
    Event event;
  };

  std::uint32_t take_slot();
  std::span<Crossing> crossings_of(std::uint32_t flow);
  void touch(std::uint32_t resource);
  double full_at(const Resource& resource) const;
  bool solve_alone(std::uint32_t resource);
  void find_begin();
  bool is_met(std::uint32_t resource) const { return resources_[resource].visit == visit_; }
  void meet(std::uint32_t resource, double level);
  void open(std::uint32_t flow);
  void fill();
  void happen(const Stop& stop, double level);
  void go_beyond(std::uint32_t flow, double level);
  void push(const Stop& stop);
  void pop();
  void sink(std::size_t hole, const Stop& stop);
  void fix(std::uint32_t flow, double level);
  void set_level(std::uint32_t flow, double level);

  std::vector<Flow> flows_;
  std::vector<Crossing> crossings_;
  // By flow: where it is fixed, the level of its bound, and what stopped it: a resource, or none.
  std::vector<double> levels_, stops_at_;
  std::vector<std::uint32_t> stopped_by_;
  std::vector<std::uint32_t> free_;
  std::vector<Resource> resources_;
  std::vector<Filling> fillings_;       // by resource
  std::vector<std::uint32_t> changed_;  // resources
  std::vector<std::uint32_t> lonely_;   // new flows without resources
  double begin_ = kUnbounded;           // nothing below this level changes
  std::size_t visit_ = 0;
  // Of solve(); here to keep their memory. By flow: number of the solve() that last opened it,
  // whether it is open, and the next open flow that the same resource has stopped.
  std::vector<std::size_t> opened_;
  std::vector<std::uint8_t> is_open_;
  std::vector<std::uint32_t> next_former_;
  std::size_t open_count_ = 0;
  std::vector<Stop> stops_;  // a heap
  std::vector<FlowId> results_;
};

}  // namespace rehearse::sim
