// What pictures of a strategy are drawn from, beside its figures and its timeline: made for the
// step that the timeline is of. Times are from that step's beginning.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/base/units.h"
#include "model/plan/plan.h"
#include "model/plan/timeline.h"
#include "tools/summary/assignment.h"
#include "tools/summary/grid.h"

namespace rehearse {

// What the step's end waited for (model/plan/critical_path.h); parts add up to the step time.
struct PathPicture {
  struct Share {
    std::optional<OpKind> kind;  // none: nothing that the plan knows of
    Seconds time;
  };
  struct Part {
    std::int64_t rank = 0;
    std::optional<std::int64_t> span;  // number in the timeline
    Seconds start, end;
  };
  std::vector<Share> shares;  // the largest first
  std::vector<Part> parts;    // in the order of time
};

// Bytes alive in the arena of one rank, for all that run its program on its kind of device
// (model/plan/alive_over_time.h).
struct CurvePicture {
  std::int64_t rank = 0, alike = 1;  // the first of so many
  std::vector<BufferKind> kinds;     // that the program has
  struct Point {
    Seconds time;
    std::vector<Bytes> alive;  // by kind, from here to the next point
  };
  std::vector<Point>
      points;                // of more than there is room for, the highest of each part of the step
  std::int64_t moments = 0;  // points there are
  Bytes arena, beside;       // as laid out; what the rank has outside of it at its peak
  struct Alive {
    BufferKind kind = BufferKind::value;
    std::int64_t buffers = 0;
    Bytes size;
  };
  struct Peak {
    Seconds time;
    std::string op;  // describe_op() of the one whose buffers made it
    Bytes size;
    std::vector<Alive> alive;  // the largest first
  };
  Peak peak;
};

// Of a cable of the topology, or of several that are alike: per step.
struct CableLoad {
  Bytes bytes;                // over all its links
  double mean = 0, most = 0;  // utilisation of a link
};

// A link's utilisation over time: means over parts of equal length, from the step's beginning to
// the end of its last op.
struct LinkCurve {
  std::string name;
  std::vector<double> utilisation;
};

struct StrategyPictures {
  std::optional<PathPicture> path;
  std::vector<CurvePicture> memory;
  std::vector<Grid> grids;
  std::vector<CableLoad> cables;  // by TopologyPicture::cables
  std::vector<LinkCurve> links;   // the busiest first
  std::optional<AssignmentSummary> assignment;
  std::vector<std::string> left_out;  // what there was no room for
};

// The machine as a graph. What is alike may be one vertex, what joins the same two vertices is one
// cable.
struct TopologyPicture {
  struct Vertex {
    std::string name, kind;    // "node3", or "node*" for several; device, node, nic or switch
    std::int64_t members = 1;  // vertices of the cluster
    std::int64_t level = 0;    // cables to the nearest vertex at which messages begin
  };
  struct Cable {
    std::string name;
    std::size_t from = 0, to = 0;  // vertices; the same: inside of it
    std::int64_t links = 0;        // one-way
    BytesPerSecond bandwidth;      // of the slowest link, one way
    Seconds latency;               // of the longest
  };
  std::string network;             // kind
  std::vector<std::int64_t> dims;  // of a torus
  std::string folded;              // what is one vertex: "nothing", "nodes" or "alike"
  std::vector<Vertex> vertices;
  std::vector<Cable> cables;
};

// The step of median length, which stands for all; from when its pictures count.
struct PicturedStep {
  std::int64_t step = 0;
  Time origin;  // its first op's start, or the end of the step before it
};
PicturedStep pictured_step(const Timeline& timeline, std::int64_t warm_up);

// O(spans log spans)
PathPicture path_picture(const Plan& plan, const Timeline& timeline, std::int64_t warm_up);

struct CurveOptions {
  std::int64_t rank = 0, alike = 1;
  Bytes beside;
  std::size_t most_points = 300;
};
CurvePicture curve_picture(const Plan& plan, const Timeline& timeline, std::int64_t warm_up,
                           const CurveOptions& options);

}  // namespace rehearse
