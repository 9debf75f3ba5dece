// The parts of a measurement. Where a function takes the transport, everybody calls it and rank 0
// gets the samples; the others are rank 0's alone.
#pragma once

#include <vector>

#include "exec/measure/device_clock.h"
#include "exec/measure/measure.h"

namespace rehearse::exec {

Host describe_host(const Transport& transport, const Backend& backend);

// The kernels of one training step of the network, and what the step's runs took in all: several
// runs, but none begins past the deadline; where there is time for no second one the first counts.
struct NetworkSamples {
  std::vector<KernelSample> kernels;
  StepSample step;
};
NetworkSamples measure_network(const MeasuredNet& measured, Backend& backend, DeviceClock& clock,
                               Seconds budget, const Deadline& deadline);
// Optimizer steps and copies (as a batch is loaded) of so many elements.
std::vector<KernelSample> measure_streams(Backend& backend, DeviceClock& clock,
                                          const std::vector<std::int64_t>& elements,
                                          Seconds budget);
std::vector<std::int64_t> default_streams(const KernelDevice& device);
std::vector<ReduceSample> measure_reductions(Backend& backend, Seconds budget);
// Within the device's memory, to it and from it, of so many elements each.
std::vector<CopySample> measure_device_copies(Backend& backend, DeviceClock& clock,
                                              const std::vector<std::int64_t>& elements,
                                              Seconds budget);

// Ranks 0 and 1 play ping-pong; then all pairs (0, 1), (2, 3), ... at once. Nothing on one rank.
std::vector<MessageSample> measure_messages(Transport& transport);
// Ring all-reduces among all ranks, adding as the backend does. Nothing on one rank.
std::vector<CollectiveSample> measure_collectives(Transport& transport, Backend& backend);
// All ranks copy at once, and one alone.
std::vector<CopySample> measure_copies(Transport& transport, Seconds budget);
// The network's kernel with the most FLOPs and the one with the most memory traffic among the other
// classes, on 1, 2, ... all ranks at once. Past the deadline, which rank 0 tells, each runs once.
std::vector<CapacitySample> measure_capacity(const MeasuredNet& measured, Transport& transport,
                                             Backend& backend, Seconds budget,
                                             const Deadline& deadline);

}  // namespace rehearse::exec
