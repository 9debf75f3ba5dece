// Which rank stands where in the mesh.
#pragma once

#include "model/base/check.h"
#include "model/plan/plan.h"

namespace rehearse {

// One rank's place along the axes.
struct MeshPlace {
  std::int64_t data = 0, worker = 0, pipeline = 0, tensor = 0;
  std::int64_t along(Axis axis) const {
    switch (axis) {
      case Axis::data:
        return data;
      case Axis::subnetwork:
        return worker;
      case Axis::pipeline:
        return pipeline;
      case Axis::tensor:
        return tensor;
    }
    REHEARSE_UNREACHABLE("axis");
  }
};

inline RankId rank_at(const Mesh& mesh, const MeshPlace& place) {
  std::int64_t rank = 0;
  for (const Axis axis : mesh.order)
    rank = rank * mesh.size(axis) + place.along(axis);
  return RankId(rank);
}

// In the order of data, worker, pipeline, tensor, whatever the mesh's.
template <class Visit>
void for_each_place(const Mesh& mesh, Visit visit) {
  MeshPlace place;
  for (place.data = 0; place.data < mesh.data; ++place.data) {
    for (place.worker = 0; place.worker < mesh.workers; ++place.worker) {
      for (place.pipeline = 0; place.pipeline < mesh.pipeline; ++place.pipeline) {
        for (place.tensor = 0; place.tensor < mesh.tensor; ++place.tensor)
          visit(place);
      }
    }
  }
}

}  // namespace rehearse
