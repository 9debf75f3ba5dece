// Seconds of every op, made by cost (or a scenario), read by sim.
#pragma once

#include <cstdint>
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
  // By row and op; zero for messages. A row is of a program on a device.
  std::vector<std::vector<OpPrice>> ops;
  // By rank, its row; empty: all devices are alike, and a program's number is that of its row.
  std::vector<std::uint32_t> rows = {};
  Messaging messaging = {};
};

inline const OpPrice& price_of(const Prices& prices, const Plan& plan, RankId rank, OpId op) {
  const std::size_t row =
      prices.rows.empty() ? plan.ranks[rank.index()].program.index() : prices.rows[rank.index()];
  return prices.ops[row][op.index()];
}

}  // namespace rehearse
