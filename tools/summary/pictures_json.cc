#include "tools/summary/pictures_json.h"

#include <algorithm>
#include <utility>

#include "model/base/text.h"

namespace rehearse {
namespace {

template <class T, class Print>
Json array_of(const std::vector<T>& items, Print print) {
  Json array = Json::array();
  for (const T& item : items)
    array.push_back(print(item));
  return array;
}

template <class T>
std::optional<T> maybe(const JsonNode& node, T (*read)(const JsonNode&)) {
  return node.is_null() ? std::nullopt : std::optional(read(node));
}
std::int64_t count_of(const JsonNode& node) {
  return node.count();
}
std::string text_of(const JsonNode& node) {
  return node.text();
}
BufferKind buffer_kind_of(const JsonNode& node) {
  return node.named(BufferKind::communication);
}
std::size_t size_of(const JsonNode& node) {
  return static_cast<std::size_t>(node.count());
}

// ---- critical path -----------------------------------------------------------------------------

Json json_of(const PathPicture& path) {
  const auto share = [](const PathPicture::Share& s) {
    return Json{{"kind", s.kind ? Json(to_string(*s.kind)) : Json(nullptr)},
                {"time_s", s.time.seconds()}};
  };
  const auto part = [](const PathPicture::Part& p) {
    return Json::array(
        {p.rank, p.span ? Json(*p.span) : Json(nullptr), p.start.seconds(), p.end.seconds()});
  };
  return {{"shares", array_of(path.shares, share)}, {"parts", array_of(path.parts, part)}};
}

PathPicture path_of(const JsonNode& n) {
  PathPicture path;
  path.shares = n.at("shares").list<PathPicture::Share>([](const JsonNode& share) {
    const auto kind = maybe<OpKind>(share.at("kind"),
                                    [](const JsonNode& name) { return name.named(kLastOpKind); });
    return PathPicture::Share{kind, share.at("time_s").seconds()};
  });
  path.parts = n.at("parts").list<PathPicture::Part>([](const JsonNode& part) {
    return PathPicture::Part{part.at(0).count(), maybe(part.at(1), count_of), part.at(2).seconds(),
                             part.at(3).seconds()};
  });
  return path;
}

// ---- memory ------------------------------------------------------------------------------------

Json json_of(const CurvePicture& curve) {
  const auto point = [](const CurvePicture::Point& p) {
    Json row = Json::array({p.time.seconds()});
    for (const Bytes alive : p.alive)
      row.push_back(alive.bytes());
    return row;
  };
  const auto alive = [](const CurvePicture::Alive& a) {
    return Json{
        {"kind", to_string(a.kind)}, {"buffers", a.buffers}, {"size_bytes", a.size.bytes()}};
  };
  return {{"rank", curve.rank},
          {"ranks_alike", curve.alike},
          {"arena_bytes", curve.arena.bytes()},
          {"beside_bytes", curve.beside.bytes()},
          {"peak",
           {{"time_s", curve.peak.time.seconds()},
            {"op", curve.peak.op},
            {"size_bytes", curve.peak.size.bytes()},
            {"alive", array_of(curve.peak.alive, alive)}}},
          {"kinds", array_of(curve.kinds, [](BufferKind kind) { return Json(to_string(kind)); })},
          {"moments", curve.moments},
          {"points", array_of(curve.points, point)}};
}

CurvePicture::Point point_of(const JsonNode& n) {
  CurvePicture::Point point{n.at(0).seconds(), {}};
  for (std::size_t k = 1; k < n.size(); ++k)
    point.alive.push_back(n.at(k).bytes());
  return point;
}

CurvePicture curve_of(const JsonNode& n) {
  CurvePicture curve;
  curve.rank = n.at("rank").count();
  curve.alike = n.at("ranks_alike").count();
  curve.arena = n.at("arena_bytes").bytes();
  curve.beside = n.at("beside_bytes").bytes();
  const JsonNode peak = n.at("peak");
  curve.peak = {peak.at("time_s").seconds(), peak.at("op").text(), peak.at("size_bytes").bytes(),
                peak.at("alive").list<CurvePicture::Alive>([](const JsonNode& alive) {
                  return CurvePicture::Alive{buffer_kind_of(alive.at("kind")),
                                             alive.at("buffers").count(),
                                             alive.at("size_bytes").bytes()};
                })};
  curve.kinds = n.at("kinds").list(buffer_kind_of);
  curve.moments = n.at("moments").count();
  curve.points = n.at("points").list(point_of);
  for (std::size_t p = 0; p < curve.points.size(); ++p) {
    if (curve.points[p].alive.size() != curve.kinds.size())
      n.at("points").at(p).expected(fmt::format("a time and {} sizes", curve.kinds.size()));
  }
  return curve;
}

// ---- grids -------------------------------------------------------------------------------------

Json json_of(const Grid& grid) {
  return {{"ranks", array_of(grid.ranks, [](RankId rank) { return Json(rank.value()); })},
          {"rows", array_of(grid.rows, [](const std::vector<std::string>& row) {
             return Json(join(row, " "));
           })}};
}

std::vector<std::string> cells_of(const JsonNode& n) {
  std::vector<std::string> cells;
  std::string cell;
  for (const char c : n.text() + " ") {
    if (c != ' ') {
      cell += c;
    } else if (!cell.empty()) {
      cells.push_back(std::exchange(cell, {}));
    }
  }
  return cells;
}

Grid grid_of(const JsonNode& n) {
  return {n.at("ranks").list<RankId>([](const JsonNode& rank) { return RankId(size_of(rank)); }),
          n.at("rows").list(cells_of)};
}

// ---- assignment --------------------------------------------------------------------------------

Json loads_of(const AssignmentSummary& s) {
  const auto load = [](const WorkerLoad& w) {
    return Json{{"units", w.units},
                {"share_of_units", w.share},
                {"flops_per_sample", w.flops.flops()},
                {"parameters", w.parameters},
                {"state_bytes", w.state.bytes()},
                {"activation_bytes", w.activations.bytes()}};
  };
  return {{"spectral_gap", s.spectral_gap},
          {"connected", s.connected},
          {"groups", s.groups},
          {"collectives", s.collectives},
          {"rounds", s.rounds},
          {"loads", array_of(s.loads, load)}};
}

AssignmentSummary assignment_of(const JsonNode& n) {
  AssignmentSummary s;
  s.spectral_gap = n.at("spectral_gap").number();
  s.connected = n.at("connected").yes_or_no();
  s.groups = n.at("groups").count();
  s.collectives = n.at("collectives").count();
  s.rounds = n.at("rounds").count();
  s.loads = n.at("loads").list<WorkerLoad>([](const JsonNode& load) {
    return WorkerLoad{load.at("units").count(),
                      load.at("share_of_units").number(),
                      Flops::flops(load.at("flops_per_sample").number()),
                      load.at("parameters").count(),
                      load.at("state_bytes").bytes(),
                      load.at("activation_bytes").bytes()};
  });
  return s;
}

}  // namespace

Json json_of(const StrategyPictures& pictures) {
  Json json = Json::object();
  if (pictures.path) json["critical_path"] = json_of(*pictures.path);
  const auto print = [](const auto& item) { return json_of(item); };
  if (!pictures.memory.empty()) json["memory_curves"] = array_of(pictures.memory, print);
  if (!pictures.grids.empty()) json["grids"] = array_of(pictures.grids, print);
  if (!pictures.cables.empty()) {
    json["cables"] = array_of(pictures.cables, [](const CableLoad& load) {
      return Json{{"bytes", load.bytes.bytes()},
                  {"mean_utilisation", load.mean},
                  {"most_utilisation", load.most}};
    });
  }
  if (!pictures.links.empty()) {
    json["links_over_time"] = array_of(pictures.links, [](const LinkCurve& curve) {
      return Json{{"name", curve.name}, {"utilisation", curve.utilisation}};
    });
  }
  if (pictures.assignment) json["assignment"] = loads_of(*pictures.assignment);
  if (!pictures.left_out.empty()) json["left_out"] = pictures.left_out;
  return json;
}

StrategyPictures pictures_of(const JsonNode& n) {
  StrategyPictures pictures;
  if (n.has("critical_path")) pictures.path = path_of(n.at("critical_path"));
  if (n.has("memory_curves")) pictures.memory = n.at("memory_curves").list(curve_of);
  if (n.has("grids")) pictures.grids = n.at("grids").list(grid_of);
  if (n.has("cables")) {
    pictures.cables = n.at("cables").list<CableLoad>([](const JsonNode& load) {
      return CableLoad{load.at("bytes").bytes(), load.at("mean_utilisation").number(),
                       load.at("most_utilisation").number()};
    });
  }
  if (n.has("links_over_time")) {
    pictures.links = n.at("links_over_time").list<LinkCurve>([](const JsonNode& curve) {
      return LinkCurve{curve.at("name").text(),
                       curve.at("utilisation").list<double>([](const JsonNode& share) {
                         return share.number();
                       })};
    });
  }
  if (n.has("assignment")) pictures.assignment = assignment_of(n.at("assignment"));
  if (n.has("left_out")) pictures.left_out = n.at("left_out").list(text_of);
  return pictures;
}

Json json_of(const TopologyPicture& topology) {
  const auto vertex = [](const TopologyPicture::Vertex& v) {
    return Json{{"name", v.name}, {"kind", v.kind}, {"members", v.members}, {"level", v.level}};
  };
  const auto cable = [](const TopologyPicture::Cable& c) {
    return Json{{"name", c.name},
                {"from", c.from},
                {"to", c.to},
                {"links", c.links},
                {"bandwidth_bytes_per_s", c.bandwidth.bytes_per_second()},
                {"latency_s", c.latency.seconds()}};
  };
  return {{"network", topology.network},
          {"dims", topology.dims},
          {"folded", topology.folded},
          {"vertices", array_of(topology.vertices, vertex)},
          {"cables", array_of(topology.cables, cable)}};
}

TopologyPicture topology_of(const JsonNode& n) {
  TopologyPicture topology;
  topology.network = n.at("network").text();
  topology.dims = n.at("dims").list(count_of);
  topology.folded = n.at("folded").text();
  topology.vertices = n.at("vertices").list<TopologyPicture::Vertex>([](const JsonNode& vertex) {
    return TopologyPicture::Vertex{vertex.at("name").text(), vertex.at("kind").text(),
                                   vertex.at("members").count(), vertex.at("level").count()};
  });
  topology.cables = n.at("cables").list<TopologyPicture::Cable>([](const JsonNode& cable) {
    return TopologyPicture::Cable{
        cable.at("name").text(),
        size_of(cable.at("from")),
        size_of(cable.at("to")),
        cable.at("links").count(),
        BytesPerSecond::bytes_per_second(cable.at("bandwidth_bytes_per_s").number()),
        cable.at("latency_s").seconds()};
  });
  for (std::size_t c = 0; c < topology.cables.size(); ++c) {
    const auto& cable = topology.cables[c];
    if (std::max(cable.from, cable.to) >= topology.vertices.size())
      n.at("cables").at(c).expected("ends that are vertices");
  }
  return topology;
}

}  // namespace rehearse
