// When stages exchange what they make, where computing waits for it (StageExchange).
//
// Between two of its passes a rank sends what the first has made and receives what it is to have
// before the second: all at once, as Megatron-LM's send_forward_recv_backward() does, or one after
// the other, as DeepSpeed's SendGrad and RecvActivation; the second begins when all of that is
// over. Two neighbours then must not wait for each other in different gaps. So passes are counted
// as if each took as long as any other: pass i of rank r runs in step t(r, i), as soon as what it
// needs has been made. A message that pass i of rank a makes for pass j of rank b is exchanged
// after step
//
//   min(t(a, i + 1), t(b, j)) - 1,
//
// the last at which neither end has begun what waits for it: in the gap of a behind pass i, and in
// the gap of b that this step lies in. Of all messages that are not over the one of the earliest
// step waits for nothing but passes of earlier or the same steps, which wait for messages of
// earlier steps: nobody waits for ever, whatever the schedule. 1F1B's messages stand where
// Megatron-LM's do. Messages of one step that wait for one another have one order on all ranks.
//
// Where ranks have several stages in a loop, a forward pass and the backward pass right behind it
// are a step together, if that is possible, and exchange when both are over, as in Megatron-LM's
// interleaved schedule (send_forward_backward_recv_forward_backward()): around a loop of ranks the
// one cannot lie beside its neighbour's other.
#pragma once

#include <vector>

#include "model/schedule/actions.h"

namespace rehearse {

struct StageMessage {
  Slot made_by;
  std::size_t step = 0;  // after which it is exchanged
};
struct Rendezvous {
  std::vector<std::vector<std::size_t>> steps;  // by rank and pass
  std::size_t count = 0;                        // of steps
  bool in_pairs = false;                        // whether some steps are two passes
  // Ascending by step; of one step gradients first, then by the stage that made them.
  std::vector<StageMessage> messages;
};

// ranks: by rank its passes in order, each after all that it needs in some order of the ranks.
// O(n log n) for n passes
Rendezvous rendezvous_of(const PipelineShape& shape, const std::vector<std::vector<Slot>>& ranks);

// The stage that a pass makes something for, where it is on another rank: the next one, or, of
// gradients, the one before.
std::optional<StageId> receiver_of(const PipelineShape& shape, const Slot& pass);

// The passes with their messages where these are exchanged.
std::vector<std::vector<Action>> add_awaited_messages(const PipelineShape& shape,
                                                      const std::vector<std::vector<Slot>>& ranks);

}  // namespace rehearse
