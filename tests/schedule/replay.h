// Reference replays of pipeline orders: slow, obvious, and sharing no code with the schedules.
#pragma once

#include <string>
#include <vector>

#include "model/schedule/pipeline.h"

namespace rehearse::testing {

using Orders = std::vector<std::vector<Slot>>;  // by rank

struct Replay {
  bool finished = false;     // false: some pass waits for ever, the rest means nothing
  double cost = 0;           // longest span of a rank, first start to last end
  std::vector<double> live;  // most activations by rank, in units of 1/chunks
};

// Every rank computes in list order, a pass as soon as its inputs are there: one transfer per hop
// between different ranks, any number of messages under way, and sending blocks nobody. A whole
// backward takes input and weight gradients' time. An activation lives from its forward's start to
// the end of its weight gradients.
Replay replay(const PipelineShape& shape, const PipelineCosts& costs, const Orders& orders);

// (cost - m (F + B + W)) / cost of the rank whose passes take longest: the rate of Qi et al.
// (arXiv 2401.10241, section 5.3).
double bubble_rate(const PipelineShape& shape, const PipelineCosts& costs, const Orders& orders);

// Where the orders get stuck if messages are rendezvous: "" if nowhere. A rank has a lane to
// compute and, for each peer, lanes to send and to receive activations and gradients, each of which
// does one thing after another. The receives of a pass are issued when the pass before the one
// before has been computed (actions.h), and a message passes when both ends are issued. (One send
// lane for both directions of a V would not do: activations that the next rank does not take yet
// would hold up those on their way back, which it waits for.)
std::string stuck_with_rendezvous(const PipelineShape& shape, const Orders& orders);

// What is wrong with the orders as lists: a pass missing, twice, on another rank's list or before
// what it needs on its own; "" if nothing.
std::string fault(const PipelineShape& shape, const Orders& orders);

// Costs that do not depend on the stage.
PipelineCosts even_costs(const PipelineShape& shape, double forward, double input, double weight,
                         double transfer = 0);

}  // namespace rehearse::testing
