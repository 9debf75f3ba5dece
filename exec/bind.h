// From a step of a lowering to a backend's request and arguments.
#pragma once

#include <functional>

#include "exec/backend.h"

namespace rehearse::exec {

// What to prepare for a step of this network's lowering.
KernelRequest request_for(const Net& net, const KernelStep& step, std::int64_t samples);

// Whether it is a layer's, with its parameters; otherwise it adds up or copies gradients.
bool works_on_a_layer(KernelKind kind);
bool writes_parameter_gradients(KernelKind kind);

// Whether what it does depends on the arguments' draws.
bool draws_at_random(const LayerSpec& layer);

// Whether the second step works on the one tensor that the first writes, a gradient that nobody
// else reads or an output: the two can be a KernelPair.
bool feeds(const KernelStep& first, const KernelStep& second);

// The step's operands, given where each place is, and its layer. Parameters and their gradients,
// the flag that says whether these are added to, the loss scale and what else random numbers depend
// on are the caller's to set.
using Address = std::function<std::byte*(const Place&)>;
KernelArguments bind(const KernelStep& step, const Address& address);

}  // namespace rehearse::exec
