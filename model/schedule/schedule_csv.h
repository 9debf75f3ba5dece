// Pipeline schedules as the CSV files of PyTorch's torch.distributed.pipelining, read and written.
//
// One row per rank, one cell per action, [stage][type][micro-batch]:
//
//   0F0,0F1,1F0,1F1,1I0,1W0,1B1,0B0,0B1        compute only; blank cells are idle steps
//   0UNSHARD,0F0,0SEND_F0,0RECV_B0,0B0,0REDUCE_GRAD,0RESHARD     with messages; no blanks
//
//   F forward   B backward   I its input gradients   W its weight gradients
//   SEND_F, RECV_F, SEND_B, RECV_B   messages, named by the stage that sends or receives
//   UNSHARD, RESHARD, REDUCE_GRAD    of a stage, without a micro-batch
//
// PyTorch (schedules.py, _Action and _load_csv) strips blanks around a cell, lets an idle step
// stand only in the compute-only form, ignores whatever follows a well-formed beginning of a cell
// and reads an empty line as a rank that does nothing. We refuse the last two, but for empty lines
// at the end. We also refuse OVERLAP_F_B cells, such as (0F3;3B1)OVERLAP_F_B: PyTorch runs the two
// one after the other unless the user registers a function of his own that mixes them, which
// nothing in the file says and no pass of ours is.
//
// print(parse(print(t))) == print(t). What was blank is gone: the order of a rank's actions is what
// counts.
#pragma once

#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/schedule/actions.h"

namespace rehearse {

struct ScheduleTable {
  std::vector<std::vector<Action>> ranks;
  bool has_messages = false;  // whether anything but passes is in it
  // Where each action stands in the text it was read from; empty if it was not read.
  std::vector<std::vector<SourceSpan>> places = {};
};

// name: the file's, for messages. The result has the right form; whether it makes sense is what
// shape_of() says.
Result<ScheduleTable> parse_schedule_csv(const std::string& text, const std::string& name);

// As PyTorch reads it: format="compute_comms" if the table has messages, else "compute_only".
std::string print_schedule_csv(const ScheduleTable& table);
// "2F0", "1UNSHARD".
std::string to_string(const Action& action);

// The passes alone: of this, PyTorch makes messages by itself.
ScheduleTable without_messages(const ScheduleTable& table);
bool is_pass(ActionKind kind);

// The pipeline that a table is a schedule of, or everything that is wrong with it: a stage that is
// missing or on two ranks, a placement that is neither loop nor vee, a pass that is missing, twice,
// or before what it needs; with messages, one without its other end, twice, in another order than
// the other end's or on the wrong side of its pass, and passes on parameters that are not there.
//
// Last, a dry run finds orders that would wait for ever. As in our plans, messages of each stage
// and kind are a stream of their own (a rank that waits for one message does not hold up the
// others): schedules which only deadlock where one stream carries every message of a rank are right
// here. O(n log n) for n actions.
Result<PipelineShape> shape_of(const ScheduleTable& table);

}  // namespace rehearse
