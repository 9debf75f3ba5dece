// Ops of a rank's program, priced to be played (program_player.h): what ranks of one mesh pay for
// computing and for rings.
#pragma once

#include <map>
#include <optional>
#include <tuple>

#include "cost/closed_form/gradient_norm.h"
#include "cost/closed_form/mesh_costs.h"
#include "cost/closed_form/program_player.h"
#include "model/net/net.h"
#include "model/plan/training.h"

namespace rehearse {

struct PlayingCosts {
  const Net& net;  // as a rank runs it
  const MeshCosts& mesh;
  const Device& device;
  const NormTimes* norm =
      nullptr;  // until all ranks have added up their squares; null: nobody asks
};

class PlayedOps {
 public:
  // All must outlive it. samples: of a micro-batch; kind: of replicas.
  PlayedOps(const PlayingCosts& costs, const RankProgram& program, const Training& training,
            std::int64_t samples, std::optional<std::size_t> kind = std::nullopt);

  // Loads, passes and updates. squared: elements whose squares an op of that kind adds up.
  double compute(const Op& op, std::int64_t squared);
  // A collective of a group that stands in a ring.
  PlayedOp ring(const Flow& flow, const Op& op);
  // A message between stages.
  PlayedOp message(const Flow& flow, Bytes bytes);

 private:
  double pass(const Op& op);
  // Notes where messages of so many bytes, which flow for so long alone, may have less; weight:
  // bytes of a link that one of them takes.
  void share(PlayedOp& op, const Flow& flow, Bytes bytes, double seconds, double weight) const;
  std::int64_t messages_of(const SharedLink::Use& use) const;

  const PlayingCosts& costs_;
  const RankProgram& program_;
  const Training& training_;
  const std::int64_t samples_;
  const std::optional<std::size_t> kind_;  // none: of each boundary the slowest replica
  const ElementSizes sizes_;
  std::map<std::tuple<SegmentId, SegmentId, Pass>, double> passes_;
  std::map<std::tuple<Flow, OpKind, std::int64_t, std::int64_t>, PlayedOp> rings_;
  std::map<std::pair<Flow, Bytes>, PlayedOp> messages_;
};

}  // namespace rehearse
