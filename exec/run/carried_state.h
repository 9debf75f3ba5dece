// A rank's weights and optimizer state on their way from one plan to the next.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <vector>

#include "exec/run/parameters.h"
#include "exec/transport.h"
#include "model/plan/transition.h"

namespace rehearse::exec {

class CarriedState {
 public:
  // Copies all that the rank has of its parameters.
  explicit CarriedState(const Parameters& before);

  // Fills in the next plan's parameters, which are there with whatever values: from what the rank
  // had, and from what the transition's messages bring. Everybody calls this.
  void hand_over(const Transition& transition, Moments moments, const Parameters& after,
                 Transport& transport) const;

 private:
  // By array of ParameterState::arrays(); empty where there was none.
  using Copy = std::array<std::vector<std::byte>, ParameterState::kArrays>;
  std::map<ParameterId, Copy> copies_;
};

}  // namespace rehearse::exec
