#include "tools/sweep/point_trees.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace rehearse::sweep {
namespace {

std::optional<std::size_t> entry_of(const yaml::Value& root, std::string_view key) {
  for (std::size_t e = 0; e < root.entries.size(); ++e) {
    if (root.entries[e].key == key) return e;
  }
  return std::nullopt;
}

// Where a path of the file leads in a tree with one strategy, if that has the place.
std::optional<std::vector<std::size_t>> steps_in(std::vector<std::size_t> steps,
                                                 std::size_t strategies, std::size_t strategy) {
  if (steps[0] != strategies) return steps;
  if (steps[1] != strategy) return std::nullopt;
  steps[1] = 0;
  return steps;
}

}  // namespace

PointTrees::PointTrees(const SweptScenario& file)
    : file_(file), trees_(file.scenario.strategies.size()) {}

PointTrees::Tree PointTrees::tree_of(std::size_t strategy) const {
  const auto& axes = file_.sweep.axes;
  Tree tree{file_.root, {}, {}};
  tree.values.assign(axes.size(), std::numeric_limits<std::size_t>::max());
  if (const auto sweep = entry_of(tree.root, "sweep")) {
    yaml::Value& section = tree.root.entries[*sweep].value;  // its place in the tree is kept
    section.entries.clear();
  }
  const std::size_t list = *entry_of(tree.root, "strategies");
  std::vector<yaml::Value>& items = tree.root.entries[list].value.items;
  yaml::Value one = std::move(items[strategy]);
  items.clear();
  items.push_back(std::move(one));
  for (const SweptAxis& axis : axes) {
    std::vector<Place>& places = tree.places.emplace_back();
    for (const SweptColumn& column : axis.columns) {
      for (const SweptPath& path : column.paths) {
        if (auto steps = steps_in(path.steps, list, strategy))
          places.push_back({*std::move(steps), &column});
      }
    }
  }
  return tree;
}

const yaml::Value& PointTrees::at(std::span<const std::size_t> values, std::size_t strategy) {
  Tree& tree = trees_[strategy];
  if (tree.root.entries.empty()) tree = tree_of(strategy);
  for (std::size_t a = 0; a < values.size(); ++a) {
    if (tree.values[a] == values[a]) continue;
    for (const Place& place : tree.places[a])
      value_at(tree.root, place.steps) = place.column->values[values[a]];
    tree.values[a] = values[a];
  }
  return tree.root;
}

}  // namespace rehearse::sweep
