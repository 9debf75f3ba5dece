// The parts that a rank's stages are cut into, and the order in which its passes visit them.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "model/schedule/rank_program/rank_inputs.h"

namespace rehearse {

struct Part {
  std::size_t stage = 0;  // of the frame's
  SegmentId begin, end;
  BlockId block;  // of its first segment
  bool recomputed = false;
  std::optional<LayerId> exchange = std::nullopt;  // of rows, which it consists of
};

// One pass over one part: one op.
struct Step {
  OpKind kind = OpKind::forward;
  std::size_t part = 0;
  MicroBatchId micro_batch;
};

class Parts {
 public:
  explicit Parts(const RankInputs& inputs);

  const std::vector<Part>& all() const { return parts_; }
  const std::vector<Step>& steps() const { return steps_; }
  const Part& part_of(const Step& step) const { return parts_[step.part]; }
  StageId stage_of(const Step& step) const { return stage_of(step.part); }
  StageId stage_of(std::size_t part) const { return frame_.stages[parts_[part].stage].number; }
  // Steps of an action (its place in the frame): [first, last).
  std::pair<std::size_t, std::size_t> steps_of(std::size_t action) const;
  const Lowering& lowering(std::size_t part, Pass pass);
  // How a step's kind is lowered; a forward op whose backward is split keeps more.
  Pass pass_of(const Step& step) const;
  // The step's pass as an op sees it: whether the forward op leaves everything to a recompute op.
  bool is_recomputed(const Step& step) const { return parts_[step.part].recomputed; }
  // Whether backward passes over a part, where they are not split by stage, are split here: the
  // gradient of its input is exchanged between tensor-parallel ranks while those of its weights are
  // computed.
  bool is_overlapped(std::size_t part) const { return overlapped_.count(part) > 0; }
  // Whether the part that a segment belongs to is run again for backward: a recomputed one may have
  // nothing to do there.
  bool is_run_again(SegmentId segment) const;
  // Slots of the classes, and own buckets, whose parameters a step reads; to whose gradients it
  // adds.
  struct Touched {
    std::set<std::size_t> classes, buckets;
  };
  const Touched& reads(const Step& step);
  const Touched& adds_to(const Step& step);
  // A pass of a micro-batch over a block, numbered through the steps: the same for all workers of a
  // stage, whether they hold the block's unit or not.
  std::size_t visit_of(std::size_t step) const { return visits_[step]; }
  bool ends_visit(std::size_t step) const {
    return step + 1 == steps_.size() || visits_[step + 1] != visits_[step];
  }
  // The last visit of a micro-batch's backward, or of any, to a segment's block; none: it is in no
  // stage here.
  std::optional<std::size_t> last_visit(SegmentId segment,
                                        std::optional<MicroBatchId> micro_batch) const;
  // The last step that adds to a bucket: of all, or of one micro-batch.
  std::optional<std::size_t> last_of(std::size_t bucket,
                                     std::optional<MicroBatchId> micro_batch) const;

 private:
  void cut();
  std::set<SegmentId> cuts_of(const Stage& stage) const;
  void cut_by_block(const Stage& stage, std::set<SegmentId>& cuts) const;
  void cut_at_buckets(const Stage& stage, std::set<SegmentId>& cuts) const;
  Touched touched(const std::vector<ParameterId>& parameters) const;
  void list_steps();
  void note_overlapped();
  void list_backward(const Action& action, const std::vector<std::size_t>& own);
  void list_passes(const Action& action, const std::vector<std::size_t>& own, std::size_t begin,
                   std::size_t end);
  bool is_recomputed_for_backward(std::size_t part, bool is_last);
  void note_last_steps();
  void note_visits();

  const RankInputs& inputs_;
  const Net& net_;
  const RankFrame& frame_;
  const std::vector<OwnBucket> buckets_;  // that are reduced in the step: none where it is local
  std::map<ParameterId, std::size_t> class_of_, bucket_of_;
  std::vector<Part> parts_;
  std::vector<Step> steps_;
  std::vector<std::size_t> visits_;  // by step
  // none: of any.
  std::map<std::pair<BlockId, std::optional<MicroBatchId>>, std::size_t> last_visit_;
  std::set<std::size_t> run_again_, overlapped_;      // parts
  std::vector<std::size_t> first_step_;               // by action, and the end
  std::set<std::pair<StageId, MicroBatchId>> split_;  // whose backward is split
  std::map<std::pair<std::size_t, Pass>, Lowering> lowerings_;
  std::map<std::pair<std::size_t, Pass>, Touched> reads_, adds_to_;
  std::map<std::size_t, std::size_t> last_step_;  // by bucket
  std::map<std::pair<std::size_t, MicroBatchId>, std::size_t> last_step_of_micro_batch_;
};

}  // namespace rehearse
