// Passes over a whole network on one rank, beside training: in memory of their own, on weights that
// were put together from their holders.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "exec/backend.h"
#include "exec/run/assemble.h"
#include "model/net/lowering.h"

namespace rehearse::exec {

// A kernel of a pass, its operands bound. Loss scale, random numbers and where gradients of
// parameters go are the caller's to set.
struct BoundStep {
  KernelKind kind;
  LayerId layer;
  std::unique_ptr<Kernel> kernel;
  KernelArguments arguments;
  void run() { kernel->run(arguments); }
};

class NetPasses {
 public:
  // Of micro-batches of so many samples. Net, weights and backend must outlive this, and this the
  // steps that it prepares.
  NetPasses(const Net& net, const Weights& weights, std::int64_t samples, Backend& backend);

  // The network's input, labels or losses.
  void* at(ValueId boundary) { return values_.at(boundary).data(); }
  // All steps of Pass::forward, or of Pass::backward, in the order they run.
  std::vector<BoundStep> prepare(Pass pass);

 private:
  Lowering lower_whole(Pass pass) const;
  std::byte* address(const Place& place, std::byte* scratch);

  const Net& net_;
  const Weights& weights_;
  const std::int64_t samples_;
  Backend& backend_;
  std::map<ValueId, std::vector<std::byte>> values_;
  std::vector<std::byte> saved_;
  std::deque<std::vector<std::byte>> scratch_;  // of every pass that was prepared
};

}  // namespace rehearse::exec
