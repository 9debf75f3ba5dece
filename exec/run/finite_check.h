// Whether what a rank's passes hand on are numbers.
//
// What passes hand on is little beside what they compute; what they keep to themselves shows in it.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "exec/backend.h"
#include "exec/run/arena.h"
#include "exec/run/compute.h"
#include "exec/run/parameters.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

class FiniteCheck {
 public:
  // net: the rank's own. All must outlive it.
  FiniteCheck(const Plan& plan, RankId rank, const Net& net, Backend& backend, const Arena& arena,
              const ComputeProgram& compute, const Parameters& parameters);

  // Of a pass that has ended and whose operands are not freed yet: which value is infinite or not a
  // number, in which layer it was so first, and whether weights are; empty if all are numbers.
  std::string complaint(OpId pass) const;

 private:
  std::optional<LayerId> first_infinite_layer(OpId pass) const;
  bool is_finite(ValueId value, std::span<const std::byte> at) const;
  bool weights_are_finite() const;

  const Plan& plan_;
  const RankProgram& program_;
  const RankId rank_;
  const Net& net_;
  Backend& backend_;
  const Arena& arena_;
  const ComputeProgram& compute_;
  const Parameters& parameters_;
};

}  // namespace rehearse::exec
