// Messages between GPUs by NCCL; those between memories of hosts, and the collective calls, are the
// carrier's, over which the ranks agree about the others (conversation.h).
//
// Both ends of a message must be memory of the same kind, of the host or of the device.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <variant>

#include "exec/carried_transport.h"
#include "exec/nccl/conversation.h"
#include "model/base/diagnostic.h"

namespace rehearse::exec {

// Whether NCCL can serve so many ranks of one machine: two ranks on one GPU it refuses, or hangs.
Status check_gpus_for_nccl(std::int64_t ranks, std::int64_t gpus);

class NcclTransport : public CarriedTransport {
 public:
  // All must outlive it.
  NcclTransport(Transport& carrier, KernelDevice& device, NcclCalls& nccl);
  // Ends the communicators together with the others' ranks; alone where an exception leaves it.
  ~NcclTransport() override;

  Request send(RankId to, std::int64_t tag, std::span<const std::byte> bytes) override;
  Request receive(RankId from, std::int64_t tag, std::span<std::byte> bytes) override;
  bool test(Request request) override;

  void idle() override;

 private:
  using Carried = exec::Request;
  using Pending = std::variant<Carried, std::shared_ptr<DeviceMessage>>;

  Request post(RankId peer, bool sends, std::int64_t tag, std::span<std::byte> memory);
  Request enter(Pending pending);
  void advance();
  void close();

  KernelDevice& device_;
  NcclCalls& nccl_;
  NcclSlots slots_;
  std::map<RankId, std::unique_ptr<Conversation>> conversations_;
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t last_id_ = 0;
  int exceptions_at_start_;
};

}  // namespace rehearse::exec
