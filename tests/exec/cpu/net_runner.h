// Trains a network for one micro-batch through its lowering: the smallest executor there can be.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "exec/backend.h"

namespace rehearse::exec {

struct NetData {
  std::vector<double> input, labels;
  std::vector<std::vector<double>> parameters;
};
// Weights of a size that keeps activations near one; deterministic.
NetData draw(const Net& net, std::int64_t samples, std::uint64_t seed);

struct NetOutcome {
  std::vector<double> losses;                  // one per label
  std::vector<std::vector<double>> gradients;  // of the mean loss, per parameter; empty if unused
  std::size_t pairs = 0;  // kernels that were two steps each, where the backend has such
};

// How the network is cut into ops.
enum class Cuts { none, every_segment };

// All forward ops, then (with Pass::backward) all backward ops; with Pass::backward_weight split
// ones, all weight passes after all input passes.
NetOutcome run_net(Backend& backend, const Net& net, const NetData& data, std::int64_t samples,
                   Cuts cuts, Pass until);

// Small networks of every builder, and of what subnetworks make of them.
struct NetCase {
  std::string name;
  Net net;
  std::int64_t samples;
  friend void PrintTo(const NetCase& net, std::ostream* out) { *out << net.name; }
};
std::vector<NetCase> net_cases();

}  // namespace rehearse::exec
