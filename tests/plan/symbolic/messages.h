// Messages between stages, from whichever end comes first until they are received.
#pragma once

#include <map>
#include <optional>
#include <tuple>

#include "tests/plan/symbolic/running_op.h"
#include "tests/plan/symbolic/value_shares.h"

namespace rehearse::testing::symbolic {

class Messages {
 public:
  // eager: a send does not wait for its receive.
  Messages(bool eager, ValueShares& shares) : eager_(eager), shares_(shares) {}

  // Sends and receives; what is sent is read when the send begins.
  void begin(RunningOp& running, int period);
  bool can_end(const RunningOp& running, int period) const;
  void end(RunningOp& running, int period);

 private:
  using Key = std::tuple<RankId, RankId, std::int64_t, int>;  // from, to, tag, period
  struct Message {
    std::optional<Word> content;
    bool taken = false;  // the receive has begun
    Bytes bytes;
    std::pair<BufferKind, std::optional<ValueId>> what;
  };

  static Key key(const RunningOp& running, int period);

  const bool eager_;
  ValueShares& shares_;
  std::map<Key, Message> messages_;
};

}  // namespace rehearse::testing::symbolic
