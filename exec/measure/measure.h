// Measures the machine it runs on, CPU or GPU, through the very backend and transport that training
// uses.
//
// Kernels are those of a network's training step, run one after another in the step's order on
// operands that lie as in training: each finds in the caches what its predecessors left there. (The
// same kernel in a loop would find its operands in cache, and promise more than training keeps.)
// Rank 0 measures alone while the others rest; then 1, 2, ... all ranks work at once, where they
// share their machine's cores: ranks with a device each do not, nor do their threads move messages.
// Only kernels measured here go into the samples; training runs never do.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "exec/backend.h"
#include "exec/measure/timing.h"
#include "exec/transport.h"
#include "model/cluster/samples.h"
#include "model/net/net.h"

namespace rehearse::exec {

// A network, and the samples of one micro-batch.
struct MeasuredNet {
  Net net;
  std::int64_t samples = 1;
};

// Small networks that between them have every kernel class: for a profile that is not for one
// network.
std::vector<MeasuredNet> default_networks();
// For GPUs: GPT-2 124M and ResNets from few samples to many, and products of large matrices.
std::vector<MeasuredNet> default_gpu_networks();

struct MeasureOptions {
  // Of the whole. Once it is used up no other network is begun, nor another step of one: where
  // steps take longer than this, one step of the first network is measured and no other.
  Seconds budget = Seconds::seconds(15);
  std::vector<MeasuredNet> networks;  // the first one's kernels measure the capacity
  // Those are measured that have kernels of classes that `networks` have hardly any of, for these
  // classes, so that the profile is not absurd for other networks.
  std::vector<MeasuredNet> others;
  std::function<void(const std::string&)> progress;  // called on rank 0
  // The backend's, where it is one: networks that its memory does not hold are left out.
  std::optional<Gpu> gpu = std::nullopt;
  // Elements of what is copied, and of the weights that optimizers step; none: several, up to what
  // the device's caches do not hold.
  std::vector<std::int64_t> streams = {};
  Clock now = host_time;  // what the budget is counted by
};

// Everybody calls this with equal options. The samples on rank 0; empty elsewhere.
Samples measure(Transport& transport, Backend& backend, const MeasureOptions& options);

}  // namespace rehearse::exec
