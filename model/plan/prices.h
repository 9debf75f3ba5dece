// Seconds of every op, made by cost (or a scenario), read by sim.
#pragma once

#include <vector>

#include "model/base/units.h"
#include "model/cluster/device.h"
#include "model/plan/plan.h"

namespace rehearse {

// The price of a compute or optimizer op on an otherwise idle machine. Messages are not priced
// here: their bytes cross links and threads that others use too.
struct OpPrice {
  Seconds seconds;
  Bytes memory_traffic;
  Provenance provenance = Provenance::assumed;
  // Of its kernels, in their order: a rank whose thread both computes and moves messages looks
  // after them in between. Empty: they never wait for it.
  std::vector<Seconds> kernels = {};
};

struct Prices {
  // By program and op; zero for messages.
  std::vector<std::vector<OpPrice>> ops;
  Messaging messaging;
};

}  // namespace rehearse
