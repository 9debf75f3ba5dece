// Where a rank's parameters are sharded (ZeRO-3, FSDP): when it gathers which of them.
//
// Passes over one run of steps use a bucket's parameters, which are gathered once for it; forward
// and backward gather for themselves, since parameters are freed after the forward. Blocks are
// asked for RankFrame::prefetch visits ahead. They count whether or not anything of them is here:
// workers that hold other units ask at the same points, so that their gathers and reductions are in
// one order.
#pragma once

#include <optional>
#include <vector>

#include "model/schedule/rank_program/parts.h"
#include "model/schedule/rank_program/rank_inputs.h"

namespace rehearse {

class ParameterGathers {
 public:
  ParameterGathers(const RankInputs& inputs, Parts& parts, RankDraft& draft);

  // What is asked for before the first step.
  void begin();
  // Asks for what this step needs, and for what the visits to the next blocks do.
  void before(std::size_t step);
  // A bucket's parameters, as the step that is next uses them; none: they are not sharded.
  std::optional<BufferId> in_use(std::size_t bucket) const { return in_use_[bucket]; }

 private:
  struct Run {
    std::size_t bucket, first, last;  // steps
  };
  static std::vector<Run> runs_of(const RankInputs& inputs, Parts& parts);
  void ask_until(std::size_t visit);

  const RankInputs& inputs_;
  const Parts& parts_;
  RankDraft& draft_;
  const std::vector<Run> runs_;
  std::vector<BufferId> asked_;                  // of the runs asked for so far
  std::size_t used_ = 0;                         // runs
  std::vector<std::optional<BufferId>> in_use_;  // by bucket
};

}  // namespace rehearse
