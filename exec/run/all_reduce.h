// One all-reduce under way: the steps of model/collective as messages, without ever blocking.
#pragma once

#include <optional>
#include <vector>

#include "exec/backend.h"
#include "exec/transport.h"
#include "model/collective/steps.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

class AllReduce {
 public:
  // values: the range to reduce; room: for the longest received chunk.
  AllReduce(Transport& transport, Backend& backend, const Group& group,
            const Collective& collective, std::int64_t element_bytes, std::span<std::byte> values,
            std::span<std::byte> room);

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
  std::span<std::byte> bytes(const ElementRange& range) const;

  Transport& transport_;
  Backend& backend_;
  const Group& group_;
  std::int64_t divisor_, element_bytes_;
  std::span<std::byte> values_, room_;
  std::vector<CollectiveStep> steps_;
  std::size_t step_ = 0;
  std::optional<Request> send_, receive_;
  bool begun_ = false, moved_ = false;
  Bytes sent_, received_;
};

}  // namespace rehearse::exec
