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
};

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
  void begin_step();
  void finish_step();
  std::span<std::byte> room_of_step() const;
  void add_up(const ElementRange& chunk);
  void finish();
  void copy(std::span<std::byte> into, std::span<const std::byte> from);
  std::span<std::byte> own_chunk() const;
  std::span<std::byte> bytes(const ElementRange& range) const;

  Transport& transport_;
  Backend& backend_;
  const Group& group_;
  const CollectiveKind kind_;
  const CollectiveAlgorithm algorithm_;
  const std::size_t member_;
  const std::int64_t elements_, divisor_, element_bytes_, tag_;
  const CollectiveMemory memory_;
  const std::vector<CollectiveStep> steps_;
  std::size_t step_ = 0;
  std::optional<Request> send_, receive_;
  bool begun_ = false, moved_ = false;
  Bytes sent_, received_;
};

}  // namespace rehearse::exec
