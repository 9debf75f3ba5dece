// What the workers of subnetworks hold and run, block by block, so that equal ones are known.
//
// A block that a worker has dropped without a trace is not there for it: nothing of it runs, and
// its neighbours are joined. So two stages whose other blocks run the same one after the other are
// equal, wherever in the network these are and whoever runs them.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "model/net/net.h"
#include "model/schedule/holding.h"

namespace rehearse {

// What one worker has of a network that is cut into units.
struct OwnPart {
  Subnetwork held;
  Masking masking = Masking::forward;
  double scale = 1;  // of its branches (scale_in_training())
  friend bool operator==(const OwnPart&, const OwnPart&) = default;
};

// A network cut into units, as ranks of one tensor parallelism run it where they hold all of it.
class UnitNet {
 public:
  explicit UnitNet(Net net);
  UnitNet(const UnitNet&) = delete;

  const Net& net() const { return net_; }
  // What a worker runs. Kept of the last one only: whoever asks goes from worker to worker.
  std::shared_ptr<const Net> own(const OwnPart& part);
  // Blocks that run the same have one number.
  static constexpr std::size_t kNothing = static_cast<std::size_t>(-1);  // runs
  std::size_t content(std::size_t block, const OwnPart& part);
  Flops flops(std::size_t content) const { return flops_[content]; }  // of a sample
  // Segments that use a parameter, ascending; the same ones for everybody who holds it.
  const std::vector<SegmentId>& uses(ParameterId parameter) const {
    return uses_[parameter.index()];
  }

 private:
  const Net net_;
  const std::vector<std::size_t> alike_;
  std::vector<std::vector<std::size_t>> units_;  // by block
  std::vector<bool> always_runs_;                // by block: whether some of it is in no unit
  std::vector<std::vector<SegmentId>> uses_;     // by parameter
  std::map<std::vector<std::int64_t>, std::size_t> contents_;
  std::vector<Flops> flops_;
  OwnPart last_part_;
  std::shared_ptr<const Net> last_;
};

struct Worker {
  OwnPart part;
  std::vector<std::size_t> contents;  // by block: UnitNet::content()
  Flops flops;                        // of a sample
};

// One strategy's workers.
struct Workers {
  Split split;
  Holding holding;
  Masking masking = Masking::forward;
  std::vector<Worker> all;
  std::vector<std::size_t> like;  // by worker, the first one that holds the same
};
// whole: cut as the split's units say. Errors: holding_of()'s.
Result<Workers> workers_of(const StrategySpec& strategy, const Training& training, UnitNet& whole,
                           Split split);

}  // namespace rehearse
