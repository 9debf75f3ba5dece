// Seconds of every op, made by cost (or a scenario), read by sim.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "model/base/units.h"
#include "model/cluster/device.h"
#include "model/plan/plan.h"

namespace rehearse {

// Seconds by where the rates come from that they follow from, in the order of Provenance.
using SecondsBy = std::array<Seconds, kProvenanceCount>;
inline SecondsBy resting_on(Provenance provenance, Seconds seconds) {
  SecondsBy all{};
  all[static_cast<std::size_t>(provenance)] = seconds;
  return all;
}
inline SecondsBy& operator+=(SecondsBy& sum, const SecondsBy& more) {
  for (std::size_t p = 0; p < sum.size(); ++p)
    sum[p] += more[p];
  return sum;
}

// The price of a compute or optimizer op on an otherwise idle machine. Messages are not priced
// here: their bytes cross links and threads that others use too.
struct OpPrice {
  Seconds seconds;
  Bytes memory_traffic;
  SecondsBy rests_on = {};
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
