// Messages from and to the memory of a device, carried by a transport that knows the host's only.
//
// A send is copied to staging memory in the queue that is selected when it is posted, behind what
// computes it, and goes out once the copy is there; what is received is copied to the device in the
// queue that is selected when it is found to have arrived. Host memory passes straight through.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "exec/carried_transport.h"
#include "exec/kernel_device.h"

namespace rehearse::exec {

class StagedTransport : public CarriedTransport {
 public:
  // Both must outlive it.
  StagedTransport(Transport& carrier, KernelDevice& device)
      : CarriedTransport(carrier), device_(device) {}

  Request send(RankId to, std::int64_t tag, std::span<const std::byte> bytes) override;
  Request receive(RankId from, std::int64_t tag, std::span<std::byte> bytes) override;
  bool test(Request request) override;

  // Of the host, taken so far.
  std::size_t staging_bytes() const { return staging_bytes_; }

 private:
  using Staging = std::unique_ptr<DeviceMemory>;
  struct Pending {
    RankId peer;
    std::int64_t tag;
    bool sends;
    std::span<std::byte> target = {};           // of a receive; of a send its copy
    Staging staging = {};                       // none: host memory, which the carrier has
    std::optional<Mark> copy = {};              // under way
    std::optional<exec::Request> carried = {};  // under way
  };

  Request enter(Pending pending);
  Staging take(std::size_t bytes);
  void give_back(Staging staging);
  void post_sends();
  bool is_copied(Pending& pending);
  bool advance(Pending& pending);

  KernelDevice& device_;
  std::map<std::uint64_t, Pending> pending_;
  std::deque<std::uint64_t> to_post_;         // sends that are not yet the carrier's, in order
  std::multimap<std::size_t, Staging> idle_;  // by size
  std::size_t staging_bytes_ = 0;
  std::uint64_t last_id_ = 0;
};

}  // namespace rehearse::exec
