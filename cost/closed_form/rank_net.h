// A network as a rank runs it, and the programs of its stages.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "cost/closed_form/stage_passes.h"
#include "cost/closed_form/stage_program.h"
#include "model/schedule/stages.h"
#include "model/schedule/strategy.h"

namespace rehearse {

class RankNet {
 public:
  // overlaps: TensorSpec::overlap.
  RankNet(Net net, std::int64_t tensor, bool overlaps, const Training& training);
  RankNet(const RankNet&) = delete;

  const Net& net() const { return net_; }
  const BlockRun& run() const { return run_; }
  Flops flops() const { return flops_; }  // of a sample
  std::int64_t elements() const { return elements_; }

  // Stages of one kind differ in the number of their repeats only.
  struct Stage {
    std::size_t kind = 0, repeats = 0;
  };
  // Of blocks [begin, end). complete: ascending, segments in which parameters are first used and
  // whose gradients, with those up to the next of these segments, are reduced when they are
  // complete. Where that is so, an op ends.
  Stage stage(std::size_t begin, std::size_t end, const std::vector<SegmentId>& complete,
              Recomputation recomputation, bool splits_backward);
  // Segments of [begin, end) where parameters are first used and an op ends anyway, so that it
  // makes no difference whether anything is complete there.
  std::vector<SegmentId> free_completions(std::size_t begin, std::size_t end,
                                          Recomputation recomputation) const;

  // Values that the blocks from this one on have from those before.
  const std::vector<ValueId>& crossing(BlockId block);
  // Of micro-batches of so many samples. parts: as price_parts() makes them, of all there are.
  StageFigures figures(std::size_t kind, std::int64_t samples, const std::vector<PartPass>& parts,
                       const RingGroup& tensor, const Device& device);
  const PartNumbers& parts() const { return parts_; }

 private:
  struct Kind {
    std::vector<StageProgram> programs;  // with few repeats and with one more; or one alone
    std::size_t before = 0;              // blocks before the repeats
  };
  struct Place {                          // of a stage
    std::size_t begin, end, first, last;  // blocks; its repeats are [first, last)
  };
  bool is_regular(const Place& place, const std::vector<SegmentId>& complete) const;
  StageProgram few(const Place& place, std::size_t repeats, const std::vector<SegmentId>& complete,
                   const ProgramSettings& settings);

  const Training& training_;
  const std::int64_t tensor_;
  const bool overlaps_;
  const Net net_;
  const BlockRun run_;
  // With kFewRepeats and one more, for stages that have all of them; and with enough of them for a
  // stage in their midst.
  const Net few_, one_more_, midst_;
  Flops flops_;
  std::int64_t elements_ = 0;
  PartNumbers parts_;
  std::deque<Kind> kinds_;
  std::map<BlockId, std::vector<ValueId>> crossing_;
  std::map<std::vector<std::size_t>, std::size_t> known_;
};

// The passes of its blocks for micro-batches of one size.
class NetPasses {
 public:
  NetPasses(RankNet& net, std::int64_t samples, RingGroup tensor, const StageCosts& costs,
            const Training& training, const Device& device);

  RankNet& net() { return net_; }
  std::int64_t samples() const { return samples_; }
  // None: the stages do not divide the layers.
  const StageCut* cut(std::int64_t stages, StageRule rule);
  const StagePasses& stage(const RankNet::Stage& stage);

 private:
  RankNet& net_;
  const std::int64_t samples_;
  const RingGroup tensor_;
  const std::vector<double> costs_;
  const Training& training_;
  const Device& device_;
  std::vector<PartPass> parts_;
  std::map<std::pair<std::int64_t, StageRule>, std::optional<StageCut>> cuts_;
  std::map<std::size_t, StageFigures> figures_;  // by kind
  std::map<std::pair<std::size_t, std::size_t>, StagePasses> passes_;
};

}  // namespace rehearse
