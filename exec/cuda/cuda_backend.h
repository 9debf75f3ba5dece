// The backend of NVIDIA GPUs.
#pragma once

#include <memory>
#include <vector>

#include "exec/backend.h"
#include "model/base/diagnostic.h"
#include "model/cluster/samples.h"

namespace rehearse::exec {

// GPUs of this machine that can be used. Errors: why there are none, in the driver's words.
Result<int> count_gpus();

// What it is, in the driver's words. Throws std::runtime_error where they cannot be had.
Gpu describe_gpu(int gpu);

const std::vector<DataType>& cuda_types();  // bf16, fp32, tf32
struct CudaOptions {
  bool fuses = false;  // linear layers and the GELUs beside them in one kernel, where there is one
};
// On one of the GPUs. Throws std::runtime_error where it fails.
std::unique_ptr<Backend> make_cuda_backend(DataType type, int gpu, const CudaOptions& options = {});

}  // namespace rehearse::exec
