// Passes over a whole network on one rank, beside training: in memory of their own, on weights that
// were put together from their holders.
#pragma once

#include <cstddef>
#include <functional>
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

  // The network's input, labels or losses, for kernels ...
  std::byte* at(ValueId boundary) { return values_.at(boundary)->data(); }
  // ... and for the host, which has load(memory) fill in input or labels and may read them again.
  void fill(ValueId boundary, const std::function<void(void*)>& load);
  const std::byte* on_host(ValueId boundary) { return mirrors_.at(boundary).on_host(); }
  // All steps of Pass::forward, or of Pass::backward, in the order they run.
  std::vector<BoundStep> prepare(Pass pass);

 private:
  Lowering lower_whole(Pass pass) const;
  std::byte* address(const Place& place, std::byte* scratch);
  std::unique_ptr<DeviceMemory> room(Bytes size);

  const Net& net_;
  const std::int64_t samples_;
  Backend& backend_;
  std::map<ParameterId, Mirror> weights_;
  std::map<ValueId, std::unique_ptr<DeviceMemory>> values_;
  std::map<ValueId, Mirror> mirrors_;  // of input and labels
  std::unique_ptr<DeviceMemory> saved_;
  std::vector<std::unique_ptr<DeviceMemory>> scratch_;  // of every pass that was prepared
};

}  // namespace rehearse::exec
