// One collective under way: the steps of model/collective as messages, without ever blocking.
#pragma once

#include <optional>
#include <vector>

#include "exec/backend.h"
#include "exec/transport.h"
#include "model/collective/steps.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

// Where a collective works on one rank.
struct CollectiveMemory {
  std::span<std::byte> values;  // the range it is about, whole
  std::span<std::byte> room;    // for what is received to be added (room_for())
  // This member's chunk elsewhere: where a reduce-scatter's result goes, or an all-gather's share
  // comes from. Empty: it lies in `values`.
  std::span<std::byte> shard;
  bool adds_to_shard = false;
  bool of_statistics = false;  // in the type of these, not in that of weights and activations
};

// Its channels' messages have tags of their own: `tag` and as many after it as kMostChannels says.
class CollectiveRun {
 public:
  CollectiveRun(Transport& transport, Backend& backend, const Group& group,
                const CollectiveShape& shape, const Collective& collective, std::int64_t tag,
                const CollectiveMemory& memory);

  // Does what can be done now; whether it is finished.
  bool advance();
  // Whether anything moved in the last call of advance().
  bool moved() const { return moved_; }
  // Payload of the messages so far.
  Bytes sent() const { return sent_; }
  Bytes received() const { return received_; }

 private:
  // What one channel has under way.
  struct Channel {
    std::vector<CollectiveStep> steps;
    std::span<std::byte> room;  // its part
    std::int64_t tag = 0;
    std::size_t step = 0;
    std::optional<Request> send = std::nullopt, receive = std::nullopt;
    bool begun = false;
    bool is_done() const { return step == steps.size(); }
  };

  void advance(Channel& channel);
  void begin_step(Channel& channel);
  void finish_step(Channel& channel);
  std::span<std::byte> room_of_step(const Channel& channel) const;
  void add_up(const Channel& channel, const ElementRange& chunk);
  void finish();
  void add(std::byte* into, const std::byte* from, std::int64_t elements);
  void copy(std::span<std::byte> into, std::span<const std::byte> from);
  std::span<std::byte> own_chunk() const;
  std::span<std::byte> bytes(const ElementRange& range) const;

  Transport& transport_;
  Backend& backend_;
  const Group& group_;
  const CollectiveKind kind_;
  const CollectiveAlgorithm algorithm_;
  const std::size_t member_;
  const std::int64_t elements_, divisor_, element_bytes_;
  const CollectiveMemory memory_;
  std::vector<Channel> channels_;
  bool moved_ = false, finished_ = false;
  Bytes sent_, received_;
};

}  // namespace rehearse::exec
