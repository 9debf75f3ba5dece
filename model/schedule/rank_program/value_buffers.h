// A rank's copies of boundary values and of their gradients, by micro-batch.
#pragma once

#include <map>

#include "model/schedule/rank_program/parts.h"
#include "model/schedule/rank_program/rank_inputs.h"

namespace rehearse {

class ValueBuffers {
 public:
  ValueBuffers(const RankInputs& inputs, const Parts& parts, RankDraft& draft)
      : inputs_(inputs), parts_(parts), draft_(draft) {}

  Bytes size_of(ValueId value) const;
  // Which copy this is, of those that a stage works on: several stages of a rank have one between
  // them.
  using Copy = ProgramBuilder::Boundary;
  Copy copy_on(StageId stage, ValueId value, MicroBatchId micro_batch) const;

  BufferId value(ValueId value, MicroBatchId micro_batch, StageId stage);
  BufferId gradient(ValueId value, MicroBatchId micro_batch, StageId stage);
  BufferId gradient_for(const Step& step, ValueId value) {
    return gradient(value, step.micro_batch, parts_.stage_of(step));
  }
  // Which copy of a value a step works on. What a block made in the forward pass is not kept if it
  // is recomputed, or if its rows were gathered: then there is a second copy in backward.
  BufferId value_for(const Step& step, ValueId value);

 private:
  StageId home(ValueId value, StageId stage) const;
  bool is_here(StageId stage) const;
  bool is_made_again_for(const Step& step, ValueId value) const;

  const RankInputs& inputs_;
  const Parts& parts_;
  RankDraft& draft_;
  std::map<Copy, BufferId> again_;  // second copies, for backward
};

}  // namespace rehearse
