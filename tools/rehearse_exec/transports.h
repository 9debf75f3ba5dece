// What carries messages between the ranks' devices.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "exec/kernel_device.h"
#include "exec/transport.h"
#include "tools/rehearse_exec/backends.h"

namespace rehearse::cli {

// As the carrier takes them, which is MPI or threads: memory of the host, and by CUDA-aware MPI
// that of GPUs; or that of GPUs through the host, or by NCCL.
enum class TransportKind { host, cuda_aware, nccl, staged };

Option transport_option();
// What --transport names. Errors: what does not go with the device, or is not in this build.
Result<TransportKind> transport_of(const Arguments& arguments, const BackendChoice& backend);

// Whether it can be had on the machines of all ranks: everybody calls this and gets the same
// answer. Errors: of the first rank that has one.
Status check_transport(TransportKind kind, const Arguments& arguments, const BackendChoice& backend,
                       exec::Transport& carrier);

// "MPI", "threads, staged through the host", "NCCL 2.28.9, agreed on over MPI".
std::string describe_transport(TransportKind kind, const Arguments& arguments);

// One of these around a carrier; both must outlive it.
class DeviceTransport {
 public:
  // Throws std::runtime_error where a library fails.
  DeviceTransport(TransportKind kind, exec::Transport& carrier, exec::KernelDevice& device);
  ~DeviceTransport();
  exec::Transport& get() const { return own_ ? *own_ : carrier_; }

 private:
  struct Library;
  exec::Transport& carrier_;
  std::unique_ptr<Library> library_;  // that the transport calls
  std::unique_ptr<exec::Transport> own_;
};

}  // namespace rehearse::cli
