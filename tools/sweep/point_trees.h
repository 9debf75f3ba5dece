// The text of a scenario at a point, as the tree that its file was read into.
#pragma once

#include <span>
#include <vector>

#include "model/scenario/scenario.h"

namespace rehearse::sweep {

// For one thread.
class PointTrees {
 public:
  // The file must outlive it.
  explicit PointTrees(const SweptScenario& file);

  // The file's tree without its sweep, with one of its strategies only, and, by axis, these of the
  // swept values. Valid until the next call for the same strategy.
  const yaml::Value& at(std::span<const std::size_t> values, std::size_t strategy);

 private:
  struct Place {
    std::vector<std::size_t> steps;
    const SweptColumn* column;
  };
  struct Tree {
    yaml::Value root;
    std::vector<std::vector<Place>> places;  // by axis
    std::vector<std::size_t> values;  // by axis, those it has; more than there are: the file's
  };
  Tree tree_of(std::size_t strategy) const;

  const SweptScenario& file_;
  std::vector<Tree> trees_;  // by strategy; empty until they are asked for
};

}  // namespace rehearse::sweep
