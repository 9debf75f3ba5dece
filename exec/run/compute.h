// The kernels of a rank's passes, prepared once with their operands' addresses.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "exec/backend.h"
#include "exec/run/arena.h"
#include "exec/run/parameters.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

// One kernel of one op, of one step or of two that follow each other.
struct Launch {
  LayerId layer;  // accumulate and copy: that which produces the value
  Kernel* kernel = nullptr;
  KernelArguments arguments;
  bool draws = false;  // what it does depends on the step
  struct Second {
    LayerId layer;
    KernelPair* pair = nullptr;  // which runs both, in place of the kernel
    KernelArguments arguments;
  };
  std::optional<Second> second = {};

  void run() const {
    if (!second) return kernel->run(arguments);
    second->pair->run(arguments, second->arguments);
  }
};

// Where a micro-batch's losses are once an op has ended, one for each label; of tensor-parallel
// ranks the terms that they follow from (loss_of_terms()).
struct LossAt {
  const void* memory = nullptr;
  MicroBatchId micro_batch;
  std::int64_t terms = 1;
};

class ComputeProgram {
 public:
  // net: the rank's own, that of its program.
  ComputeProgram(const Plan& plan, RankId rank, const Net& net, Backend& backend,
                 const Arena& arena, const Parameters& parameters);

  // Before the first launch of each step: what is drawn at random depends on it.
  void begin_step(std::int64_t step);
  // In the order they run; empty for ops that are no passes.
  const std::vector<Launch>& launches(OpId op) const { return launches_[op.index()]; }
  // The losses this op completes, or nowhere.
  const LossAt& losses(OpId op) const { return losses_[op.index()]; }

 private:
  class Binder;
  std::vector<std::unique_ptr<Kernel>> kernels_;
  std::vector<std::unique_ptr<KernelPair>> pairs_;
  std::vector<std::vector<Launch>> launches_;
  std::vector<LossAt> losses_;
};

}  // namespace rehearse::exec
