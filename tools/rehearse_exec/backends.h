// Which kernels a rank runs, and where.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exec/backend.h"
#include "model/cluster/samples.h"
#include "tools/cli/cli.h"

namespace rehearse::cli {

// Far more than a machine has cores, far fewer than the threads that a process can have.
inline constexpr std::int64_t kMostThreads = 1024;

// What --device, --backend and --threads name.
struct BackendChoice {
  std::string name;  // of a backend of the CPU, or "cuda"
  int threads = 1;   // of every rank
  int gpus = 0;      // of this machine, which its ranks share out
  // What GPUs are asked for besides, each by an option that is "on" or "off".
  bool fuses = false, records = false;
};
// Errors: why there is no such thing here.
Result<BackendChoice> backend_of(const Arguments& arguments);

// For commands that train: what such options are, and what was chosen with what they say. Errors:
// they are not of this device.
std::vector<Option> gpu_options();
Result<BackendChoice> with_gpu_options(const Arguments& arguments, BackendChoice choice);
// "cuda, --fuse on": what there is to say beside the plan.
std::string describe(const BackendChoice& choice);

// A rank's own, if it has one. Throws std::runtime_error where the device fails.
std::optional<Gpu> gpu_of(const BackendChoice& choice, RankId rank);

// The types that it computes in on this machine.
const std::vector<DataType>& types_of(const BackendChoice& choice);

// A rank's own. Throws std::runtime_error where the device fails.
std::unique_ptr<exec::Backend> make_backend(const BackendChoice& choice, DataType type,
                                            Reduction reduction, RankId rank);

}  // namespace rehearse::cli
