#include "exec/bind.h"

namespace rehearse::exec {

KernelRequest request_for(const Net& net, const KernelStep& step, std::int64_t samples) {
  const Layer& layer = net.layers[step.layer.index()];
  KernelRequest request{.kind = step.kind,
                        .layer = layer.spec,
                        .inputs = {},
                        .output = layer.facts.output,
                        .samples = samples,
                        .elements = step.elements * samples,
                        .wants_input_gradient = {}};
  for (const ValueId input : layer.inputs) {
    request.inputs.push_back(net.values[input.index()].shape);
  }
  for (const auto& place : step.input_gradients) {
    request.wants_input_gradient.push_back(place.has_value());
  }
  return request;
}

bool works_on_a_layer(KernelKind kind) {
  return kind != KernelKind::accumulate && kind != KernelKind::copy;
}

bool writes_parameter_gradients(KernelKind kind) {
  return kind == KernelKind::backward || kind == KernelKind::backward_weight;
}

bool draws_at_random(const LayerSpec& layer) {
  const auto* dropout = std::get_if<Dropout>(&layer);
  return dropout != nullptr && dropout->rate > 0;
}

namespace {

bool feeds_output(const KernelStep& first, const KernelStep& second) {
  return first.output && second.inputs == std::vector{first.output} &&
         second.output != first.output;
}

// In place, or from the scratch slab: a gradient there has one reader.
bool feeds_gradient(const KernelStep& first, const KernelStep& second) {
  if (first.input_gradients.size() != 1 || second.input_gradients.size() != 1) return false;
  const std::optional<Place>& between = first.input_gradients.front();
  return between && between == second.output_gradient && second.input_gradients.front() &&
         (between == second.input_gradients.front() || between->space == Space::scratch);
}

}  // namespace

bool feeds(const KernelStep& first, const KernelStep& second) {
  if (first.kind == KernelKind::forward && second.kind == KernelKind::forward)
    return feeds_output(first, second);
  return first.kind == KernelKind::backward_input && second.kind == KernelKind::backward &&
         feeds_gradient(first, second);
}

KernelArguments bind(const KernelStep& step, const Address& address) {
  const auto at = [&](const std::optional<Place>& place) {
    return place ? address(*place) : nullptr;
  };
  KernelArguments arguments;
  for (const auto& place : step.inputs)
    arguments.inputs.push_back(at(place));
  for (const auto& place : step.input_gradients)
    arguments.input_gradients.push_back(at(place));
  for (const Place& place : step.auxiliaries)
    arguments.auxiliaries.push_back(address(place));
  arguments.output = at(step.output);
  arguments.output_gradient = at(step.output_gradient);
  arguments.left = at(step.left);
  arguments.right = at(step.right);
  arguments.sum = at(step.sum);
  arguments.draws.layer = step.layer;
  return arguments;
}

}  // namespace rehearse::exec
