#include "exec/run/compute.h"

#include <set>
#include <tuple>

#include "exec/bind.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

// Buffers an op works on, by what they are for.
class Operands {
 public:
  Operands(const RankProgram& program, const Op& op, const Arena& arena) {
    for (const Operand& operand : op.operands) {
      const Buffer& buffer = program.buffers[operand.buffer.index()];
      std::byte* memory = arena.at(operand.buffer).data();
      switch (buffer.kind) {
        case BufferKind::value:
          values_[*buffer.value] = memory;
          break;
        case BufferKind::gradient:
          gradients_[*buffer.value] = memory;
          break;
        case BufferKind::saved:
          saved_ = memory;
          break;
        case BufferKind::scratch:
          scratch_ = memory;
          break;
        case BufferKind::parameters:
        case BufferKind::gradients:
        case BufferKind::optimizer_state:
        case BufferKind::communication:
          break;
      }
    }
  }

  std::byte* at(const Place& place) const {
    switch (place.space) {
      case Space::value:
        return values_.at(place.value);
      case Space::gradient:
        return gradients_.at(place.value);
      case Space::saved:
        return saved_ + place.offset.bytes();
      case Space::kept:
        return kept_ + place.offset.bytes();
      case Space::deferred:
        return deferred_ + place.offset.bytes();
      case Space::scratch:
        return scratch_ + place.offset.bytes();
    }
    REHEARSE_UNREACHABLE("space");
  }

  const void* value(ValueId value) const {
    const auto found = values_.find(value);
    return found == values_.end() ? nullptr : found->second;
  }

 private:
  std::map<ValueId, std::byte*> values_, gradients_;
  std::byte *saved_ = nullptr, *kept_ = nullptr, *deferred_ = nullptr, *scratch_ = nullptr;
};

void add_parameters(const Layer& layer, const Parameters& parameters, KernelArguments& arguments) {
  for (const ParameterId id : layer.parameters) {
    arguments.parameters.push_back(parameters.weights(id));
    arguments.parameter_gradients.push_back(parameters.gradients(id));
  }
}

bool works_on_a_layer(KernelKind kind) {
  return kind != KernelKind::accumulate && kind != KernelKind::copy;
}

bool writes_parameter_gradients(KernelKind kind) {
  return kind == KernelKind::backward || kind == KernelKind::backward_weight;
}

// Whether the layer's gradients are there already; after the call they are.
bool add_to(std::set<ParameterId>& written, const Layer& layer) {
  std::size_t known = 0;
  for (const ParameterId parameter : layer.parameters)
    known += written.insert(parameter).second ? 0 : 1;
  REHEARSE_CHECK(known == 0 || known == layer.parameters.size(),
                 "layer {} shares {} of its {} parameters with other layers: all or none",
                 layer.name, known, layer.parameters.size());
  return known > 0;
}

}  // namespace

ComputeProgram::ComputeProgram(const Plan& plan, RankId rank, const Net& net, Backend& backend,
                               const Arena& arena, const Parameters& parameters) {
  const RankProgram& program = program_of(plan, rank);
  const std::int64_t samples = plan.micro_batch_samples;
  const double labels = static_cast<double>(samples_per_rank(plan, rank) * labels_per_sample(net));
  // One kernel serves all ops that run the same step, whatever the addresses.
  std::map<std::tuple<LayerId, KernelKind, std::vector<bool>>, Kernel*> known;
  // Backward ops stand on one lane: whoever is first in list order overwrites a gradient, the
  // others add to it.
  std::set<ParameterId> written;
  launches_.resize(program.ops.size());
  losses_.resize(program.ops.size(), nullptr);
  for (std::size_t id = 0; id < program.ops.size(); ++id) {
    const Op& op = program.ops[id];
    if (op.kind != OpKind::forward && op.kind != OpKind::backward) continue;
    const Compute& compute = compute_of(op);
    const Pass pass = op.kind == OpKind::forward ? Pass::forward : Pass::backward;
    const Lowering lowering =
        lower(net, compute.begin, compute.end, pass, samples, backend.sizes());
    const Operands operands(program, op, arena);
    for (const KernelStep& step : lowering.steps) {
      const Layer& layer = net.layers[step.layer.index()];
      const KernelRequest request = request_for(net, step, samples);
      Kernel*& kernel = known[{step.layer, step.kind, request.wants_input_gradient}];
      if (kernel == nullptr) {
        kernels_.push_back(backend.prepare(request));
        kernel = kernels_.back().get();
      }
      Launch launch{kernel, bind(step, [&](const Place& place) { return operands.at(place); })};
      if (works_on_a_layer(step.kind)) add_parameters(layer, parameters, launch.arguments);
      launch.arguments.loss_scale = 1 / labels;
      if (writes_parameter_gradients(step.kind)) {
        launch.arguments.adds_to_parameter_gradients = add_to(written, layer);
      }
      launches_[id].push_back(std::move(launch));
    }
    if (pass == Pass::forward) losses_[id] = operands.value(net.loss);
  }
}

}  // namespace rehearse::exec
