// One pipeline stage on one rank: what its passes take, and what they leave in memory.
//
// Read off the rank's real program (stage_reading.h), so that kernels, exchanges between
// tensor-parallel ranks, recomputation and every buffer are those of the plan. Of a stage with many
// alike blocks in a row the programs with kFewRepeats and with one more of them are read: every
// figure is affine in the number of blocks, and between the second of them and the last but one in
// the place in the row, too, so that these two say all figures (tests hold that against programs of
// full length). Of an op over all of them that is so of its kernels and of the time in which the
// host queues them, of which the longer counts.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cost/closed_form/stage_reading.h"

namespace rehearse {

// The figures of stages that differ in the number of their repeats only.
class StageFigures {
 public:
  struct Completion {  // StageReading::Completion
    double ready = 0;
    std::int64_t live = 0;
  };
  struct Memory {  // bytes above those alive when the action begins: the most, and what stays
    std::int64_t peak = 0, delta = 0;
  };

  // Of one stage alone.
  explicit StageFigures(const StageReading& reading);
  // before: blocks before the repeats.
  StageFigures(const StageReading& few, const StageReading& one_more, std::size_t before);

  bool has(std::size_t action) const { return actions_[action].is_there; }
  PassTimes times(std::size_t action, std::size_t repeats) const;
  Memory memory(std::size_t action, std::size_t repeats) const;
  // block: of the stage; segment: of the block.
  Completion completion(std::size_t block, std::size_t segment, std::size_t repeats) const;

 private:
  struct Line {  // a figure: of one repeat more than few, and what each one more adds
    std::int64_t at = 0, slope = 0;
    std::int64_t after(std::int64_t more) const { return at + more * slope; }
  };
  // An op that has more to compute with every repeat.
  struct Growing {
    PassCost few, one_more;
  };
  struct Action {
    bool is_there = false;
    PassTimes few, one_more;
    Line delta;
    std::vector<Line> ops;
    std::vector<Growing> growing;
    // Seconds beyond those of `few` and `one_more` continued.
    double beyond(double more) const;
  };
  using Known = std::vector<std::vector<Completion>>;  // by block of the stage and segment of it
  static Known by_place(const StageReading& reading);
  std::int64_t more(std::size_t repeats) const;

  std::array<Action, kStageActions> actions_;
  Known few_, one_more_;
  std::size_t before_ = 0;
  bool is_alone_ = false;
};

struct StagePasses {
  std::array<PassTimes, kStageActions> times{};  // of passes
  std::array<StageFigures::Memory, kStageActions> memory{};
  const StageFigures* figures = nullptr;
  std::size_t repeats = 0;

  const PassTimes& time(StageAction action) const {
    return times[static_cast<std::size_t>(action)];
  }
};
StagePasses stage_passes(const StageFigures& figures, std::size_t repeats);

}  // namespace rehearse
