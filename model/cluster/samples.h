// What was measured on a machine: `rehearse-exec measure` writes it, `rehearse calibrate` fits a
// device profile to it.
//
// The file is JSON with a version, base units and the unit in every key. Each duration is the
// median of the runs of the quietest stretch of the measurement, so that bursts of other programs
// count little.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/base/data_type.h"
#include "model/base/diagnostic.h"
#include "model/base/units.h"
#include "model/net/layer.h"

namespace rehearse {

struct Host {
  std::string processor;
  std::int64_t cores = 1;
  Bytes memory;
  std::int64_t ranks = 1;
  std::string backend;
};

// Whose kernels were measured, where that is not the host itself.
struct Gpu {
  std::string name;    // "NVIDIA H200"
  std::string driver;  // "580.65.06"
  Bytes memory;
};

// One kernel of a training step, run by one rank while the others rest.
struct KernelSample {
  KernelClass kernel = KernelClass::elementwise;
  std::string what;  // "conv2d 28x28x16 -> 28x28x16 n64 forward"
  Flops flops;       // as model/net/lowering.h counts them
  Bytes traffic;
  Seconds best;            // of all runs
  Seconds seconds;         // typical
  std::int64_t runs = 1;   // that were timed
  std::int64_t calls = 1;  // of one training step
  // That it is a kernel of, by its place in Samples::steps; none: of no step that was measured.
  std::optional<std::size_t> step = std::nullopt;
};

// All kernels of a network's training step, one after another, again and again.
struct StepSample {
  std::string network;
  std::int64_t samples = 1;  // of the micro-batch
  // In the order they were measured: all, or some that are spread evenly over the measurement.
  std::vector<Seconds> repeats;
};

// From where to where, seen from the device: the host's own copies are within.
enum class CopyWay { within, to_device, to_host };
std::string_view to_string(CopyWay way);  // "within", "to-device", "to-host"

// Bytes copied from one place to another by each of so many ranks at once.
struct CopySample {
  Bytes bytes;
  Seconds seconds;
  std::int64_t ranks = 1;
  CopyWay way = CopyWay::within;
};

// A kernel that does next to nothing, one of many in a queue: the host's time to queue it, and the
// device's from one to the next.
struct LaunchSample {
  Seconds host, device;
};

// A message there and one of equal size back.
struct MessageSample {
  Bytes bytes;
  Seconds round_trip;
  Seconds send, receive;   // time one message takes of the sender's and of the receiver's thread
  std::int64_t pairs = 1;  // of ranks that exchange messages at once
  std::vector<Seconds> repeats = {};  // of round trips, as those of a step; none before version 3
};

// A ring all-reduce among all ranks, from when the last one starts.
struct CollectiveSample {
  std::int64_t ranks = 2;
  Bytes bytes;
  std::int64_t element_bytes = 4;
  Seconds seconds;
  std::vector<Seconds> repeats;  // as those of a step
};

// Adding a chunk to one's own.
struct ReduceSample {
  Bytes bytes;
  Seconds seconds;
};

// Work that so many ranks running one kernel at once do together, in units of what one does alone.
struct CapacitySample {
  KernelClass kernel = KernelClass::convolution;
  std::int64_t busy = 1;
  double work = 1;
};

struct Samples {
  // Version 1 knew neither dates nor GPUs, version 2 neither steps nor collectives.
  static constexpr int kVersion = 3;
  std::string date;  // "2026-11-30", UTC; empty: not known
  Host host;
  std::optional<Gpu> gpu;
  DataType dtype = DataType::fp32;
  Bytes workspace;  // of the backend's libraries, per rank
  std::vector<KernelSample> kernels;
  std::vector<CopySample> copies;
  std::vector<StepSample> steps;
  std::vector<MessageSample> messages;
  std::vector<CollectiveSample> collectives;
  std::vector<ReduceSample> reductions;
  std::vector<CapacitySample> capacity;
  std::optional<LaunchSample> launch;  // of a GPU
};

// parse_samples(print(s), name) is s again.
std::string print(const Samples& samples);

// name: the file's. Errors give the file and the JSON pointer of the value:
//   samples.json: error: /kernels/3/median_s: expected a positive number, got -1
Result<Samples> parse_samples(const std::string& text, const std::string& name);

}  // namespace rehearse
