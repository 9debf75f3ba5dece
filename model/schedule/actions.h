// A rank's part of a pipeline in full: passes, messages between stages, and what sharding adds.
//
// Schedules (pipeline.h) say in which order a rank computes; add_messages() adds the sends and
// receives. Actions are what PyTorch's pipeline schedules are made of
// (torch.distributed.pipelining, _Action), so that both forms of its CSV files read and write as
// lists of them (schedule_csv.h).
#pragma once

#include <optional>
#include <vector>

#include "model/schedule/pipeline.h"

namespace rehearse {

enum class ActionKind {
  forward,
  backward,
  backward_input,
  backward_weight,
  send_forward,      // the stage's output to the next stage
  receive_forward,   // the stage's input from the one before
  send_backward,     // the gradient of the stage's input to the stage before
  receive_backward,  // the gradient of the stage's output from the next one
  unshard,           // gather the stage's sharded parameters
  reshard,           // free them
  reduce_gradients,  // of the stage, over its holders
};

struct Action {
  ActionKind kind = ActionKind::forward;
  StageId stage;
  std::optional<MicroBatchId> micro_batch;  // none: unshard, reshard, reduce_gradients
  friend bool operator==(const Action&, const Action&) = default;
};

// The pass itself.
ActionKind pass_action(Task task);

// The passes alone.
std::vector<std::vector<Slot>> slots_of(const std::vector<std::vector<Action>>& ranks);

// Sends follow the pass that makes what they send. Receives are issued one pass ahead: while one
// computes, the next one's input may arrive. Between stages on one rank there is no message.
std::vector<std::vector<Action>> add_messages(const PipelineShape& shape,
                                              const std::vector<std::vector<Slot>>& ranks);

}  // namespace rehearse
