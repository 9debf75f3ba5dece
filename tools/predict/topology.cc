#include "tools/predict/topology.h"

#include <algorithm>
#include <deque>
#include <tuple>

#include "tools/predict/explain.h"

namespace rehearse {
namespace {

std::string kind_of(const Vertex& vertex) {
  if (vertex.forwards == Forwards::nothing) return "device";
  if (vertex.is_nic) return "nic";
  return vertex.node ? "node" : "switch";
}

}  // namespace

Topology::Topology(const Cluster& cluster) {
  for (const Fold fold : {Fold::nothing, Fold::nodes, Fold::alike}) {
    draw(cluster, fold);
    if (is_small()) return;
  }
}

bool Topology::is_small() const {
  return picture_.vertices.size() <= kMostVertices && picture_.cables.size() <= kMostCables;
}

void Topology::draw(const Cluster& cluster, Fold fold) {
  const NetworkSpec& network = cluster.spec().network;
  picture_ = {};
  cables_.clear();
  picture_.network = to_string(network.kind);
  picture_.dims = network.dims;
  picture_.folded = fold == Fold::nothing ? "nothing" : fold == Fold::nodes ? "nodes" : "alike";
  const std::vector<std::size_t> vertex_of = add_vertices(cluster, fold);
  add_cables(cluster, fold, vertex_of);
  std::vector<std::size_t> first;
  for (std::size_t r = 0; r < cluster.rank_count(); ++r)
    first.push_back(vertex_of[cluster.vertex_of(RankId(r)).index()]);
  find_levels(first);
}

// By vertex of the cluster: that of the picture.
std::vector<std::size_t> Topology::add_vertices(const Cluster& cluster, Fold fold) {
  std::map<std::string, std::size_t> known;
  std::vector<std::size_t> vertex_of;
  for (const Vertex& vertex : cluster.vertices()) {
    std::string name = vertex.name, kind = kind_of(vertex);
    if (fold == Fold::nodes && vertex.node)
      name = fmt::format("node{}", vertex.node->value()), kind = "node";
    if (fold == Fold::alike) name = without_numbers(name);
    const auto [place, is_new] = known.try_emplace(name, picture_.vertices.size());
    if (is_new) picture_.vertices.push_back({name, kind, 0, 0});
    ++picture_.vertices[place->second].members;
    vertex_of.push_back(place->second);
  }
  return vertex_of;
}

void Topology::add_cables(const Cluster& cluster, Fold fold,
                          const std::vector<std::size_t>& vertex_of) {
  std::map<std::tuple<std::size_t, std::size_t, std::string>, std::size_t> known;
  for (std::size_t l = 0; l < cluster.links().size(); ++l) {
    const Link& link = cluster.links()[l];
    const std::size_t from = vertex_of[link.from.index()], to = vertex_of[link.to.index()];
    const auto [low, high] = std::minmax(from, to);
    const std::string name =
        fold == Fold::alike ? class_of_link(cluster, LinkId(l))
                            : picture_.vertices[low].name + "--" + picture_.vertices[high].name;
    const auto [place, is_new] = known.try_emplace({low, high, name}, picture_.cables.size());
    if (is_new) picture_.cables.push_back({name, low, high, 0, link.bandwidth, link.latency});
    TopologyPicture::Cable& cable = picture_.cables[place->second];
    ++cable.links;
    cable.bandwidth = std::min(cable.bandwidth, link.bandwidth);
    cable.latency = std::max(cable.latency, link.latency);
    cables_.emplace(link.name, place->second);
  }
}

// Breadth first from where messages begin.
void Topology::find_levels(const std::vector<std::size_t>& first) {
  std::vector<std::vector<std::size_t>> joined(picture_.vertices.size());
  for (const TopologyPicture::Cable& cable : picture_.cables) {
    joined[cable.from].push_back(cable.to);
    joined[cable.to].push_back(cable.from);
  }
  std::vector<bool> is_known(joined.size(), false);
  std::deque<std::size_t> next;
  for (const std::size_t vertex : first) {
    if (!is_known[vertex]) next.push_back(vertex);
    is_known[vertex] = true;
  }
  for (; !next.empty(); next.pop_front()) {
    const std::size_t vertex = next.front();
    for (const std::size_t other : joined[vertex]) {
      if (is_known[other]) continue;
      is_known[other] = true;
      picture_.vertices[other].level = picture_.vertices[vertex].level + 1;
      next.push_back(other);
    }
  }
}

std::vector<CableLoad> Topology::loads(const std::vector<LinkSummary>& links) const {
  std::vector<CableLoad> loads(picture_.cables.size());
  for (const LinkSummary& link : links) {
    const std::size_t cable = cables_.at(link.name);
    CableLoad& load = loads[cable];
    load.bytes += link.bytes;
    load.mean += link.utilisation / static_cast<double>(picture_.cables[cable].links);
    load.most = std::max(load.most, link.utilisation);
  }
  return loads;
}

}  // namespace rehearse
