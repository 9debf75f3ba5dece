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

}  // namespace rehearse
