// Messages from and to the memory of a device, carried by a transport that takes it as it is, as
// CUDA-aware MPI does.
//
// The carrier knows no queues: a message is its own as soon as what stands before it in the queue
// that is selected when it is posted is done. Until then it holds up those after it on its route.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "exec/carried_transport.h"
#include "exec/kernel_device.h"

namespace rehearse::exec {

class DirectTransport : public CarriedTransport {
 public:
  // Both must outlive it.
  DirectTransport(Transport& carrier, KernelDevice& device)
      : CarriedTransport(carrier), device_(device) {}

  Request send(RankId to, std::int64_t tag, std::span<const std::byte> bytes) override;
  Request receive(RankId from, std::int64_t tag, std::span<std::byte> bytes) override;
  bool test(Request request) override;

  void idle() override;

 private:
  struct Route {
    RankId peer;
    std::int64_t tag;
    bool sends;
    friend auto operator<=>(const Route&, const Route&) = default;
  };
  struct Pending {
    Route route;
    std::span<const std::byte> from;
    std::span<std::byte> into;
    std::optional<Mark> before;            // none: of the host
    std::optional<exec::Request> carried;  // once it is the carrier's
  };

  Request enter(Pending pending, const std::byte* memory);
  void post_free();
  bool is_free(Pending& pending);

  KernelDevice& device_;
  std::map<std::uint64_t, Pending> pending_;
  std::deque<std::uint64_t> to_post_;  // not yet the carrier's, in order
  std::uint64_t last_id_ = 0;
};

}  // namespace rehearse::exec
