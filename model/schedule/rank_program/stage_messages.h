// What a rank sends to the stages beside its own and receives from them: every value that crosses
// the cut between two stages, and on the way back the gradients of those that have one.
#pragma once

#include <optional>
#include <vector>

#include "model/schedule/rank_program/value_buffers.h"

namespace rehearse {

class StageMessages {
 public:
  StageMessages(const RankInputs& inputs, ValueBuffers& values, RankDraft& draft);

  // action: of a message. One op per value.
  void add(const Action& action);
  // What a pass uses of which only a share has been received.
  struct Share {
    BufferId buffer;
    ValueId value;
  };
  std::vector<Share> shares_for(const Action& pass);

 private:
  Bytes sent_of(ValueId value) const;
  std::int64_t tag(const Action& action, std::size_t cut, std::size_t k) const;

  const RankInputs& inputs_;
  ValueBuffers& values_;
  RankDraft& draft_;
  std::optional<OpId> last_;                    // message
  std::vector<std::vector<ValueId>> crossing_;  // by stage: the values that cross the cut after it
};

}  // namespace rehearse
