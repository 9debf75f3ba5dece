// Links on which messages of different groups or boundaries may have less than alone.
//
// What goes at the same time is a flow: messages of all replicas over one boundary of the pipeline,
// or of all rings of one kind. Alone it reaches what Paths say; a link binds beside that only where
// the shares of it that its flows take alone come to more than all of it. Links that are used alike
// are one.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "cost/closed_form/routes.h"

namespace rehearse {

enum class FlowKind : std::uint8_t {
  tensor,  // rings of tensor-parallel ranks
  holders,
  partial_holders,  // ... of who reduces a rank's parameters
  tied,
  partial_tied,  // ... those that the first and the last rank share
  forward,
  backward,  // between stages
};
// Of a rank of the pipeline, or the boundary behind it.
struct Flow {
  FlowKind kind;
  std::size_t rank = 0;
  friend auto operator<=>(const Flow&, const Flow&) = default;
};
inline bool is_between_stages(const Flow& flow) {
  return flow.kind >= FlowKind::forward;
}

struct SharedLink {
  struct Use {
    Flow flow;
    std::int64_t messages = 0;
    double share = 0;  // of the link, at most, alone
    // By kind of replicas (MeshCosts::replica_kinds), of the messages; empty: all are of one.
    std::vector<std::int64_t> of_kinds = {};
    friend auto operator<=>(const Use&, const Use&) = default;
  };
  BytesPerSecond bandwidth;
  std::vector<Use> uses;
};

class LinkUses {
 public:
  explicit LinkUses(Routes& routes) : routes_(routes), of_links_(routes.cluster().links().size()) {}
  // kinds: of replicas, by message; empty: no matter.
  void add(const Flow& flow, const Messages& messages, const std::vector<std::size_t>& kinds = {});
  // Those that may bind. Reductions and gathers of the same ranks may be under way together.
  std::vector<SharedLink> shared() const;

 private:
  Routes& routes_;
  std::vector<std::vector<SharedLink::Use>> of_links_;
};

}  // namespace rehearse
