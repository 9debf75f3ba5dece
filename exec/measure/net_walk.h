// One training step of a whole network, kernel by kernel.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "exec/backend.h"
#include "exec/measure/measure.h"
#include "exec/measure/memory.h"
#include "model/plan/training.h"

namespace rehearse::exec {

// With momentum, and a rate so small that the weights stay near what they were.
Training usual_training(DataType type = DataType::fp32);

class NetWalk {
 public:
  struct Step {
    std::string kind;  // "linear backward_weight", "accumulate"
    std::string what;  // equal for equal kernels
    StepWork work;
    Kernel* kernel = nullptr;
    KernelArguments arguments;
    void run() const { kernel->run(arguments); }
  };

  // Draws weights and inputs; measured.net must outlive the walk. training: the optimizer's; its
  // type is the backend's.
  NetWalk(const MeasuredNet& measured, Backend& backend,
          const Training& training = usual_training());

  // Forward, then backward: in this order operands hold what they hold in training.
  const std::vector<Step>& steps() const { return steps_; }

  // The optimizer step, as the executor does it.
  void update() const;
  StepWork update_work() const;

 private:
  void add_pass(Pass pass);
  Step prepare(const KernelStep& step);
  void fill_loaded_values();
  std::byte* address(const Place& place) const;
  // Of the parameter in a flat buffer of all of them.
  std::byte* in(const Slab& flat, ParameterId parameter) const;
  // From this parameter on.
  OptimizerState state_at(ParameterId parameter) const;

  const Net& net_;
  std::int64_t samples_;
  Backend& backend_;
  Training training_;
  std::map<ValueId, Slab> values_;
  // Flat without padding, the last parameter first: backward's order, as plans have it.
  std::vector<std::int64_t> offsets_;  // elements, by parameter
  Slab weights_, weight_gradients_;
  std::vector<Slab> moments_, master_;  // the latter none or one
  Slab saved_, scratch_;
  std::map<std::pair<std::string, std::vector<bool>>, std::unique_ptr<Kernel>> kernels_;
  std::vector<Step> steps_;
  std::set<ParameterId> has_gradient_;
};

// Of the memory that a walk takes, all but the network's inputs and what libraries need.
Bytes bytes_of_walk(const MeasuredNet& measured, const ElementSizes& sizes,
                    const Training& training);

// Of the kernels of a walk but the optimizer's.
std::set<KernelClass> classes_of(const MeasuredNet& measured, const ElementSizes& sizes);

// "conv2d k3 s1 28x28x16 -> 28x28x16 n64 backward_input"
std::string kernel_text(const KernelRequest& request);

}  // namespace rehearse::exec
