// The program of one pipeline stage of one micro-batch, as if nothing else were on its rank.
//
// What it does does not depend on the samples of a micro-batch, nor on the number of
// tensor-parallel ranks, if there are several: made once, it is given other sizes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "model/cluster/device.h"
#include "model/net/alike.h"
#include "model/net/net.h"
#include "model/schedule/rank_program.h"

namespace rehearse {

// What a rank does with a micro-batch in a stage, in the order in which it does it. backward: the
// input gradients alone, where backward is split.
enum class StageAction {
  receive_forward,
  forward,
  send_forward,
  receive_backward,
  backward,
  send_backward,
  weight
};
inline constexpr std::size_t kStageActions = 7;

struct ProgramSettings {
  Recomputation recomputation = Recomputation::none;
  bool splits_backward = false;
  std::int64_t tensor = 1;  // ranks
  bool overlaps_tensor = false;
  bool scatters = false;  // PipelineSpec::scatter_gather
};

// A pass over a part of a network.
struct PassRange {
  SegmentId begin, end;
  Pass pass = Pass::forward;
};
// What it takes and needs room for.
struct PassCost {
  double kernels = 0, queueing = 0;  // seconds of the device, and of the host that queues them
  double seconds() const { return std::max(kernels, queueing); }
};
struct PartPass {
  PassCost cost;
  Bytes saved, kept, deferred, scratch;
};
PartPass price_part(const Net& net, const PassRange& range, std::int64_t samples,
                    const Training& training, const Device& device);

// A network, and what is left of it with few of its alike blocks: for stages that have all of them,
// kFewRepeats and one more; and as many as a stage in their midst looks at. All number values
// alike. Networks with few alike blocks are as they are.
inline constexpr std::size_t kFewRepeats = 4;
struct NetVariants {
  // Two more than a stage in the midst looks at: one on each side of it.
  static constexpr std::size_t kMidst = kFewRepeats + 3;
  explicit NetVariants(Net net);

  Net whole;
  BlockRun run;
  Net few, one_more, midst;
};
using NetVariant = Net NetVariants::*;
// Whether they differ in sizes only, so that stages of both run the same ops.
bool are_alike(const Net& a, const Net& b);

// Parts of a network and of what is left of it without some of its alike blocks: equal ones have
// one number.
class PartNumbers {
 public:
  explicit PartNumbers(const NetVariants& nets) : nets_(nets) {}
  struct Part {
    NetVariant net = nullptr;
    PassRange range;
  };
  // repeats: alike blocks that are left in the net.
  std::size_t of(const Part& part, std::size_t repeats);
  const std::vector<Part>& all() const { return parts_; }  // by number

 private:
  const NetVariants& nets_;
  std::map<std::tuple<std::size_t, std::size_t, std::size_t, std::size_t, Pass>, std::size_t>
      known_;
  std::vector<Part> parts_;
};
// By number in `numbers`, of a network like its own; those that are there already stay.
void price_parts(const PartNumbers& numbers, const NetVariants& nets, std::int64_t samples,
                 const Training& training, const Device& device, std::vector<PartPass>& prices);

// Sizes that a program is given.
struct ProgramSizes {
  const Net& net;  // like the program's
  std::int64_t samples = 1;
  std::int64_t tensor = 1;  // ranks
  const std::vector<PartPass>& parts;
};

class StageProgram {
 public:
  // Blocks [begin, end) of a net; complete: ascending, segments of them in which parameters are
  // first used, from each of which to the next gradients are reduced together; number: of a part.
  StageProgram(const Net& net, std::size_t begin, std::size_t end,
               const std::vector<SegmentId>& complete, const ProgramSettings& settings,
               const Training& training,
               const std::function<std::size_t(const PassRange& part)>& number);
  // Of a variant which has so many repeats of the alike blocks.
  StageProgram(const NetVariants& nets, NetVariant variant, std::size_t repeats, std::size_t begin,
               std::size_t end, const std::vector<SegmentId>& complete,
               const ProgramSettings& settings, const Training& training, PartNumbers& numbers);

  void resize(const ProgramSizes& sizes, const Training& training);

  const RankProgram& program() const { return made_.program; }
  const std::vector<StageAction>& actions() const { return actions_; }
  OpId begin_of(std::size_t action) const { return made_.begins[action]; }
  // By op: the number of its part; none: it is no pass.
  std::optional<std::size_t> part_of(std::size_t op) const { return parts_[op]; }
  // By op: the block of the stage, for passes.
  std::size_t block_of(std::size_t op) const { return blocks_[op]; }
  // Where the gradients are complete that are reduced first, next, ...
  struct Completion {
    std::size_t block = 0, segment = 0;  // of the stage; of the block
  };
  const Completion& completion(std::size_t number) const { return complete_[number]; }

 private:
  std::vector<StageAction> actions_;
  ActionProgram made_;
  std::vector<Completion> complete_;
  std::vector<std::optional<std::size_t>> parts_;
  std::vector<std::size_t> blocks_;
};

}  // namespace rehearse
