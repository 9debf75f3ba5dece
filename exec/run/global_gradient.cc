#include "exec/run/global_gradient.h"

#include <map>

#include "exec/bind.h"
#include "exec/run/net_passes.h"

namespace rehearse::exec {
namespace {

class Gradient {
 public:
  Gradient(const Plan& plan, const Net& net, const Weights& weights, std::int64_t step,
           Backend& backend)
      : plan_(plan),
        net_(net),
        step_(step),
        passes_(net, weights, plan.micro_batch_samples, backend) {
    sum_.resize(net.parameters.size());
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      for (BoundStep& bound : passes_.prepare(pass)) {
        complete(bound, backend);
        steps_.push_back(std::move(bound));
      }
    }
  }

  void add(BatchSource& batches, std::int64_t micro_batch) {
    passes_.fill(net_.input, [&](void* into) { batches.load_input(step_, micro_batch, into); });
    passes_.fill(net_.labels, [&](void* into) { batches.load_labels(step_, micro_batch, into); });
    for (BoundStep& step : steps_) {
      step.arguments.draws.first_sample = micro_batch * plan_.micro_batch_samples;
      step.run();
      step.arguments.adds_to_parameter_gradients = true;
    }
  }

  Weights take() {
    for (const auto& [id, sum] : mirrors_)
      sum.download();
    return std::move(sum_);
  }

 private:
  void complete(BoundStep& bound, Backend& backend) {
    bound.arguments.loss_scale =
        1 / static_cast<double>(plan_.training.batch * labels_per_sample(net_));
    bound.arguments.draws.seed = plan_.training.seed;
    bound.arguments.draws.step = step_;
    if (works_on_a_layer(bound.kind)) add_parameter_gradients(bound, backend);
  }

  // Null where the layer is frozen. Several may share a parameter: the first one overwrites.
  void add_parameter_gradients(BoundStep& bound, Backend& backend) {
    const Layer& layer = net_.layers[bound.layer.index()];
    const bool writes = writes_parameter_gradients(bound.kind) && !layer.frozen;
    for (const ParameterId id : layer.parameters) {
      std::vector<std::byte>& sum = sum_[id.index()];
      if (writes) {
        bound.arguments.adds_to_parameter_gradients = !sum.empty();
        sum.resize(static_cast<std::size_t>(net_.parameters[id.index()].shape.elements() *
                                            backend.sizes().activation_bytes));
        mirrors_.try_emplace(id, Mirror::of_host(backend.device(), sum));
      }
      bound.arguments.parameter_gradients.push_back(writes ? mirrors_.at(id).on_device() : nullptr);
    }
  }

  const Plan& plan_;
  const Net& net_;
  const std::int64_t step_;
  NetPasses passes_;
  std::vector<BoundStep> steps_;  // forward, then backward
  Weights sum_;
  std::map<ParameterId, Mirror> mirrors_;  // of what is in it
};

}  // namespace

Weights global_gradient(const Plan& plan, const Net& net, const Weights& weights, std::int64_t step,
                        Backend& backend, BatchSource& batches) {
  Gradient gradient(plan, net, weights, step, backend);
  for (std::int64_t m = 0; m < plan.training.batch / plan.micro_batch_samples; ++m)
    gradient.add(batches, m);
  return gradient.take();
}

}  // namespace rehearse::exec
