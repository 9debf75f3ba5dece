#include "model/cluster/network_spec.h"

#include <algorithm>
#include <cmath>

#include "model/base/check.h"

namespace rehearse {

double efficiency(const LinkSpec& link, Bytes message) {
  const auto& curve = link.efficiency;
  if (curve.empty()) return 1;
  const auto above = std::find_if(curve.begin(), curve.end(), [&](const EfficiencyPoint& point) {
    return message <= point.size;
  });
  if (above == curve.begin()) return above->share;
  const auto below = std::prev(above);
  if (above == curve.end()) return below->share;
  const auto logarithm = [](Bytes size) { return std::log2(static_cast<double>(size.bytes())); };
  const double from = logarithm(below->size), to = logarithm(above->size);
  const double part = (logarithm(message) - from) / (to - from);
  return std::round((below->share + (above->share - below->share) * part) * 0x1p32) / 0x1p32;
}

std::string_view to_string(NetworkKind kind) {
  switch (kind) {
    case NetworkKind::none:
      return "none";
    case NetworkKind::crossbar:
      return "crossbar";
    case NetworkKind::custom:
      return "custom";
    case NetworkKind::dragonfly:
      return "dragonfly";
    case NetworkKind::fat_tree:
      return "fat-tree";
    case NetworkKind::full_mesh:
      return "full-mesh";
    case NetworkKind::leaf_spine:
      return "leaf-spine";
    case NetworkKind::rail:
      return "rail";
    case NetworkKind::ring:
      return "ring";
    case NetworkKind::torus:
      return "torus";
  }
  REHEARSE_UNREACHABLE("network kind");
}

std::string_view to_string(Routing routing) {
  switch (routing) {
    case Routing::shortest:
      return "shortest";
    case Routing::ecmp:
      return "ecmp";
  }
  REHEARSE_UNREACHABLE("routing");
}

Diagnostics error_about(const NetworkSpec& spec, std::string_view key, std::string message) {
  const auto place = spec.places.find(key);
  if (place == spec.places.end()) return error(std::move(message));
  return error_at(place->second, std::move(message));
}

}  // namespace rehearse
