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
// flows concerned are fixed, the others go on. Only the connected part of the system that changed
// is solved again.
#pragma once

#include <cstddef>
#include <limits>
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

  // weight and bound above 0; a flow without uses needs a finite bound.
  FlowId add_flow(std::vector<Use> uses, double weight, double bound = kUnbounded);
  void remove_flow(FlowId flow);

  // Flows whose rates may have changed since the last call, in the order of their ids, solved anew.
  const std::vector<FlowId>& solve();
  double rate(FlowId flow) const { return flows_[flow.index()].rate; }
  // What the flows use of it.
  double load(ResourceId resource) const;

 private:
  struct Flow {
    std::vector<Use> uses;
    double weight = 1, bound = kUnbounded, rate = 0;
    double stops_at = kUnbounded;  // t of its bound
    bool active = false, fixed = false;
    std::size_t visit = 0;  // number of the solve() that last met it
  };
  struct Resource {
    double capacity = 0;
    std::vector<FlowId> flows;
    bool changed = false;
    // While solving: what is left for open flows, what they use of it per unit of t, how many uses
    // they are, and the t at which it is full.
    double left = 0, pull = 0;
    std::size_t open = 0;
    double full_at = 0;
    std::size_t visit = 0;
  };

  void touch(ResourceId resource);
  void collect_component();
  void fill();
  void open_all();
  double next_stop();
  void fix(Flow& flow, double rate);

  std::vector<Flow> flows_;
  std::vector<FlowId> free_;
  std::vector<Resource> resources_;
  std::vector<ResourceId> changed_;
  std::vector<FlowId> lonely_;  // new flows without resources
  std::vector<FlowId> component_;
  std::vector<ResourceId> component_resources_;
  std::vector<FlowId> open_, stopping_;  // of fill(); here to keep their memory
  std::size_t visit_ = 0;
};

}  // namespace rehearse::sim
