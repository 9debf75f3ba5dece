// The messages between this rank's device and one other's.
//
// NCCL matches nothing: the n-th send of a communicator meets its n-th receive, and a group that
// was launched waits on the device for its other half, with a part of the device in its hands. So
// both ranks must launch the same messages in the same groups, and what waits must not wait in a
// circle. Of two ranks the lower one leads:
//
//   1. Both note a message once what stands before it in its queue is done: its data are there, or
//      nobody reads its memory any more. From here on no message waits for a kernel that computes.
//   2. The follower announces what it has noted: tag, direction, length.
//   3. The leader matches that with its own, by tag and direction, in order. Of what is matched it
//      makes a group, as soon as the pair's last group is done and it has a slot left; it tells the
//      follower the group's messages, and launches its half at once. The follower expects to be
//      told since before it announced: the leader waits for nobody meanwhile.
//   4. The follower launches its half as soon as it has been told and has a slot left.
//
// Slots are as many as kernels of NCCL surely run at once on the device: whatever is launched runs.
//
// Why this cannot lock: whoever is in a slot for good waits in it for the other half of its group.
// The leader's half is launched when the follower has been told. So a follower's half waits for
// nothing, and a leader's for a slot of its follower, which has a higher rank. Of the ranks whose
// slots are taken for good take the highest: its slots hold no followers' halves for good, and no
// leaders' either, since those wait for slots of a rank that is higher still and gets some free.
// There is no such rank. One slot is enough for that. It holds, too, if calls of CUDA make the host
// wait for all that runs on the device: the lower ranks wait for the higher ones, never in a
// circle.
//
// Communicators are made at the first message of a pair, and in the background: the leader sends
// the id, both begin, nobody waits. They stay until all ends.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "exec/kernel_device.h"
#include "exec/nccl/control.h"
#include "exec/nccl/pair.h"

namespace rehearse::exec {

struct DeviceMessage {
  bool sends;
  std::int64_t tag;
  std::span<std::byte> memory;
  std::optional<Mark> before;  // what stands before it in its queue, until that is done
  bool done = false;
};

// Groups that a rank may still launch.
struct NcclSlots {
  std::size_t free;
};

class Conversation {
 public:
  virtual ~Conversation() = default;
  virtual void post(std::shared_ptr<DeviceMessage> message) = 0;
  virtual void advance() = 0;
  // Whether something is under way on the device.
  virtual bool waits_for_device() const = 0;
  // Where nothing is under way, and the peer closes as well: to be called until it returns true.
  virtual bool close() = 0;
};

// What both sides need.
struct ConversationPlace {
  Transport& carrier;
  KernelDevice& device;
  NcclCalls& nccl;
  NcclSlots& slots;
};
// Leads, follows, or copies from and to oneself, as the peer's rank says.
std::unique_ptr<Conversation> make_conversation(const ConversationPlace& place, RankId peer);

}  // namespace rehearse::exec
