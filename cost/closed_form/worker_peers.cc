#include "cost/closed_form/worker_peers.h"

#include <algorithm>
#include <set>
#include <vector>

#include "model/collective/steps.h"
#include "model/schedule/mesh_place.h"

namespace rehearse {
namespace {

// In the order of a plan's groups: holders of a class, then who only reads it.
std::vector<RankId> group_of(const Mesh& mesh, const HolderClass& it, bool with_readers) {
  std::vector<RankId> group;
  for (const bool held : {true, false}) {
    if (!held && !with_readers) break;
    MeshPlace place;
    for (place.data = 0; place.data < mesh.data; ++place.data) {
      for (place.worker = 0; place.worker < mesh.workers; ++place.worker) {
        if (it.workers[static_cast<std::size_t>(place.worker)] != held) continue;
        for (place.pipeline = 0; place.pipeline < mesh.pipeline; ++place.pipeline) {
          if (!it.pipeline[static_cast<std::size_t>(place.pipeline)]) continue;
          for (place.tensor = 0; place.tensor < (it.partial ? mesh.tensor : 1); ++place.tensor)
            group.push_back(rank_at(mesh, place));
        }
      }
    }
  }
  return group;
}

}  // namespace

std::int64_t worker_peers(const Mesh& mesh, const WorkerRanks& ranks, const WorkerRank& rank) {
  const MeshPlace own{0, static_cast<std::int64_t>(rank.worker),
                      static_cast<std::int64_t>(rank.rank), 0};
  const RankId self = rank_at(mesh, own);
  std::set<RankId> peers;
  const auto exchange = [&](const std::vector<RankId>& group, const CollectiveShape& shape) {
    const auto place = std::find(group.begin(), group.end(), self);
    if (place == group.end() || group.size() < 2) return;
    const auto elements = static_cast<std::int64_t>(group.size());  // nobody is left out
    for (const CollectiveStep& step :
         steps_of(shape, static_cast<std::size_t>(place - group.begin()), elements)) {
      if (step.send.size() > 0) peers.insert(group[step.to]);
      if (step.receive.size() > 0) peers.insert(group[step.from]);
    }
  };
  const auto ring = [&](const std::vector<RankId>& group) {
    exchange(group, {CollectiveKind::all_reduce, CollectiveAlgorithm::ring, group.size()});
  };
  for (const std::size_t c : rank.held)
    ring(group_of(mesh, ranks.classes[c], false));
  for (const std::size_t c : rank.read) {
    const std::vector<RankId> group = group_of(mesh, ranks.classes[c], true);
    CollectiveShape shape{CollectiveKind::broadcast, CollectiveAlgorithm::ring, group.size()};
    shape.sources = group_of(mesh, ranks.classes[c], false).size();
    exchange(group, shape);
  }
  std::vector<RankId> slices;
  MeshPlace place = own;
  for (; place.tensor < mesh.tensor; ++place.tensor)
    slices.push_back(rank_at(mesh, place));
  ring(slices);
  const bool wraps = rank.stages.size() > 1;
  for (const std::int64_t way : {-1, 1}) {
    place = own;
    place.pipeline += way;
    if (!wraps && (place.pipeline < 0 || place.pipeline >= mesh.pipeline)) continue;
    place.pipeline = (place.pipeline + mesh.pipeline) % mesh.pipeline;
    peers.insert(rank_at(mesh, place));
  }
  peers.erase(self);
  return std::ssize(peers);
}

}  // namespace rehearse
