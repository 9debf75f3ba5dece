// The program of one pipeline stage played on an idle machine and weighed, op by op.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "cost/closed_form/mesh_costs.h"
#include "cost/closed_form/stage_program.h"
#include "model/cluster/device.h"

namespace rehearse {

// A moment that follows from when a pass may begin: the last of several that lie behind when the
// rank has computed everything before, has exchanged everything before with its tensor-parallel
// ranks, and has received the pass's input.
struct Moment {
  static constexpr double kNever = -std::numeric_limits<double>::infinity();
  double computed = kNever, exchanged = kNever, received = kNever;

  double after(double all_computed, double all_exchanged, double input) const {
    return std::max({all_computed + computed, all_exchanged + exchanged, input + received});
  }
  Moment plus(double seconds) const {
    return {computed + seconds, exchanged + seconds, received + seconds};
  }
  friend Moment last_of(const Moment& a, const Moment& b) {
    return {std::max(a.computed, b.computed), std::max(a.exchanged, b.exchanged),
            std::max(a.received, b.received)};
  }
};

// A pass of one micro-batch: when it has computed, when its exchanges have ended, and when what is
// sent is there; in seconds, its length if everything before it is done, and what of that it
// computes.
struct PassTimes {
  Moment computed, exchanged, output;
  double length = 0, busy = 0;
};

struct StageReading {
  // An op: the block of the stage that its action has come to, its number among that block's ops of
  // the action, and the bytes alive while it runs, above those when the action begins.
  struct OpPeak {
    std::size_t block = 0, order = 0;
    std::int64_t live = 0;
  };
  struct ActionReading {
    bool is_there = false;
    PassTimes times;
    std::int64_t delta = 0;  // bytes that stay alive, above those when it begins
    std::vector<OpPeak> ops;
    std::vector<PassCost> passes;  // of its ops that are priced by their parts
  };
  ActionReading actions[kStageActions];
  // Where gradients are complete that are reduced then, in the last pass of the last micro-batch:
  // of the parameters first used in a segment (from a segment of `complete` to the next). When,
  // from the beginning of the pass's span; and the bytes alive, above those when the pass begins.
  struct Completion {
    std::size_t block = 0, segment = 0;  // of the stage; of the block
    double ready = 0;
    std::int64_t live = 0;
  };
  std::vector<Completion> completions;
};

// program: with the sizes of its micro-batches. parts: by number, what its passes take. tensor: the
// group of tensor-parallel ranks.
StageReading read_stage(const StageProgram& program, const std::vector<PartPass>& parts,
                        const RingGroup& tensor, const Device& device);

}  // namespace rehearse
