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

// The programs of stages of networks that are alike (are_alike()).
class NetPrograms {
 public:
  // nets: must outlive it. tensor: ranks; overlaps: TensorSpec::overlap; scatters:
  // PipelineSpec::scatter_gather.
  NetPrograms(const NetVariants& nets, std::int64_t tensor, bool overlaps, bool scatters,
              const Training& training);
  NetPrograms(const NetPrograms&) = delete;

  const NetVariants& nets() const { return nets_; }
  std::int64_t tensor() const { return tensor_; }
  bool overlaps() const { return overlaps_; }
  bool scatters() const { return scatters_; }
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
  // Of micro-batches of so many samples. sizes: of parts as price_parts() makes them, all of them.
  StageFigures figures(std::size_t kind, const ProgramSizes& sizes, const RingGroup& tensor,
                       const Device& device);
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
  bool fits_midst(const Place& place) const;
  StageProgram few(const Place& place, std::size_t repeats, const std::vector<SegmentId>& complete,
                   const ProgramSettings& settings);

  const NetVariants& nets_;
  const Net& net_;  // whole
  const BlockRun& run_;
  const std::int64_t tensor_;
  const bool overlaps_, scatters_;
  const Training& training_;
  PartNumbers parts_;
  std::deque<Kind> kinds_;
  std::map<BlockId, std::vector<ValueId>> crossing_;
  std::map<std::vector<std::size_t>, std::size_t> known_;
};

class RankNet {
 public:
  // programs: of a network that it is like. Both must outlive it.
  RankNet(const NetVariants& nets, std::int64_t tensor, NetPrograms& programs);

  const NetVariants& nets() const { return nets_; }
  const Net& net() const { return nets_.whole; }
  const BlockRun& run() const { return nets_.run; }
  std::int64_t tensor() const { return tensor_; }
  bool overlaps() const { return programs_.overlaps(); }
  NetPrograms& programs() const { return programs_; }
  Flops flops() const { return flops_; }  // of a sample
  std::int64_t elements() const { return elements_; }

 private:
  const NetVariants& nets_;
  const std::int64_t tensor_;
  NetPrograms& programs_;
  Flops flops_;
  std::int64_t elements_ = 0;
};

// The passes of its blocks for micro-batches of one size.
class NetPasses {
 public:
  // costs: of the net's `few` (stage_costs()): alike blocks take as long as one another.
  NetPasses(RankNet& net, std::int64_t samples, RingGroup tensor, const StageCosts& costs,
            const Training& training, const Device& device);

  RankNet& net() { return net_; }
  std::int64_t samples() const { return samples_; }
  // None: the stages do not divide the layers.
  const StageCut* cut(std::int64_t stages, StageRule rule);
  const StagePasses& stage(const NetPrograms::Stage& stage);
  // What crosses to a block from those before it: its values, and their gradients.
  struct Crossing {
    std::vector<Bytes> outputs, gradients;
    friend bool operator==(const Crossing&, const Crossing&) = default;
  };
  const Crossing& crossing(BlockId block);

 private:
  RankNet& net_;
  const std::int64_t samples_;
  const RingGroup tensor_;
  std::vector<double> costs_;  // by block
  const Training& training_;
  const Device& device_;
  std::vector<PartPass> parts_;
  std::map<std::pair<std::int64_t, StageRule>, std::optional<StageCut>> cuts_;
  std::map<std::size_t, StageFigures> figures_;  // by kind
  std::map<std::pair<std::size_t, std::size_t>, StagePasses> passes_;
  std::map<BlockId, const Crossing*> crossing_;
  std::deque<Crossing> crossings_;  // that differ
};

}  // namespace rehearse
