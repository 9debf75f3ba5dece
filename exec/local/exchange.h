// Where the ranks of one process meet: sends wait for receives and receives for sends.
//
// A message goes through three states: posted by one side, matched when the other side has posted
// as well, carried when the sender has handed its bytes over. Each rank touches only its own memory
// and only inside its own calls, as with MPI: the sender copies its bytes out once they are
// matched, the receiver copies them in. A copy straight from one rank's memory to the other's would
// save one, but when a rank ends with an exception, its buffers are gone before the others can
// know.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "exec/message_transport.h"

namespace rehearse::exec {

// Who sends to whom under which tag: messages of one route match in the order they were posted.
struct Route {
  RankId from, to;
  std::int64_t tag = 0;
};

enum class MessageState { posted, matched, carried };

struct Message {
  std::atomic<MessageState> state{MessageState::posted};
  std::size_t length = 0;  // of whoever posted first; fixed from then on
  std::vector<std::byte>
      bytes;  // written by the sender before `carried`, read by the receiver after
};

// What posting one side of a message gave: both lengths, if the other side was there already.
struct Posted {
  std::shared_ptr<Message> message;
  bool lengths_differ = false;
};

class Exchange {
 public:
  explicit Exchange(std::size_t ranks) : mailboxes_(ranks) {}
  std::size_t size() const { return mailboxes_.size(); }
  // Where lengths differ the message stays posted: message->length is the other side's.
  Posted post(Side side, const Route& route, std::size_t length);

 private:
  // Waiting sides of one route: all sends or all receives.
  struct Queue {
    Side side = Side::send;
    std::deque<std::shared_ptr<Message>> waiting;
  };
  struct Mailbox {
    std::mutex mutex;
    std::map<std::pair<RankId, std::int64_t>, Queue> queues;  // by (sender, tag)
  };
  std::vector<Mailbox> mailboxes_;  // one per receiver
};

}  // namespace rehearse::exec
