// Which parts of the network are units, and whether there are enough of them.
#include <fmt/format.h>

#include <algorithm>

#include "model/base/text.h"
#include "model/net/width.h"
#include "model/schedule/strategy.h"

namespace rehearse {

Result<std::vector<BlockId>> always_held_blocks(const SubnetworkSpec& subnetwork, const Net& net) {
  std::vector<BlockId> blocks;
  std::vector<std::string> names;
  for (const Block& block : net.blocks)
    names.push_back(block.name);
  for (const std::string& name : subnetwork.always_held) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      const auto guess = nearest(name, names);
      return error(fmt::format("the network has no block '{}'; {}", name,
                               guess ? fmt::format("did you mean '{}'?", *guess)
                                     : fmt::format("its blocks are {}", join(names, ", "))));
    }
    blocks.emplace_back(found - names.begin());
  }
  std::sort(blocks.begin(), blocks.end());
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  return blocks;
}

Result<UnitRule> unit_rule(const StrategySpec& strategy, const Mesh& mesh, const Net& net) {
  if (!strategy.subnetwork) return UnitRule{};
  const SubnetworkSpec& subnetwork = *strategy.subnetwork;
  const Result<bool> masked = masks(subnetwork, mesh.workers);
  if (!masked) return masked.errors();
  const Result<std::vector<BlockId>> blocks = always_held_blocks(subnetwork, net);
  if (!blocks) return blocks.errors();
  if (!*masked) return UnitRule{};
  UnitRule rule{1, {}, *blocks};
  if (subnetwork.construction == Construction::width) {
    if (mesh.tensor > 1)
      return error(
          "tensor parallelism cuts the widths that width-wise subnetworks are made of: with it, "
          "subnetworks are made of blocks");
    rule.of_width = subnetwork.width_units.value_or(mesh.workers);
    if (rule.of_width == 1)
      return error("a width of one unit, as many as workers, is held whole: 'units' says how many");
    rule.axes = subnetwork.axes;
  }
  const Result<Net> cut = cut_units(net, rule);
  if (!cut) return cut.errors();
  return rule;
}

namespace {

Status check_any(const Net& net, const SubnetworkSpec& subnetwork) {
  if (!net.units.empty()) return success();
  if (!subnetwork.always_held.empty())
    return error(
        "'always_held' leaves no unit that a worker could leave out: every worker would hold all "
        "of the model");
  return error(
      "the model has no unit that a worker could leave out, such as a residual block with "
      "an identity skip: every worker would hold all of it");
}

}  // namespace

Status check_units(const StrategySpec& strategy, const Mesh& mesh, const Net& net) {
  const SubnetworkSpec& subnetwork = *strategy.subnetwork;
  if (!*masks(subnetwork, mesh.workers)) return success();
  if (subnetwork.assignment != AssignmentKind::balanced) return check_any(net, subnetwork);
  const std::int64_t holders = *holders_of(subnetwork, mesh.workers);
  if (subnetwork.averaging == Averaging::all && holders == 1)
    return error(
        "with one holder nobody adds anything to its gradients: there is nothing to "
        "average over all workers; 2 holders or more have a sum");
  const auto held = static_cast<std::int64_t>(net.units.size()) * holders;
  if (!net.units.empty() && held < mesh.workers) {
    return error(
        fmt::format("the model has {} units that a worker could leave out: held by {} each, "
                    "they do not go round {} workers",
                    net.units.size(), holders, mesh.workers));
  }
  return check_any(net, subnetwork);
}

}  // namespace rehearse
