// What every transport has in common: collective calls over its own messages, and idling.
//
// Waiting inside a library's collective call may spin (Open MPI's does), which starves the other
// ranks where there are more of them than cores. Over send, receive and test every wait is ours,
// and the transports differ in nothing else.
#pragma once

#include <span>

#include "exec/backoff.h"
#include "exec/transport.h"

namespace rehearse::exec {

// The largest number of tags below 0 that are used: by the collective calls, and the last by
// transports that are carried by another (exec/nccl).
inline constexpr std::int64_t kOwnTags = 4;
inline constexpr std::int64_t kControlTag = -kOwnTags;

// Which end of a message this rank is.
enum class Side { send, receive };

class MessageTransport : public Transport {
 public:
  void barrier() final;
  std::vector<std::string> gather(const std::string& text) final;
  std::string broadcast(const std::string& text, RankId root) final;
  void idle() override { backoff_.pause(); }
  void reset_idle() final { backoff_.reset(); }

 private:
  Backoff backoff_;
};

// Returns when all requests are done; idles meanwhile.
void wait_all(Transport& transport, std::span<const Request> requests);

// "rank 1: receive from rank 0, tag 7: expected 8 bytes, got 16": the one text for it.
std::string length_mismatch(RankId rank, RankId from, std::int64_t tag, std::int64_t expected,
                            std::int64_t got);

}  // namespace rehearse::exec
