#include "exec/run/net_passes.h"

#include "exec/bind.h"
#include "model/base/check.h"

namespace rehearse::exec {

NetPasses::NetPasses(const Net& net, const Weights& weights, std::int64_t samples, Backend& backend)
    : net_(net),
      samples_(samples),
      backend_(backend),
      saved_(room(lower_whole(Pass::forward).saved)) {
  for (const ValueId value : {net.input, net.labels, net.loss})
    values_[value] = room(size_of(net, value, samples, backend.sizes()));
  for (const ValueId value : {net.input, net.labels}) {
    DeviceMemory& memory = *values_.at(value);
    mirrors_.emplace(value, Mirror::of_device(backend.device(), {memory.data(), memory.size()}));
  }
  for (std::size_t p = 0; p < weights.size(); ++p) {
    // Kernels only read them.
    auto* const on_host = const_cast<std::byte*>(weights[p].data());
    weights_
        .emplace(ParameterId(p), Mirror::of_host(backend.device(), {on_host, weights[p].size()}))
        .first->second.upload();
  }
  backend.device().wait();
}

// Zeros: what a pass does not write is no accident of an earlier one.
std::unique_ptr<DeviceMemory> NetPasses::room(Bytes size) {
  const auto bytes = static_cast<std::size_t>(size.bytes());
  auto memory = backend_.device().allocate(bytes);
  backend_.device().fill(memory->data(), std::byte{}, bytes);
  return memory;
}

void NetPasses::fill(ValueId boundary, const std::function<void(void*)>& load) {
  // The last upload has left the host's side.
  backend_.device().wait();
  load(mirrors_.at(boundary).on_host());
  mirrors_.at(boundary).upload();
}

Lowering NetPasses::lower_whole(Pass pass) const {
  return lower(net_, SegmentId(0), end_segment(net_), pass, samples_, backend_.sizes());
}

std::byte* NetPasses::address(const Place& place, std::byte* scratch) {
  switch (place.space) {
    case Space::value:
      return values_.at(place.value)->data();
    case Space::saved:
      return saved_->data() + place.offset.bytes();
    case Space::scratch:
      return scratch + place.offset.bytes();
    case Space::gradient:
    case Space::kept:
    case Space::deferred:
      break;
  }
  REHEARSE_UNREACHABLE("a gradient at a cut, or a part of a split backward, in a whole network");
}

std::vector<BoundStep> NetPasses::prepare(Pass pass) {
  const Lowering lowering = lower_whole(pass);
  std::byte* scratch = scratch_.emplace_back(room(lowering.scratch))->data();
  std::vector<BoundStep> steps;
  for (const KernelStep& step : lowering.steps) {
    KernelArguments arguments =
        bind(step, [&](const Place& place) { return address(place, scratch); });
    if (works_on_a_layer(step.kind)) {
      for (const ParameterId id : net_.layers[step.layer.index()].parameters)
        arguments.parameters.push_back(weights_.at(id).on_device());
    }
    steps.push_back({step.kind, step.layer, backend_.prepare(request_for(net_, step, samples_)),
                     std::move(arguments)});
  }
  return steps;
}

}  // namespace rehearse::exec
